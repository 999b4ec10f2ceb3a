"""The command line: what it prints for people and for programs, and how it ends."""

import asyncio
import importlib
import io
import json
import os
import pty
import secrets
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from sqlalchemy import Column, Table, Text, Uuid, text

from project.dev.settings import ROOT
from tenants import lifecycle, modules
from tenants.db.base import create_metadata
from tenants.lifecycle import onboarding, owner_connection
from tenants.management import command, output
from tenants.management.output import CONFLICT, FAILED, MISSING, USAGE
from tenants.models import ApiKey, Tenant
from tenants.modules import get_module, get_modules
from tenants.revisions import get_head, scripts
from tenants.testing import TESTER, onboard
from tests.tenants.alembic_cli import run_alembic
from tests.tenants.test_logins import superuser_url
from tests.tenants.throwaway import make_module, write_revision

HEAD = get_head(get_module("conversations"))


class Result:
    """How a command ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def json_lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


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
        facts = dict(line.split(maxsplit=1) for line in result.out.splitlines())
        assert facts["slug"] == slug
        assert facts["modules"] == "conversations"
        assert facts["api_key"].startswith("tnt_")
        assert result.err == "The API key is shown only now.\n"

    async def test_create_takes_plan_limits_and_an_owner(self, run, slug):
        result = await run(
            *("tenants", "create", slug, "--name", "Acme", "--plan", "standard", "--json"),
            *("--limit", "members=2", "--limit", "api_keys=3", "--owner", "Ann@Example.com"),
        )
        assert result.json["limits"] == {"members": 2, "api_keys": 3}
        assert result.json["owner"]["email"] == "ann@example.com"
        assert result.json["owner"]["role"] == "owner"
        assert result.json["owner"]["mail_sent"] is True

    async def test_the_owners_link_is_to_be_passed_on_where_no_mail_goes_out(
        self, run, slug, settings
    ):
        settings.EMAIL_BACKEND = "project.mail.NoServer"
        result = await run(
            "tenants", "create", slug, "--name", "Acme", "--owner", "ann@example.com"
        )
        assert result.code == 0
        assert "owner.url" in result.out
        assert result.err.endswith(
            "No mail could be sent to the owner: pass on the link at owner.url.\n"
        )

    async def test_the_words_of_a_tenants_life(self, run, slug):
        await onboard(slug, "Acme", ["conversations"])
        new_slug = f"{slug}-two"
        steps = [
            (["show", slug], {"slug": slug, "status": "active"}),
            (["change", slug, "--slug", new_slug, "--name", "New"], {"slug": new_slug}),
            (
                ["change", new_slug, "--limit", "domains=1", "--limit", "members=5"],
                {"limits": {"domains": 1, "members": 5}, "name": "New"},
            ),
            (["change", new_slug, "--limit", "api_keys=9"], {"limits": {"api_keys": 9}}),
            (["change", new_slug, "--plan", "standard"], {"limits": {"api_keys": 9}}),
            (["change", new_slug, "--no-limits"], {"limits": {}}),
            (["suspend", new_slug], {"status": "suspended", "name": "New"}),
            (["resume", new_slug], {"status": "active"}),
            (["enable", new_slug, "sample"], {"modules": ["conversations", "sample"]}),
            (["disable", new_slug, "sample"], {"modules": ["conversations"]}),
            (["delete", new_slug], {"status": "deleting"}),
            (["erase", new_slug, "--confirm", new_slug], {"erased": True}),
        ]
        for arguments, expected in steps:
            result = await run("tenants", *arguments, "--json")
            assert (result.code, result.err) == (0, ""), arguments
            assert expected.items() <= result.json.items(), arguments
        assert not await Tenant.objects.filter(slug=new_slug).aexists()

    async def test_list_shows_every_tenant(self, run, slug):
        name = "A [name] of some :length: that a table must not cut off"
        await onboard(slug, name)
        await lifecycle.suspend_tenant(slug, by=TESTER)

        rows = {row["slug"]: row for row in (await run("tenants", "list", "--json")).json}
        assert rows[slug]["status"] == "suspended"
        suspended = (await run("tenants", "list", "--status", "suspended", "--json")).json
        assert {row["status"] for row in suspended} == {"suspended"}
        (line,) = [
            line
            for line in (await run("tenants", "list")).out.splitlines()
            if line.startswith(slug)
        ]
        assert name in line
        assert "conversations, sample" in line

    async def test_list_goes_through_all_pages_and_repeats_no_header_in_a_pipe(
        self, run, slug, monkeypatch
    ):
        slugs = [f"{slug}-{number}" for number in range(5)]
        for each in slugs:
            await Tenant.objects.acreate(slug=each, name=f"Page {slug}")
        monkeypatch.setattr(command, "_PAGE", 2)
        monkeypatch.setattr(output, "_TABLE_ROWS", 2)

        for count, shown in ((None, slugs), ("1", slugs[:1]), ("2", slugs[:2]), ("3", slugs[:3])):
            counted = ["--count", count] if count else []
            programs = await run("tenants", "list", "--search", slug, *counted, "--json")
            assert [row["slug"] for row in programs.json] == shown
            people = (await run("tenants", "list", "--search", slug, *counted)).out.splitlines()
            assert [line.split()[0] for line in people] == ["slug", *shown]
        await Tenant.objects.filter(slug__in=slugs).adelete()

    async def test_an_empty_list_is_one_and_people_are_told_what_to_do(self, run, slug):
        assert (await run("tenants", "list", "--search", slug, "--json")).json == []
        people = await run("tenants", "list", "--plan", slug)
        assert people.out == ""
        assert "manage.py tenants create" in people.err

    async def test_modules_and_usage_of_a_tenant(self, run, slug):
        tenant, _ = await onboard(slug, "Acme", ["conversations"])
        listed = {
            row["name"]: row for row in (await run("tenants", "modules", slug, "--json")).json
        }
        assert listed["conversations"]["enabled"]
        assert listed["conversations"]["revision"] == listed["conversations"]["head"]
        assert listed["sample"] == {**listed["sample"], "enabled": False, "revision": None}
        assert (await run("tenants", "modules", slug)).err == ""

        usage = (await run("tenants", "usage", slug, "--json")).json
        assert usage["storage_bytes"] > 0
        people = (await run("tenants", "usage", slug)).out
        assert "storage_bytes" in people
        assert "counts.conversations.conversations" in people

        async with owner_connection() as connection:
            await connection.execute(
                text("UPDATE tenantry.tenant_stamps SET revision = 'old' WHERE tenant_id = :id"),
                {"id": tenant.id},
            )
            await connection.commit()
        behind = await run("tenants", "modules", slug)
        assert behind.err == (
            f"{slug} is behind. To mend it: manage.py migrate_tenants --tenant {slug}\n"
        )
        await lifecycle.delete_tenant(slug, by=TESTER)
        await lifecycle.erase_tenant(slug, slug, by=TESTER)

    async def test_exit_codes_and_one_line_on_stderr(self, run, slug):
        await onboard(slug, "Acme", ["sample"])
        for arguments, code, message in [
            (["create", "www", "--name", "X"], USAGE, "The slug is reserved."),
            (["create", slug, "--name", "X"], CONFLICT, f"The slug `{slug}` is taken."),
            (["create", "fine", "--name", ""], USAGE, "The name must have 1 to 200 characters."),
            (
                ["create", "fine", "--name", "X", "--module", "nope"],
                USAGE,
                "There is no module `nope`. There are: conversations, sample.",
            ),
            (["create", "fine"], USAGE, "Give SLUG and --name, or --from-file."),
            (
                ["create", "fine", "--from-file", "tenants.csv"],
                USAGE,
                "Beside --from-file only --report and --json can be given.",
            ),
            (["change", slug, "--plan", "none"], USAGE, "The plan must be one of standard."),
            (["show", "nobody"], MISSING, "There is no tenant `nobody`."),
            (["erase", "nobody"], MISSING, "There is no tenant `nobody`."),
            (
                ["disable", slug, "conversations"],
                CONFLICT,
                f"Another module of `{slug}` requires `conversations`.",
            ),
            (
                ["erase", slug, "--confirm", slug],
                CONFLICT,
                f"The tenant `{slug}` is active; delete it first.",
            ),
            (
                ["erase", slug, "--confirm", "other"],
                USAGE,
                "The confirmation is not the tenant's slug; nothing was erased.",
            ),
        ]:
            result = await run("tenants", *arguments, "--json")
            assert (result.code, result.out, result.err) == (code, "", f"error: {message}\n")

    async def test_erasing_asks_for_the_slug_again(self, run, slug, monkeypatch):
        await onboard(slug, "Acme")
        await lifecycle.delete_tenant(slug, by=TESTER)

        for typed in ("other\n", "", "\n"):
            monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
            result = await run("tenants", "erase", slug)
            assert (result.code, result.out) == (USAGE, "")
            assert await Tenant.objects.filter(slug=slug).aexists()

        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{slug}\n"))
        right = await run("tenants", "erase", slug)
        assert right.out == f"Erased {slug}.\n"
        assert right.err == f"All data of Acme will be gone. Type {slug} to erase it: "

    async def test_a_word_that_is_not_there_is_refused_with_those_that_are(self):
        result = await asyncio.to_thread(manage, "tenants", "explode")
        assert result.code == USAGE
        assert "usage: manage.py tenants" in result.err
        assert "suspend" in result.err

    async def test_a_limit_that_is_none_is_refused(self, run, slug):
        for wrong in ("members", "members=", "members=-1", "=3", "members=many"):
            with pytest.raises(CommandError, match="not a limit such as members=20"):
                await run("tenants", "change", slug, "--limit", wrong)

    async def test_without_a_verb_it_shows_those_that_there_are(self, run):
        result = await run("tenants")
        assert (result.code, result.out) == (USAGE, "")
        assert "suspend   Refuse a tenant's requests" in result.err

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
        await onboard(slug, "Acme")
        created = (
            await run(
                *("keys", "create", slug, "--name", "CI", "--scope", "read", "--scope", "admin"),
                *("--expires", "2099-01-31T12:00Z", "--json"),
            )
        ).json
        assert created["key"].startswith(f"tnt_{created['public_id']}_")
        assert created["scopes"] == ["admin", "read"]
        assert created["expires_at"] == "2099-01-31T12:00:00Z"

        keys = (await run("keys", "list", slug, "--json")).json
        assert [key["name"] for key in keys] == ["CI", "First key"]
        assert created["key"] not in json.dumps(keys)

        revoked = (await run("keys", "revoke", slug, created["public_id"], "--json")).json
        assert revoked["revoked_at"] is not None
        again = (await run("keys", "revoke", slug, created["public_id"], "--json")).json
        assert again["revoked_at"] == revoked["revoked_at"]

    async def test_a_key_has_read_and_write_unless_told_otherwise(self, run, slug):
        await onboard(slug, "Acme")
        created = (await run("keys", "create", slug, "--name", "Plain", "--json")).json
        assert created["scopes"] == ["read", "write"]
        assert created["expires_at"] is None

    async def test_a_key_is_rotated_and_the_old_one_goes_on_for_a_while(self, run, slug):
        await onboard(slug, "Acme")
        old = (await run("keys", "create", slug, "--name", "CI", "--scope", "read", "--json")).json

        people = await run("keys", "rotate", slug, old["public_id"])
        assert people.out.startswith("tnt_")
        assert len(people.out.splitlines()) == 1
        assert people.err == (
            "The key is shown only now. The old one works for 24 hours at the most.\n"
        )
        second = people.out.split("_")[1]
        third = (await run("keys", "rotate", slug, second, "--overlap-hours", "0.5", "--json")).json
        assert (third["name"], third["scopes"]) == ("CI", ["read"])

        ends = {}
        for key in (await run("keys", "list", slug, "--json")).json:
            ends[key["public_id"]] = key["expires_at"]
        left = datetime.fromisoformat(ends[second]) - datetime.now(UTC)
        assert timedelta(minutes=29) < left <= timedelta(minutes=30)
        assert ends[third["public_id"]] is None

        for hours in ("-1", "721"):
            refused = await run(
                "keys", "rotate", slug, third["public_id"], f"--overlap-hours={hours}"
            )
            assert (refused.code, refused.err) == (
                USAGE,
                "error: The overlap must be 0 to 30 days.\n",
            )
        revoked = await run("keys", "revoke", slug, third["public_id"])
        assert revoked.out == f"Revoked {third['public_id']}.\n"
        again = await run("keys", "rotate", slug, third["public_id"])
        assert again.code == CONFLICT

    async def test_people_see_the_key_once_and_alone_on_standard_output(self, run, slug):
        await onboard(slug, "Acme")
        result = await run("keys", "create", slug, "--name", "CI")
        assert len(result.out.splitlines()) == 1
        listed = (await run("keys", "list", slug)).out
        assert result.out.split("_")[1] in listed
        assert result.out.strip() not in listed

    async def test_exit_codes(self, run, slug):
        await onboard(slug, "Acme")
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
        unknown = await run("keys", "create", slug, "--name", "App", "--scope", "root")
        assert (unknown.code, unknown.err) == (
            USAGE,
            "error: Scopes are read, write, admin; at least one.\n",
        )
        with pytest.raises(CommandError, match="tomorrow"):
            await run("keys", "create", slug, "--name", "X", "--expires", "tomorrow")
        for hours in ("nan", "1e300", "a day"):
            with pytest.raises(CommandError, match="not a number of hours"):
                await run("keys", "rotate", slug, "4fT1xGm92LkQ", "--overlap-hours", hours)

    async def test_a_key_of_another_tenant_is_not_found(self, run, make_tenant):
        one, other = await make_tenant(), await make_tenant()
        public_id = one.key.split("_")[1]
        assert (await run("keys", "revoke", other.slug, public_id)).code == MISSING
        assert (await ApiKey.objects.aget(public_id=public_id)).revoked_at is None


class TestDomains:
    async def test_a_hosts_life(self, run, slug, monkeypatch):
        await onboard(slug, "Acme")
        host = f"chat.{slug}.example.com"
        added = (await run("domains", "add", slug, host.upper(), "--json")).json
        assert (added["host"], added["verified_at"]) == (host, None)
        record = added["dns_record"]

        people = await run("domains", "add", slug, host)
        assert people.err == (
            f"In the DNS of {host}, set a TXT record at {record['name']} with the text "
            f"{record['value']}\nThen: manage.py domains verify {slug} {host}\n"
        )
        dns = {}

        async def find_texts(name):
            return dns.get(name, [])

        monkeypatch.setattr(lifecycle.domains, "find_texts", find_texts)
        early = await run("domains", "verify", slug, host)
        assert (early.code, record["name"] in early.err) == (CONFLICT, True)
        dns[record["name"]] = [record["value"]]
        assert (await run("domains", "verify", slug, host, "--json")).json["verified_at"]

        listed = (await run("domains", "list", slug, "--json")).json
        assert [row["host"] for row in listed] == [host]
        assert record["value"] in (await run("domains", "list", slug)).out

        assert (await run("domains", "remove", slug, host)).out == f"Removed {host}.\n"
        gone = await run("domains", "remove", slug, host, "--json")
        assert (gone.code, gone.out) == (MISSING, "")
        assert "manage.py domains add" in (await run("domains", "list", slug)).err


class TestMembers:
    async def test_a_members_life(self, run, slug):
        await onboard(slug, "Acme")
        invited = (
            await run("members", "invite", slug, "ann@example.com", "--role", "admin", "--json")
        ).json
        assert (invited["role"], invited["status"]) == ("admin", "invited")
        assert invited["mail_sent"] is True
        assert "/accounts/invitations/" in invited["url"]
        assert (await run("members", "invite", slug, "bo@example.com", "--json")).json[
            "role"
        ] == "member"

        by_id = await run("members", "change", slug, invited["id"], "--role", "viewer", "--json")
        assert by_id.json["role"] == "viewer"
        by_mail = await run(
            "members", "change", slug, "ann@example.com", "--role", "owner", "--json"
        )
        assert by_mail.json["role"] == "owner"
        listed = (await run("members", "list", slug, "--json")).json
        assert [(row["email"], row["role"]) for row in listed] == [
            ("ann@example.com", "owner"),
            ("bo@example.com", "member"),
        ]
        assert "ann@example.com" in (await run("members", "list", slug)).out

        for member in (invited["id"], "bo@example.com"):
            assert (await run("members", "remove", slug, member)).out == f"Removed {member}.\n"
        assert (await run("members", "remove", slug, "bo@example.com")).code == MISSING
        assert "manage.py members invite" in (await run("members", "list", slug)).err

    async def test_a_link_that_no_mail_carries_is_to_be_passed_on(self, run, slug, settings):
        await onboard(slug, "Acme")
        settings.EMAIL_BACKEND = "project.mail.NoServer"
        result = await run("members", "invite", slug, "ann@example.com")
        assert "/accounts/invitations/" in result.out
        assert result.err.endswith("No mail could be sent: pass on the link at url.\n")


class TestOperators:
    async def test_an_operators_life(self, run):
        name = f"Operator {secrets.token_hex(4)}"
        people = await run("operators", "create", name, "--scope", "read")
        assert people.out.startswith("tno_")
        assert len(people.out.splitlines()) == 1
        created = (await run("operators", "create", name, "--expires", "2099-01-31", "--json")).json
        assert created["scopes"] == ["read", "write", "erase"]
        assert created["expires_at"] == "2099-01-31T00:00:00Z"

        listed = [
            row for row in (await run("operators", "list", "--json")).json if row["name"] == name
        ]
        assert [row["scopes"] for row in listed] == [["read", "write", "erase"], ["read"]]
        assert created["key"] not in json.dumps(listed)
        assert created["public_id"] in (await run("operators", "list")).out

        assert (await run("operators", "revoke", created["public_id"], "--json")).json["revoked_at"]
        for row in listed:
            assert (await run("operators", "revoke", row["public_id"])).code == 0
        assert (await run("operators", "revoke", "nobody")).code == MISSING


class TestAudit:
    async def test_what_commands_do_is_listed_with_who_did_it(self, run, slug):
        await run("tenants", "create", slug, "--name", "Acme")
        await run("tenants", "suspend", slug)
        await run("tenants", "resume", slug)

        entries = (await run("audit", "list", "--tenant", slug, "--json")).json
        assert [entry["action"] for entry in entries] == [
            "tenant.resumed",
            "tenant.suspended",
            "tenant.created",
        ]
        actor = entries[0]["actor"]
        assert actor["kind"] == "command"
        newest = await run("audit", "list", "--tenant", slug, "--count", "1", "--json")
        assert newest.json == entries[:1]
        chosen = await run(
            *("audit", "list", "--tenant", slug, "--json"),
            *("--action", "tenant.suspended", "--actor", actor["id"]),
        )
        assert chosen.json == entries[1:2]
        people = (await run("audit", "list", "--tenant", slug)).out.splitlines()
        assert len(people) == 4
        assert '{"status":["suspended","active"]}' in people[1]
        assert (await run("audit", "list", "--actor", slug)).err == "No such entries.\n"

    async def test_export_writes_a_line_for_each_through_all_pages(self, run, slug, monkeypatch):
        monkeypatch.setattr(command, "_PAGE", 2)
        await run("tenants", "create", slug, "--name", "Acme")
        for verb in ("suspend", "resume", "suspend", "resume"):
            await run("tenants", verb, slug)

        lines = (await run("audit", "export", "--tenant", slug)).out.splitlines()
        entries = [json.loads(line) for line in lines]
        assert len(entries) == 5
        assert entries == (await run("audit", "list", "--tenant", slug, "--json")).json
        assert entries == (await run("audit", "export", "--tenant", slug, "--json")).json


class TestMigrateTenants:
    async def test_it_says_what_it_did(self, run, make_tenant):
        tenant = await make_tenant()
        people = await run("migrate_tenants", "--tenant", tenant.slug)
        assert people.code == 0
        assert people.out.startswith("completed: 0 migrated, 0 failed, in ")
        assert f"0 to carry to conversations@{HEAD}" in people.err
        assert "; 1 there already\n" in people.err

        program = await run("migrate_tenants", "--tenant", tenant.slug, "--json")
        assert (program.code, program.err) == (0, "")
        planned, ended = program.json_lines
        assert (planned["event"], planned["planned"], planned["current"]) == ("planned", 0, 1)
        assert (ended["event"], ended["status"], ended["migrated"]) == ("ended", "completed", 0)

    async def test_every_failure_is_reported_and_the_exit_code_is_1(self, run, make_tenant):
        fine, broken, other = [await make_tenant(["conversations"]) for _ in range(3)]
        for tenant in (broken, other):
            async with owner_connection() as connection:
                await connection.execute(
                    text("UPDATE tenantry.tenant_stamps SET revision = 'old' WHERE tenant_id = :i"),
                    {"i": tenant.ref.id},
                )
                await connection.commit()
        names = [word for tenant in (fine, broken, other) for word in ("--tenant", tenant.slug)]

        people = await run("migrate_tenants", *names)
        program = await run("migrate_tenants", *names, "--json")

        assert people.code == program.code == FAILED
        assert people.out.startswith("failed: 0 migrated, 2 failed, in ")
        reason = "The module `conversations` has no revision `old` in this release."
        for tenant in (broken, other):
            assert f"failed: {tenant.slug}: {reason}\n" in people.err
        assert {
            row["slug"]: row["error"] for row in program.json_lines if row["event"] == "tried"
        } == {broken.slug: reason, other.slug: reason}
        for tenant in (broken, other):
            await lifecycle.delete_tenant(tenant.slug, by=TESTER)
            await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

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
            "TENANTRY_ROLLOUT_LEASE_SECONDS": "1",
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
        for importer in (modules, scripts, onboarding):
            monkeypatch.setattr(importer, "get_modules", lambda: loaded)
        return loaded[-1]

    return load


def split(module, pattern):
    """The bodies of a revision's `upgrade` and `downgrade`."""
    (path,) = module.revisions.glob(pattern)
    _, upgrade, downgrade = path.read_text().split("() -> None:")
    return upgrade, downgrade


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
        await lifecycle.enable_module(tenant.slug, "made", by=TESTER)
        assert (await read_stamps(tenant))[0]["made"] == "made_0003"
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

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
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

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
        result = await run("make_revision", "made", "-m", "go on", "--empty", "--json")
        (path,) = module.revisions.glob("*_go_on.py")
        assert (result.code, result.json) == (0, {"path": str(path)})
        assert "down_revision = '1a2b'" in path.read_text()

    async def test_an_unknown_module_is_a_usage_error(self, run):
        result = await run("make_revision", "nope", "-m", "x")
        assert result.code == USAGE
        assert result.err.startswith("error: There is no module `nope`.")


class TestRolloutThatIsCutOff:
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

        # The dead runner counts as alive until its lease has ended.
        result = await feature.manage("rollout", "run", *names, "--wait", "20", "--json")

        assert result.code == 0
        changed = {row["slug"] for row in result.json_lines if row["event"] == "tried"}
        everyone = {tenant.slug for tenant in fleet}
        assert await self.list_migrated(fleet) == everyone
        # The one that was under way when the process was killed may have been committed since.
        assert changed <= everyone - done
        for tenant in fleet:
            await lifecycle.delete_tenant(tenant.slug, by=TESTER)
            await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

    @pytest.mark.slow
    async def test_ctrl_c_on_a_terminal(self, feature, make_tenant):
        feature.write("body: Mapped[str]")
        write_revision(
            feature.revisions,
            "feature_0001",
            "op.execute('SELECT pg_sleep(60)')",
            label="feature",
        )
        tenant = await make_tenant(["conversations"])
        await Tenant.objects.filter(slug=tenant.slug).aupdate(modules=["conversations", "feature"])
        terminal, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "manage.py", "rollout", "run", "--tenant", tenant.slug],
            cwd=ROOT,
            env={**os.environ, **feature.variables, "TERM": "xterm", "COLUMNS": "100"},
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
        )
        os.close(theirs)
        seen = ""
        while "0 of 1 done" not in seen:
            seen += (await asyncio.to_thread(os.read, terminal, 1000)).decode()

        process.send_signal(signal.SIGINT)

        out, _ = await asyncio.to_thread(process.communicate, timeout=10)
        assert process.returncode == 130
        assert out.startswith("interrupted: 0 migrated, 0 failed, in ")
        seen += os.read(terminal, 10_000).decode()
        os.close(terminal)
        assert "To carry on: manage.py rollout resume roll_" in seen
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

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
        assert (current.returncode, current.stdout) == (0, f"{HEAD} (head)\n")
        down = await run_alembic(tenant, "downgrade", "conversations@base")
        assert down.returncode == 0, down.stderr
        assert await read_stamps(tenant) == ({}, set())
        assert await read_stamps(other) == (
            {"conversations": HEAD},
            {HEAD},
        )
        up = await run_alembic(tenant, "upgrade", "head")
        assert up.returncode == 0, up.stderr
        assert await read_stamps(tenant) == await read_stamps(other)
        # The replay takes over where Alembic left off.
        await lifecycle.enable_module(tenant.slug, "sample", by=TESTER)

    async def test_history_needs_no_tenant(self, application):
        result = await run_alembic(None, "history")
        assert result.returncode == 0
        assert f"{HEAD} (conversations) (head)" in result.stdout

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
