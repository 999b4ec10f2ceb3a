"""The command line: what it prints for people and for programs, and how it ends."""

import asyncio
import importlib
import io
import json
import os
import secrets
import subprocess
import sys
import time

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from sqlalchemy import Column, Table, Text, Uuid, text

from project.dev.settings import ROOT
from tenants import lifecycle, modules, revisions
from tenants.db.base import create_metadata
from tenants.lifecycle import onboarding, owner_connection
from tenants.management.output import CONFLICT, FAILED, MISSING, USAGE
from tenants.models import ApiKey, Tenant
from tenants.modules import get_modules
from tests.tenants.alembic_cli import run_alembic
from tests.tenants.test_logins import superuser_url
from tests.tenants.throwaway import make_module, write_revision


class Result:
    """How a command ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        (line,) = self.out.splitlines()
        return json.loads(line)


def call(*arguments):
    """Run a command in this process, on a thread as a terminal would: without an event loop."""
    out, err = sys.stdout.tell(), sys.stderr.tell()
    code = 0
    try:
        call_command(*arguments)
    except SystemExit as end:
        code = end.code
    finally:
        connections.close_all()  # Each thread has its own, and this one may never run again.
    sys.stdout.seek(out)
    sys.stderr.seek(err)
    return Result(code, sys.stdout.read(), sys.stderr.read())


@pytest.fixture
def run(application):
    async def run(*arguments):
        return await asyncio.to_thread(call, *arguments)

    return run


@pytest.fixture(autouse=True)
def plain_streams(monkeypatch, application):
    """Streams that can be read again; pytest's own belong to its reports."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())


def manage(*arguments, stdin="", **variables):
    """Run `manage.py` as a process of its own."""
    result = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Result(result.returncode, result.stdout, result.stderr)


@pytest.fixture
def slug():
    return f"c{secrets.token_hex(6)}"


class TestTenants:
    async def test_create_prints_what_a_program_needs(self, slug):
        result = await asyncio.to_thread(
            manage, "tenants", "create", slug, "--name", "Acme Inc.", "--json"
        )

        assert (result.code, result.err) == (0, "")
        row = await Tenant.objects.aget(slug=slug)
        shown = result.json
        assert {name: shown[name] for name in ("id", "slug", "name", "status", "schema")} == {
            "id": str(row.id),
            "slug": slug,
            "name": "Acme Inc.",
            "status": "active",
            "schema": f"t_{row.id.hex}",
        }
        key = await ApiKey.objects.aget(tenant=row)
        assert shown["api_key"].startswith(f"tnt_{key.public_id}_")

    async def test_create_prints_for_people_too(self, run, slug):
        result = await run("tenants", "create", slug, "--name", "Acme", "--module", "conversations")

        assert result.code == 0
        assert f"slug     {slug}" in result.out
        assert "modules  conversations\n" in result.out
        assert "api_key  tnt_" in result.out

    async def test_the_words_of_a_tenants_life(self, run, slug):
        await lifecycle.create_tenant(slug, "Acme", ["conversations"])
        new_slug = f"{slug}-two"
        steps = [
            (["show", slug], {"slug": slug, "status": "active"}),
            (["rename", slug, "--slug", new_slug, "--name", "New"], {"slug": new_slug}),
            (["suspend", new_slug], {"status": "suspended", "name": "New"}),
            (["resume", new_slug], {"status": "active"}),
            (["enable", new_slug, "sample"], {"modules": ["conversations", "sample"]}),
            (["disable", new_slug, "sample"], {"modules": ["conversations"]}),
            (["delete", new_slug], {"status": "deleting"}),
            (["delete", new_slug, "--erase", "--confirm", new_slug], {"erased": True}),
        ]
        for arguments, expected in steps:
            result = await run("tenants", *arguments, "--json")
            assert (result.code, result.err) == (0, ""), arguments
            assert expected.items() <= result.json.items(), arguments
        assert not await Tenant.objects.filter(slug=new_slug).aexists()

    async def test_list_shows_every_tenant(self, run, slug):
        await lifecycle.create_tenant(slug, "A name of some length that a table must not cut off")
        await lifecycle.suspend_tenant(slug)

        rows = {row["slug"]: row for row in (await run("tenants", "list", "--json")).json}
        assert rows[slug]["status"] == "suspended"
        suspended = (await run("tenants", "list", "--status", "suspended", "--json")).json
        assert {row["status"] for row in suspended} == {"suspended"}
        (line,) = [
            line
            for line in (await run("tenants", "list")).out.splitlines()
            if line.startswith(slug)
        ]
        assert "A name of some length that a table must not cut off" in line
        assert "conversations, sample" in line

    async def test_exit_codes_and_one_line_on_stderr(self, run, slug):
        await lifecycle.create_tenant(slug, "Acme", ["sample"])
        for arguments, code, message in [
            (["create", "www", "--name", "X"], USAGE, "The slug is reserved."),
            (["create", slug, "--name", "X"], CONFLICT, f"The slug `{slug}` is taken."),
            (["create", "fine", "--name", ""], USAGE, "The name must have 1 to 200 characters."),
            (
                ["create", "fine", "--name", "X", "--module", "nope"],
                USAGE,
                "There is no module `nope`. There are: conversations, sample.",
            ),
            (["show", "nobody"], MISSING, "There is no tenant `nobody`."),
            (
                ["disable", slug, "conversations"],
                CONFLICT,
                f"Another module of `{slug}` requires `conversations`.",
            ),
            (
                ["delete", slug, "--erase", "--confirm", slug],
                CONFLICT,
                f"The tenant `{slug}` is active; delete it first.",
            ),
            (
                ["delete", slug, "--erase", "--confirm", "other"],
                USAGE,
                "The confirmation is not the tenant's slug; nothing was erased.",
            ),
        ]:
            result = await run("tenants", *arguments, "--json")
            assert (result.code, result.out, result.err) == (code, "", f"error: {message}\n")

    async def test_erasing_asks_for_the_slug_again(self, run, slug, monkeypatch):
        await lifecycle.create_tenant(slug, "Acme")
        await lifecycle.delete_tenant(slug)

        for typed in ("other\n", "", "\n"):
            monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
            result = await run("tenants", "delete", slug, "--erase", "--json")
            assert (result.code, result.out) == (USAGE, "")
            assert await Tenant.objects.filter(slug=slug).aexists()

        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{slug}\n"))
        right = await run("tenants", "delete", slug, "--erase", "--json")
        assert right.json == {"slug": slug, "erased": True}
        assert f"Type {slug}" in right.err

    async def test_a_word_that_is_not_there_is_refused_with_those_that_are(self):
        result = await asyncio.to_thread(manage, "tenants", "explode")
        assert result.code == USAGE
        assert "usage: manage.py tenants" in result.err
        assert "suspend" in result.err

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param(["tenants", "list"], marks=pytest.mark.slow),
            ["tenants", "create", "fine", "--name", "X"],
        ],
    )
    async def test_a_database_that_is_not_there_is_one_clear_line(self, arguments):
        nowhere = "postgresql://nobody@127.0.0.1:1/none"
        urls = {f"TENANTRY_{login}_URL": nowhere for login in ("REGISTRY", "RUNTIME", "OWNER")}
        result = await asyncio.to_thread(manage, *arguments, **urls)
        assert result.code == FAILED, result.err
        (line,) = result.err.splitlines()
        assert line.startswith("error: ")
        assert "127.0.0.1" in line


class TestKeys:
    async def test_a_keys_life(self, run, slug):
        await lifecycle.create_tenant(slug, "Acme")
        created = (
            await run(
                *("keys", "create", slug, "--name", "CI", "--scope", "read", "--scope", "admin"),
                *("--expires", "2099-01-31T12:00Z", "--json"),
            )
        ).json
        assert created["api_key"].startswith(f"tnt_{created['public_id']}_")
        assert created["scopes"] == ["admin", "read"]
        assert created["expires_at"] == "2099-01-31T12:00:00Z"

        keys = (await run("keys", "list", slug, "--json")).json
        assert [key["name"] for key in keys] == ["CI", "First key"]
        assert created["api_key"] not in json.dumps(keys)

        revoked = (await run("keys", "revoke", slug, created["public_id"], "--json")).json
        assert revoked["revoked_at"] is not None
        again = (await run("keys", "revoke", slug, created["public_id"], "--json")).json
        assert again["revoked_at"] == revoked["revoked_at"]

    async def test_a_key_has_read_and_write_unless_told_otherwise(self, run, slug):
        await lifecycle.create_tenant(slug, "Acme")
        created = (await run("keys", "create", slug, "--name", "Plain", "--json")).json
        assert created["scopes"] == ["read", "write"]
        assert created["expires_at"] is None

    async def test_people_see_the_key_once_and_alone_on_standard_output(self, run, slug):
        await lifecycle.create_tenant(slug, "Acme")
        result = await run("keys", "create", slug, "--name", "CI")
        assert len(result.out.splitlines()) == 1
        listed = (await run("keys", "list", slug)).out
        assert result.out.split("_")[1] in listed
        assert result.out.strip() not in listed

    async def test_exit_codes(self, run, slug):
        await lifecycle.create_tenant(slug, "Acme")
        for arguments, code in [
            (["list", "nobody"], MISSING),
            (["create", "nobody", "--name", "X"], MISSING),
            (["revoke", slug, "nokey"], MISSING),
            (["create", slug, "--name", ""], USAGE),
            (["create", slug, "--name", "X", "--expires", "2001-01-01"], USAGE),
        ]:
            result = await run("keys", *arguments, "--json")
            assert (result.code, result.out) == (code, "")
            assert result.err.startswith("error: ")

    async def test_a_bad_scope_or_time_is_a_usage_error(self, run, slug):
        for arguments in (["--scope", "root"], ["--expires", "tomorrow"]):
            with pytest.raises(CommandError, match=arguments[1]):
                await run("keys", "create", slug, "--name", "X", *arguments)

    async def test_a_key_of_another_tenant_is_not_found(self, run, make_tenant):
        one, other = await make_tenant(), await make_tenant()
        public_id = one.key.split("_")[1]
        assert (await run("keys", "revoke", other.slug, public_id)).code == MISSING
        assert (await ApiKey.objects.aget(public_id=public_id)).revoked_at is None


class TestMigrateTenants:
    async def test_it_says_what_it_did(self, run, make_tenant):
        tenant = await make_tenant()
        people = await run("migrate_tenants", "--tenant", tenant.slug)
        assert (people.code, people.out) == (0, "0 migrated, 1 at head already, 0 failed\n")
        result = await run("migrate_tenants", "--tenant", tenant.slug, "--json")
        assert result.json == [{"tenant": tenant.slug, "revisions": {}, "error": None}]

    async def test_every_failure_is_reported_and_the_exit_code_is_1(self, run, make_tenant):
        fine, broken, other = [await make_tenant(["conversations"]) for _ in range(3)]
        for tenant in (broken, other):
            async with owner_connection() as connection:
                await connection.execute(text(f'DELETE FROM "{tenant.ref.schema}".alembic_version'))
                await connection.commit()
        names = [word for tenant in (fine, broken, other) for word in ("--tenant", tenant.slug)]

        people = await run("migrate_tenants", *names)
        program = await run("migrate_tenants", *names, "--json")

        assert people.code == program.code == FAILED
        assert people.out == "0 migrated, 1 at head already, 2 failed\n"
        for tenant in (broken, other):
            assert f"{tenant.slug}: {tenant.ref.schema}: alembic_version has []" in people.err
        assert {row["tenant"]: bool(row["error"]) for row in program.json} == {
            fine.slug: False,
            broken.slug: True,
            other.slug: True,
        }
        for tenant in (broken, other):
            await lifecycle.delete_tenant(tenant.slug)
            await lifecycle.erase_tenant(tenant.slug, tenant.slug)

    async def test_unknown_names_are_refused(self, run):
        result = await run("migrate_tenants", "--tenant", "nobody")
        assert (result.code, result.err) == (MISSING, "error: There is no tenant `nobody`.\n")
        assert (await run("migrate_tenants", "--module", "nope")).code == USAGE


FEATURE = """
from datetime import datetime
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from ninja import Router
from sqlalchemy import MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenants.db.base import Timestamp, create_metadata
from tenants.module import Module


class Base(DeclarativeBase):
    metadata: ClassVar[MetaData] = create_metadata()
    type_annotation_map: ClassVar = {{str: Text, datetime: Timestamp}}


class Thing(Base):
    __tablename__ = "feature_things"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    {columns}


module = Module(name="feature", label="Feature", version="1", router=Router(),
    metadata=Base.metadata, revisions=Path(__file__).parent / "revisions")
"""


class Feature:
    """A module in a folder of its own, whose models change as a test goes on."""

    def __init__(self, folder):
        self.package = folder / "feature"
        self.revisions = self.package / "revisions"
        self.revisions.mkdir(parents=True)
        self.variables = {
            "PYTHONPATH": str(folder),
            "TENANTRY_MODULES": '["conversations", "feature"]',
        }

    def write(self, *columns):
        source = FEATURE.format(columns="\n    ".join(columns))
        (self.package / "module.py").write_text(source)

    async def manage(self, *arguments):
        return await asyncio.to_thread(manage, *arguments, **self.variables)


@pytest.fixture
def feature(tmp_path):
    return Feature(tmp_path)


async def count_schemas_and_roles():
    async with owner_connection() as connection:
        return (
            await connection.execute(
                text(
                    "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname ^@ 't_'), "
                    "(SELECT count(*) FROM pg_roles WHERE rolname ^@ 't_')"
                )
            )
        ).one()


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load the module `made` with these columns of its table, and these other tables."""
    real = get_modules()

    def load(*columns, others=()):
        metadata = create_metadata()
        for table, names in {"made_things": columns, **dict.fromkeys(others, ())}.items():
            key = Column("id", Uuid, primary_key=True)
            Table(table, metadata, key, *(Column(name, Text) for name in names))
        loaded = (*real, make_module(tmp_path, "made", metadata=metadata))
        for importer in (modules, revisions, onboarding):
            monkeypatch.setattr(importer, "get_modules", lambda: loaded)
        return loaded[-1]

    return load


def split(module, pattern):
    """The bodies of a revision's `upgrade` and `downgrade`, after the lock timeout."""
    (path,) = module.revisions.glob(pattern)
    _, upgrade, downgrade = path.read_text().split("() -> None:")
    for body in (upgrade, downgrade):
        assert "SET LOCAL lock_timeout = '3s'" in body
    return [body.partition("lock_timeout = '3s'\")\n")[2] for body in (upgrade, downgrade)]


class TestMakeRevision:
    async def test_tables_and_columns_that_come_and_go_become_revisions(
        self, run, load, make_tenant
    ):
        tenant = await make_tenant(["conversations"])
        before = await count_schemas_and_roles()

        module = load("body", others=["made_others"])
        first = await run("make_revision", "made", "-m", "create")
        path = module.revisions / "made_0001_create.py"
        assert (first.code, first.out) == (0, f"{path}\nRead it before you keep it.\n")
        assert "branch_labels = ('made',)" in path.read_text()
        assert "down_revision = None" in path.read_text()
        upgrade, downgrade = split(module, "made_0001*")
        assert upgrade.count("op.create_table(") == upgrade.count("op.f(") == 2
        assert "name=op.f('made_things_pkey')" in upgrade
        assert downgrade.count("op.drop_table(") == 2

        module = load("body", "note", others=["made_others"])
        await run("make_revision", "made", "-m", "Note it!")
        upgrade, downgrade = split(module, "made_0002_note_it*")
        added = "op.add_column('made_things', sa.Column('note', sa.Text(), nullable=True))"
        assert [line.strip() for line in upgrade.splitlines() if "op." in line] == [added]
        assert "op.drop_column('made_things', 'note')" in downgrade

        module = load("body", "note")
        await run("make_revision", "made", "-m", "drop")
        upgrade, downgrade = split(module, "made_0003*")
        assert [line.strip() for line in upgrade.splitlines() if "op." in line] == [
            "op.drop_table('made_others')"
        ]
        assert "op.create_table('made_others'" in downgrade

        assert await count_schemas_and_roles() == before
        load("body", "note")
        await lifecycle.enable_module(tenant.slug, "made")
        assert (await read_stamps(tenant))[0]["made"] == "made_0003"
        await lifecycle.delete_tenant(tenant.slug)
        await lifecycle.erase_tenant(tenant.slug, tenant.slug)

    @pytest.mark.slow
    async def test_a_module_of_its_own_folder_gets_revisions_that_tenants_can_be_carried_to(
        self, feature, make_tenant
    ):
        tenant = await make_tenant(["conversations"])
        feature.write("body: Mapped[str]")
        first = await feature.manage("make_revision", "feature", "-m", "create the things")
        assert (first.code, first.err) == (0, "")
        assert first.out.splitlines()[0] == str(
            feature.revisions / "feature_0001_create_the_things.py"
        )
        feature.write("body: Mapped[str]", "note: Mapped[str | None]")
        second = await feature.manage("make_revision", "feature", "-m", "note")
        assert (second.code, second.err) == (0, "")

        migrated = await feature.manage("tenants", "enable", tenant.slug, "feature", "--json")
        assert migrated.json["modules"] == ["conversations", "feature"]
        async with owner_connection() as connection:
            await connection.execute(text(f'SELECT note FROM "{tenant.ref.schema}".feature_things'))
        await lifecycle.delete_tenant(tenant.slug)
        await lifecycle.erase_tenant(tenant.slug, tenant.slug)

    @pytest.mark.slow
    async def test_an_empty_revision_is_for_sql_by_hand(self, feature):
        feature.write("body: Mapped[str]")
        result = await feature.manage("make_revision", "feature", "-m", "by hand", "--empty")
        assert result.code == 0
        (path,) = feature.revisions.glob("feature_0001*.py")
        assert "create_table" not in path.read_text()

    async def test_revisions_that_are_not_numbered_are_followed_by_alembics_names(self, run, load):
        module = load("body")
        write_revision(module.revisions, "1a2b", label="made")
        result = await run("make_revision", "made", "-m", "go on", "--empty")
        assert result.code == 0
        (path,) = module.revisions.glob("*_go_on.py")
        assert "down_revision = '1a2b'" in path.read_text()

    async def test_an_unknown_module_is_a_usage_error(self, run):
        result = await run("make_revision", "nope", "-m", "x")
        assert result.code == USAGE
        assert result.err.startswith("error: There is no module `nope`.")


class TestKilledRollout:
    @pytest.mark.slow
    async def test_a_rollout_killed_in_the_middle_is_resumed_and_nothing_is_half_migrated(
        self, feature, make_tenant
    ):
        feature.write("body: Mapped[str]")
        write_revision(
            feature.revisions,
            "feature_0001",
            "op.execute('SELECT pg_sleep(0.2)')\n"
            "op.execute('CREATE TABLE feature_things (id uuid PRIMARY KEY, body text)')",
            label="feature",
        )
        fleet = [await make_tenant(["conversations"]) for _ in range(6)]
        await Tenant.objects.filter(slug__in=[tenant.slug for tenant in fleet]).aupdate(
            modules=["conversations", "feature"]
        )
        names = [word for tenant in fleet for word in ("--tenant", tenant.slug)]
        process = subprocess.Popen(
            [sys.executable, "manage.py", "migrate_tenants", *names],
            cwd=ROOT,
            env={**os.environ, **feature.variables},
        )
        deadline = time.monotonic() + 20
        while len(await self.list_migrated(fleet)) < 2:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        process.kill()
        process.wait()
        done = await self.list_migrated(fleet)
        assert 2 <= len(done) < 6

        result = await feature.manage("migrate_tenants", *names, "--json")

        assert result.code == 0
        changed = {row["tenant"] for row in result.json if row["revisions"]}
        everyone = {tenant.slug for tenant in fleet}
        assert await self.list_migrated(fleet) == everyone
        # The one that was under way when the process was killed may have been committed since.
        assert changed <= everyone - done
        for tenant in fleet:
            await lifecycle.delete_tenant(tenant.slug)
            await lifecycle.erase_tenant(tenant.slug, tenant.slug)

    async def list_migrated(self, fleet):
        """Slugs of the tenants that have the table; each then has both stamps, else neither."""
        migrated = set()
        for tenant in fleet:
            async with owner_connection() as connection:
                schema = tenant.ref.schema
                row = await connection.execute(
                    text(
                        f"""
                        SELECT to_regclass('{schema}.feature_things') IS NOT NULL,
                               EXISTS (SELECT FROM "{schema}".alembic_version
                                       WHERE version_num = 'feature_0001'),
                               EXISTS (SELECT FROM tenantry.tenant_stamps
                                       WHERE tenant_id = :id AND revision = 'feature_0001')
                        """
                    ),
                    {"id": tenant.ref.id},
                )
                facts = set(row.one())
                assert len(facts) == 1, facts
                if True in facts:
                    migrated.add(tenant.slug)
        return migrated


class TestSetupDatabase:
    @pytest.mark.slow
    async def test_it_prints_settings_that_work(self):
        name = f"x{secrets.token_hex(4)}"
        result = await asyncio.to_thread(
            manage,
            *("setup_database", superuser_url(), "--database", name, "--prefix", name, "--json"),
        )
        assert (result.code, result.err) == (0, "")
        urls = {f"TENANTRY_{key.upper()}": url for key, url in result.json.items()}
        assert len(urls) == 3
        migrated = await asyncio.to_thread(manage, "migrate", "--verbosity", "0", **urls)
        assert (migrated.code, migrated.err) == (0, "")
        created = await asyncio.to_thread(
            manage, "tenants", "create", "first", "--name", "First", "--json", **urls
        )
        assert created.json["slug"] == "first"
        await asyncio.to_thread(drop_database, name, created.json["schema"])

    async def test_lines_for_the_dotenv_file_alone_are_on_standard_output(self, run):
        name = f"x{secrets.token_hex(4)}"
        result = await run("setup_database", superuser_url(), "--database", name, "--prefix", name)
        assert [line.partition("=")[0] for line in result.out.splitlines()] == [
            "TENANTRY_REGISTRY_URL",
            "TENANTRY_RUNTIME_URL",
            "TENANTRY_OWNER_URL",
        ]
        await asyncio.to_thread(drop_database, name)

    @pytest.mark.parametrize(
        ("url", "code"),
        [("nonsense", USAGE), ("postgresql://nobody@127.0.0.1:1/none", FAILED)],
    )
    async def test_what_does_not_work_is_one_line(self, run, url, code):
        result = await run("setup_database", url)
        assert result.code == code
        assert len(result.err.splitlines()) == 1
        assert result.err.startswith("error: ")


async def read_stamps(tenant):
    """The stamps by module, and what the schema's own version table says."""
    async with owner_connection() as connection:
        rows = await connection.execute(
            text("SELECT module, revision FROM tenantry.tenant_stamps WHERE tenant_id = :id"),
            {"id": tenant.ref.id},
        )
        versions = await connection.execute(
            text(f'SELECT version_num FROM "{tenant.ref.schema}".alembic_version')
        )
        return {row.module: row.revision for row in rows}, set(versions.scalars())


def drop_database(name, *more_roles):
    with psycopg.connect(superuser_url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        for role in (*more_roles, *(f"{name}_{kind}" for kind in ("registry", "runtime", "owner"))):
            connection.execute(f'DROP ROLE "{role}"')


class TestAlembic:
    @pytest.mark.slow
    async def test_a_tenant_goes_down_and_up_alone_and_its_stamps_with_it(self, make_tenant):
        tenant, other = await make_tenant(["conversations"]), await make_tenant(["conversations"])

        current = await run_alembic(tenant, "current")
        assert (current.returncode, current.stdout) == (0, "conversations_0001 (head)\n")
        down = await run_alembic(tenant, "downgrade", "conversations@base")
        assert down.returncode == 0, down.stderr
        assert await read_stamps(tenant) == ({}, set())
        assert await read_stamps(other) == (
            {"conversations": "conversations_0001"},
            {"conversations_0001"},
        )
        up = await run_alembic(tenant, "upgrade", "head")
        assert up.returncode == 0, up.stderr
        assert await read_stamps(tenant) == await read_stamps(other)
        # The replay takes over where Alembic left off.
        await lifecycle.enable_module(tenant.slug, "sample")

    async def test_history_needs_no_tenant(self, application):
        result = await run_alembic(None, "history")
        assert result.returncode == 0
        assert "conversations_0001 (conversations) (head)" in result.stdout

    @pytest.mark.slow
    async def test_nothing_differs_between_models_and_schema(self, make_tenant):
        tenant = await make_tenant(["conversations"])
        result = await run_alembic(tenant, "check")
        assert result.returncode == 0, result.stdout + result.stderr

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("slug", "arguments", "message"),
        [
            (None, ["current"], "Name the tenant: alembic -x tenant=<slug>"),
            ("nobody", ["current"], "There is no tenant 'nobody'."),
            ("nobody", ["upgrade", "head", "--sql"], "needs a tenant's database"),
        ],
    )
    async def test_what_is_missing_is_one_line(self, application, slug, arguments, message):
        tenant = type("Named", (), {"slug": slug}) if slug else None
        result = await run_alembic(tenant, *arguments)
        assert result.returncode == 1
        (line,) = result.stderr.splitlines()
        assert message in line

    def test_the_library_is_not_hidden_by_the_folder_of_the_same_name(self):
        assert "site-packages" in importlib.import_module("alembic").__file__
