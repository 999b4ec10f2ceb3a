"""Backups of one tenant, and tenants that are restored from them: equal row by row."""

import asyncio
import json
import random
import secrets
import shutil

import pytest
from sqlalchemy import text

from tenants import errors, lifecycle, modules
from tenants.dumps import _Rows
from tenants.lifecycle import backups, onboarding, owner_connection, restoring
from tenants.models import AuditEntry, Tenant
from tenants.modules import get_modules, order_modules
from tenants.revisions import lock_key
from tenants.testing import TESTER, connect, onboard
from tests.tenants.structure import read_structure
from tests.tenants.test_commands import call, plain_streams  # noqa: F401  # A fixture.
from tests.tenants.test_lifecycle import (
    assert_invisible,
    assert_works,
    cancel,
    count_traces,
    get_row,
    stop_at,
)
from tests.tenants.throwaway import make_module

TABLE = "op.execute('CREATE TABLE kept_things (id uuid CONSTRAINT kept_things_pkey PRIMARY KEY)')"
COLUMN = "op.add_column('kept_things', sa.Column('note', sa.Text()))"
# What a restoration can be cut off before; those after the commit leave a schema.
STEPS = ["load_schema", "migrate_schema", "_add_row", "run_hooks", "activate"]


@pytest.fixture
def slug():
    return f"b{secrets.token_hex(6)}"


@pytest.fixture(scope="module")
async def filled(application, make_tenant):
    """A tenant with texts that look like parts of a dump, and with some that are odd or long.

    It is read, never changed."""
    tenant = await make_tenant()
    schema = tenant.ref.schema
    texts = [
        f"{schema}.messages",
        f"COPY {schema}.messages (id) FROM stdin;\n\\.\n\n-- {schema}\nSET row_security = off;",
        "\\.\n\\.",
        "\\N",
        "tab\tnewline\r\n\\t\\n\\\\",
        "\x01\x7f",
        "é \N{FAMILY} \N{RIGHT-TO-LEFT OVERRIDE}right to left",
        "long " * 180_000,
    ]
    async with connect(application, tenant=tenant) as client:
        for number, each in enumerate(texts):
            call = {"call_id": f"{number}", "name": "look", "arguments": {schema: each[:100]}}
            body = {
                "title": each[:100],
                "metadata": {"schema": schema, "odd": each[:100]},
                "messages": [
                    {"role": "user", "content": each},
                    {"role": "assistant", "content": None, "tool_calls": [call]},
                ],
            }
            made = await client.post("/api/v1/conversations", json=body)
            assert made.status_code == 201, made.text
        made = await client.post("/api/v1/notes", json={"body": f"'{schema}'"})
        assert made.status_code == 201, made.text
    return tenant


@pytest.fixture(scope="module")
async def kept(filled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("backups") / "kept"
    await lifecycle.back_up_tenant(filled.slug, folder, by=TESTER)
    return folder


@pytest.fixture
def folder(kept, tmp_path):
    """A backup of the filled tenant, which a test may damage."""
    return shutil.copytree(kept, tmp_path / "backup")


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a release of the module `kept` beside the others, with these revisions' upgrades."""
    real = get_modules()

    def load(*upgrades):
        part = tmp_path / f"release-{len(list(tmp_path.iterdir()))}"
        loaded = order_modules([*real, make_module(part, "kept", *upgrades)]) if upgrades else real
        for importer in (modules, onboarding, restoring):
            monkeypatch.setattr(importer, "get_modules", lambda: loaded)

    return load


async def read_rows(tenant):
    """Every row of every table as text, what is generated included."""
    schema = tenant.ref.schema
    async with owner_connection() as connection:
        tables = await connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = :schema"), {"schema": schema}
        )
        found = {}
        for table in tables.scalars():
            rows = await connection.execute(
                text(f'SELECT CAST(t AS text) FROM "{schema}"."{table}" t ORDER BY 1')
            )
            found[table] = list(rows.scalars())
    return found


async def read_stamps(tenant):
    async with owner_connection() as connection:
        rows = await connection.execute(
            text("SELECT module, revision FROM tenantry.tenant_stamps WHERE tenant_id = :id"),
            {"id": tenant.ref.id},
        )
        return {row.module: row.revision for row in rows}


async def count_schemas():
    async with owner_connection() as connection:
        return (await connection.execute(text("SELECT count(*) FROM pg_namespace"))).scalar_one()


def rewrite_manifest(folder, **changes):
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def damage(folder, content, *, honest=False):
    """Replace the dump. honest: the manifest says so."""
    (folder / "schema.dump").write_bytes(content)
    if honest:
        rewrite_manifest(folder, sha256=backups._measure(folder / "schema.dump")[1])


async def restore(folder, slug, **options):
    onboarded = await lifecycle.restore_tenant(folder, slug, by=TESTER, **options)
    return onboarded.tenant, onboarded.key


class TestRestoring:
    async def test_a_restored_tenant_is_the_other_row_by_row_under_a_new_name(
        self, application, filled, folder, slug
    ):
        before = await read_rows(filled)
        assert len(before["messages"]) == 16

        tenant, key = await restore(folder, slug)

        assert (tenant.name, tenant.modules) == (filled.row.name, filled.row.modules)
        assert tenant.id != filled.row.id
        assert await read_rows(tenant) == before == await read_rows(filled)
        assert await read_structure(tenant) == await read_structure(filled)
        assert await read_stamps(tenant) == await read_stamps(filled)
        await assert_works(application, slug, key.text)
        entry = await AuditEntry.objects.aget(tenant_id=tenant.id, action="tenant.restored")
        assert entry.details["source"] == filled.slug

    async def test_what_it_held_is_served_to_its_own_key_alone(
        self, application, filled, folder, slug
    ):
        tenant, key = await restore(folder, slug, name="Copy")
        assert tenant.name == "Copy"

        async with connect(application) as client:
            answers = [
                await client.get(
                    "/api/v1/conversations", headers={"Authorization": f"Bearer {text}"}
                )
                for text in (filled.key, key.text)
            ]
            old, new = [answer.json()["data"] for answer in answers]
            assert old == new
            assert len(new) == 8
            gone = await client.delete(
                f"/api/v1/conversations/{new[0]['id']}",
                headers={"Authorization": f"Bearer {key.text}"},
            )
            assert gone.is_success
            kept = await client.get(f"/api/v1/conversations/{new[0]['id']}", headers=filled.headers)
            assert kept.status_code == 200

    async def test_one_backup_makes_any_number_of_tenants(self, filled, folder, slug):
        one, _ = await restore(folder, slug)
        other, _ = await restore(folder, f"{slug}-2")
        assert one.schema != other.schema
        assert await read_rows(one) == await read_rows(other) == await read_rows(filled)

    async def test_sessions_stay_as_they_were(self, folder, slug):
        async def ask(connection):
            names = ("search_path", "row_security", "statement_timeout", "client_min_messages")
            return [(await connection.execute(text(f"SHOW {name}"))).scalar_one() for name in names]

        async with owner_connection() as connection:
            before = await ask(connection)
        await restore(folder, slug)
        async with owner_connection() as connection:
            assert await ask(connection) == before

    async def test_a_module_that_was_disabled_keeps_its_rows(self, filled, tmp_path, slug):
        await lifecycle.disable_module(filled.slug, "sample", by=TESTER)
        await lifecycle.back_up_tenant(filled.slug, tmp_path / "without", by=TESTER)
        await lifecycle.enable_module(filled.slug, "sample", by=TESTER)

        tenant, _ = await restore(tmp_path / "without", slug)

        assert tenant.modules == ["conversations"]
        assert len((await read_rows(tenant))["sample_notes"]) == 1
        assert (await read_stamps(tenant)).keys() == {"conversations", "sample"}

    async def test_an_older_backup_is_carried_to_the_heads(self, load, make_tenant, tmp_path, slug):
        load(TABLE)
        old = await make_tenant()
        await lifecycle.back_up_tenant(old.slug, tmp_path / "old", by=TESTER)
        load(TABLE, COLUMN)

        tenant, _ = await restore(tmp_path / "old", slug)

        assert (await read_stamps(tenant))["kept"] == "kept_0002"
        assert (await read_stamps(old))["kept"] == "kept_0001"

    async def test_a_newer_backup_is_refused(self, load, make_tenant, tmp_path, slug):
        load(TABLE, COLUMN)
        new = await make_tenant()
        await lifecycle.back_up_tenant(new.slug, tmp_path / "new", by=TESTER)
        for release in ([TABLE], []):
            load(*release)
            with pytest.raises(errors.BackupTooNew, match="`kept` at `kept_0002`"):
                await restore(tmp_path / "new", slug)
        assert await get_row(slug) is None

    async def test_a_backup_of_a_newer_server_is_refused(self, folder, slug):
        rewrite_manifest(folder, postgres=99)
        with pytest.raises(errors.BackupTooNew, match="PostgreSQL 99"):
            await restore(folder, slug)

    async def test_a_taken_slug_is_refused_and_so_is_a_bad_one(self, filled, folder):
        before = await read_rows(filled)
        with pytest.raises(errors.SlugTaken):
            await restore(folder, filled.slug)
        with pytest.raises(errors.InvalidInput):
            await restore(folder, "www")
        assert await read_rows(filled) == before


class TestDamage:
    @pytest.mark.parametrize("honest", [False, True])
    async def test_a_dump_that_is_cut_short_leaves_nothing(self, folder, slug, honest):
        before = await count_schemas()
        whole = (folder / "schema.dump").read_bytes()
        for share in (0.0, 0.1, 0.6, 0.999):
            damage(folder, whole[: int(len(whole) * share)], honest=honest)
            with pytest.raises((errors.BackupUnusable, errors.ProgramFailed)) as failure:
                await restore(folder, slug)
            assert isinstance(failure.value, errors.BackupUnusable) or honest
        assert await get_row(slug) is None
        assert await count_schemas() == before

        damage(folder, whole, honest=honest)
        await restore(folder, slug)

    @pytest.mark.parametrize(
        "content", [None, "", "[]", '{"slug": "x"}', '{"extra": 1}'], ids=lambda each: repr(each)
    )
    async def test_a_folder_without_a_good_manifest_is_none(self, folder, slug, content):
        (folder / "manifest.json").unlink()
        if content is not None:
            (folder / "manifest.json").write_text(content)
        with pytest.raises(errors.BackupUnusable):
            await restore(folder, slug)


class TestCutOff:
    @pytest.mark.parametrize("step", STEPS[:3])
    async def test_before_the_commit_a_repetition_restores(
        self, application, filled, folder, slug, monkeypatch, step
    ):
        before = await count_schemas()
        await cancel(
            await stop_at(monkeypatch, f"tenants.lifecycle.restoring.{step}", restore(folder, slug))
        )
        await assert_invisible(application, slug)
        assert await count_schemas() == before

        tenant, key = await restore(folder, slug)

        assert await read_rows(tenant) == await read_rows(filled)
        await assert_works(application, slug, key.text)

    async def test_between_row_and_commit_a_repetition_restores_the_same_tenant(
        self, filled, folder, slug, monkeypatch
    ):
        add_row = restoring._add_row

        async def add_and_crash(*args):
            await add_row(*args)
            raise RuntimeError

        with monkeypatch.context() as patch:
            patch.setattr(restoring, "_add_row", add_and_crash)
            with pytest.raises(RuntimeError):
                await restore(folder, slug)
        left = await get_row(slug)
        assert await count_traces(left) == 0

        tenant, _ = await restore(folder, slug)

        assert tenant.id == left.id
        assert await read_rows(tenant) == await read_rows(filled)

    @pytest.mark.parametrize("step", STEPS[3:])
    async def test_after_the_commit_nobody_else_gets_the_data(
        self, application, folder, slug, monkeypatch, step
    ):
        await cancel(
            await stop_at(monkeypatch, f"tenants.lifecycle.restoring.{step}", restore(folder, slug))
        )
        await assert_invisible(application, slug)
        with pytest.raises(errors.WrongState, match="erase it first"):
            await onboard(slug, "Somebody else")
        with pytest.raises(errors.WrongState, match="erase it first"):
            await restore(folder, slug)

        left = await get_row(slug)
        await lifecycle.delete_tenant(slug, by=TESTER)
        await lifecycle.erase_tenant(slug, slug, by=TESTER)

        assert await count_traces(left) == 0
        _, key = await onboard(slug, "Somebody else")
        await assert_works(application, slug, key.text)

    async def test_a_creation_that_was_cut_off_is_not_restored_into(
        self, folder, slug, monkeypatch
    ):
        await cancel(
            await stop_at(
                monkeypatch, "tenants.lifecycle.onboarding.activate", onboard(slug, "Half")
            )
        )
        with pytest.raises(errors.WrongState):
            await restore(folder, slug)
        await onboard(slug, "Whole")


# Stands in for `pg_dump`: it is new enough, notes what it was called with, and fails.
_NOSY = """#!/bin/sh
case "$1" in --version) echo "pg_dump (PostgreSQL) 99.1"; exit;; esac
echo "$@" > "$0.arguments"; echo "$PGPASSWORD" > "$0.password"
echo "pg_dump: detail" >&2; echo "pg_dump: error: no room" >&2; exit 1
"""
_OLD = """#!/bin/sh
echo "pg_dump (PostgreSQL) 9.6"
"""


class TestBackingUp:
    @pytest.fixture
    def stand_in(self, tmp_path, settings):
        def make(script):
            programs = tmp_path / "programs"
            programs.mkdir()
            program = programs / "pg_dump"
            program.write_text(script)
            program.chmod(0o755)
            settings.TENANTRY = settings.TENANTRY.model_copy(update={"postgres_bin_dir": programs})
            return program

        return make

    async def test_a_backup_is_for_this_account_alone_and_says_whose_it_is(self, filled, folder):
        assert folder.stat().st_mode & 0o777 == 0o700
        manifest = backups.read_manifest(folder)
        assert (manifest.id, manifest.slug) == (filled.row.id, filled.slug)
        assert manifest.bytes == (folder / "schema.dump").stat().st_size
        assert await AuditEntry.objects.filter(
            tenant_id=filled.row.id, action="tenant.backed_up"
        ).aexists()

    async def test_its_schema_is_not_migrated_meanwhile(self, anyone, tmp_path, monkeypatch):
        free = []
        dump = backups.dump_schema

        async def look_and_dump(*args):
            async with owner_connection() as connection:
                found = await connection.execute(
                    text("SELECT pg_try_advisory_xact_lock(:high, :low)"), lock_key(anyone.ref.id)
                )
                free.append(found.scalar_one())
            await dump(*args)

        monkeypatch.setattr(backups, "dump_schema", look_and_dump)
        await lifecycle.back_up_tenant(anyone.slug, tmp_path / "backup", by=TESTER)
        assert free == [False]

    async def test_a_tenant_that_is_to_be_erased_can_be_backed_up(
        self, make_tenant, tmp_path, slug
    ):
        tenant = await make_tenant()
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        await lifecycle.back_up_tenant(tenant.slug, tmp_path / "last", by=TESTER)
        await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

        restored, _ = await restore(tmp_path / "last", tenant.slug)
        assert restored.status == "active"

    async def test_what_can_not_be_backed_up(self, anyone, tmp_path):
        await Tenant.objects.acreate(slug="half-of-it", name="Half")
        with pytest.raises(errors.WrongState):
            await lifecycle.back_up_tenant("half-of-it", tmp_path / "x", by=TESTER)
        with pytest.raises(errors.TenantNotFound):
            await lifecycle.back_up_tenant("nobody", tmp_path / "x", by=TESTER)
        with pytest.raises(errors.InvalidInput, match="is there already"):
            await lifecycle.back_up_tenant(anyone.slug, tmp_path, by=TESTER)
        with pytest.raises(errors.BackupFailed, match="No such file"):
            await lifecycle.back_up_tenant(anyone.slug, tmp_path / "no" / "x", by=TESTER)
        await Tenant.objects.filter(slug="half-of-it").adelete()

    async def test_a_failure_leaves_nothing_and_passwords_are_not_shown(
        self, anyone, tmp_path, stand_in, settings
    ):
        program = stand_in(_NOSY)
        with pytest.raises(errors.ProgramFailed, match="pg_dump failed: pg_dump: error: no room"):
            await lifecycle.back_up_tenant(anyone.slug, tmp_path / "x", by=TESTER)

        assert [path.name for path in tmp_path.iterdir()] == ["programs"]
        password = (program.parent / "pg_dump.password").read_text().strip()
        arguments = (program.parent / "pg_dump.arguments").read_text()
        assert len(password) > 20
        assert password in settings.TENANTRY.owner_url.get_secret_value()
        assert password not in arguments
        assert f"--schema={anyone.ref.schema}" in arguments

    @pytest.mark.parametrize(("script", "found"), [(_OLD, r"\(.*pg_dump is of 9\)"), (None, "")])
    async def test_an_old_program_or_none_is_named(self, anyone, tmp_path, stand_in, script, found):
        program = stand_in(script or "")
        if script is None:
            program.unlink()
        with pytest.raises(errors.ProgramMissing, match=f"or newer is needed .* found ?{found}"):
            await lifecycle.back_up_tenant(anyone.slug, tmp_path / "x", by=TESTER)


class Pieces:
    """A stream that comes in pieces of any length."""

    def __init__(self, content, seed):
        self._content, self._random = content, random.Random(seed)

    async def read(self, _limit):
        length = self._random.randint(1, 9)
        piece, self._content = self._content[:length], self._content[length:]
        return piece


class TestRows:
    SCRIPT = (
        b"--\n-- Data\n--\n\\restrict a1\n\nSET row_security = off;\n"
        b"SELECT pg_catalog.set_config('search_path', '', false);\n\n"
        b'COPY t_1.plain (id, "odd ""name", "a,b") FROM stdin;\n'
        b"1\t\\\\.\t\\\\.\n\\\\.\\n\t\\N\tCOPY t_1.x (id) FROM stdin;\nlast\t.\t\\\\\n\\.\n\n\n"
        b'COPY t_1."order" (id) FROM stdin;\n\\.\n\n'
        b"COPY t_1.more (id) FROM stdin;\n7\n\\.\n\n--\n-- complete\n--\n\n\\unrestrict a1\n\n"
    )

    @staticmethod
    async def read_all(content, seed):
        rows, found = _Rows(Pieces(content, seed)), []
        while (copy := await rows.find_copy()) is not None:
            found.append((*copy, b"".join([part async for part in rows.read()])))
        return found

    @pytest.mark.parametrize("seed", range(20))
    async def test_rows_are_told_from_what_is_around_them(self, seed):
        assert await self.read_all(self.SCRIPT, seed) == [
            (
                "plain",
                ["id", 'odd "name', "a,b"],
                b"1\t\\\\.\t\\\\.\n\\\\.\\n\t\\N\tCOPY t_1.x (id) FROM stdin;\nlast\t.\t\\\\\n",
            ),
            ("order", ["id"], b""),
            ("more", ["id"], b"7\n"),
        ]

    async def test_what_is_neither_is_not_passed_over(self):
        for odd in (b"SELECT pg_catalog.setval('t_1.s', 3, true);\n", b"COPY t_1.x FROM stdin;\n"):
            with pytest.raises(errors.BackupUnusable, match="more than tables and rows"):
                await self.read_all(odd + self.SCRIPT, 1)

    async def test_rows_without_an_end_are_not_passed_over(self):
        with pytest.raises(errors.BackupUnusable, match="breaks off"):
            await self.read_all(self.SCRIPT[: self.SCRIPT.index(b"7\n") + 2], 1)


@pytest.fixture
def run(application):
    async def run(*arguments):
        return await asyncio.to_thread(call, "tenants", *arguments)

    return run


class TestCommand:
    async def test_a_tenant_goes_into_a_folder_and_comes_back(
        self, application, run, filled, tmp_path, slug
    ):
        folder = str(tmp_path / "kept")
        written = json.loads((await run("backup", filled.slug, folder, "--json")).out)
        assert (written["folder"], written["slug"]) == (folder, filled.slug)

        made = await run("restore", folder, "--slug", slug, "--json")

        key = json.loads(made.out)["api_key"]
        await assert_works(application, slug, key)

    async def test_without_a_folder_it_is_named_after_tenant_and_time(
        self, run, anyone, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        assert (await run("backup", anyone.slug)).code == 0
        (made,) = tmp_path.iterdir()
        assert made.name.startswith(f"{anyone.slug}-2")

    async def test_what_goes_wrong_is_said_and_told_by_the_exit_code(self, run, anyone, tmp_path):
        there = await run("backup", anyone.slug, str(tmp_path))
        assert (there.code, "is there already" in there.err) == (2, True)
        none = await run("restore", str(tmp_path), "--slug", "another-one")
        assert (none.code, "can't be restored" in none.err) == (2, True)
        assert (await run("backup", "nobody")).code == 3
