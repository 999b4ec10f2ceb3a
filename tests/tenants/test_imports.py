"""Onboarding from a file: everything is checked first, nothing is made twice, no key is lost."""

import asyncio
import csv
import errno
import os
import secrets
import signal
import stat
import subprocess
import sys
import time

import pytest

from project.dev.settings import ROOT
from tenants import errors, lifecycle
from tenants.imports import read_rows
from tenants.lifecycle import owner_connection
from tenants.lifecycle.owner import lock_slug
from tenants.limits import Limits
from tenants.management.import_file import import_file
from tenants.management.output import FAILED, USAGE
from tenants.models import ApiKey, Membership, Tenant, TenantStatus
from tenants.testing import TESTER, onboard
from tests.tenants.test_commands import call, manage, plain_streams  # noqa: F401


@pytest.fixture
def prefix():
    """What the slugs of one test begin with."""
    return f"i{secrets.token_hex(5)}"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tenants.csv"


@pytest.fixture
def report(tmp_path):
    return tmp_path / "report.csv"


@pytest.fixture
def run(file, report, application):
    """Import the file with these lines."""

    async def run(*lines):
        file.write_text("\n".join(lines))
        return await import_file(file, report, by=TESTER)

    return run


def read_report(report):
    with report.open(newline="") as opened:
        return list(csv.DictReader(opened))


def find_mistakes(file, content):
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(errors.InvalidInput) as refusal:
        read_rows(file)
    return str(refusal.value).splitlines()


class TestReading:
    def test_slug_and_name_are_enough(self, file):
        file.write_text("slug,name\nacme,Acme Inc.\n\nglobex,Globex\n")
        assert [(row.slug, row.name) for row in read_rows(file)] == [
            ("acme", "Acme Inc."),
            ("globex", "Globex"),
        ]

    def test_all_columns_in_any_order_and_with_a_byte_order_mark(self, file):
        file.write_bytes(
            "\ufeffname, owner_email ,slug,limit.members,plan,modules\r\n"
            '"Acme, ""Inc.""",Ann@Example.com, acme ,20,standard,sample conversations\r\n'
            "Globex,,globex,,,\r\n".encode()
        )
        first, second = read_rows(file)
        assert (first.slug, first.name) == ("acme", 'Acme, "Inc."')
        assert first.options == {
            "modules": ["sample", "conversations"],
            "plan": "standard",
            "limits": {"members": 20},
            "owner_email": "Ann@Example.com",
        }
        assert second.options == {"modules": None, "plan": None, "limits": {}, "owner_email": None}

    def test_every_mistake_is_reported_with_its_line(self, file):
        content = """slug,name,modules,plan,owner_email,limit.members
www,,nope,gold,ann,many
fine-one,Fine,,,,

fine-two,Fine,,,,,,
fine-one,Again,,,,-1
"""
        assert find_mistakes(file, content) == [
            f"{file}:2: The slug is reserved.",
            f"{file}:2: The name must have 1 to 200 characters.",
            f"{file}:2: There is no module `nope`. There are: conversations, sample.",
            f"{file}:2: These limits can't be set: limits.members: Input should be a valid "
            f"integer. There are: {', '.join(Limits.model_fields)}.",
            f"{file}:2: The plan must be one of standard.",
            f"{file}:2: The email must be an e-mail address of up to 150 characters.",
            f"{file}:5: It has more cells than the header.",
            f"{file}:6: These limits can't be set: limits.members: Input should be a valid "
            f"integer. There are: {', '.join(Limits.model_fields)}.",
            f"{file}:6: The slug `fine-one` is on line 3 already.",
            "Nothing was created.",
        ]

    @pytest.mark.parametrize(
        ("header", "reason"),
        [
            ("slug,name,colour", "has an unknown column `colour`."),
            ("slug;name", "has an unknown column `slug;name`."),
            ("slug,name,limit.colour", "has an unknown column `limit.colour`."),
            ("slug,plan", "has no column `name`."),
            ("", "has no column `slug`."),
            ("slug,name,slug", "names a column twice."),
        ],
    )
    def test_a_header_that_is_not_right_is_refused_with_those_that_are(self, file, header, reason):
        (mistake,) = find_mistakes(file, f"{header}\nacme,Acme\n")
        assert mistake.startswith(f"The first line {reason} There are: slug, name, modules, ")

    @pytest.mark.parametrize(
        "content", [b"slug,name\nacme,\xff\n", b'slug,name\nacme,"Acme\n', b"\x7fELF\xd0\x00"]
    )
    def test_what_is_no_csv_file_is_refused(self, file, content):
        (mistake,) = find_mistakes(file, content)
        assert mistake.startswith(f"{file} is not a CSV file in UTF-8: ")


class TestImporting:
    async def test_tenants_are_made_and_their_keys_reported_to_its_owner_alone(
        self, run, prefix, report
    ):
        summary = await run(
            "slug,name,modules,plan,owner_email,limit.members",
            f"{prefix}-one,One,conversations,standard,ann@example.com,3",
            f"{prefix}-two,Two,,,,",
        )

        assert summary == {"created": 2, "exists": 0, "failed": 0, "report": str(report)}
        assert stat.S_IMODE(report.stat().st_mode) == 0o600
        rows = {row["slug"]: row for row in read_report(report)}
        for slug, name in ((f"{prefix}-one", "One"), (f"{prefix}-two", "Two")):
            tenant = await Tenant.objects.aget(slug=slug)
            assert (tenant.name, tenant.status) == (name, "active")
            key = await ApiKey.objects.aget(tenant=tenant)
            assert rows[slug]["outcome"] == "created"
            assert rows[slug]["api_key"].startswith(f"tnt_{key.public_id}_")
        one = await Tenant.objects.aget(slug=f"{prefix}-one")
        assert (one.modules, one.limits) == (["conversations"], {"members": 3})
        owner = await Membership.objects.aget(tenant=one)
        assert (owner.email, owner.role) == ("ann@example.com", "owner")
        assert "/accounts/invitations/" in rows[f"{prefix}-one"]["owner_url"]
        assert rows[f"{prefix}-two"]["owner_url"] == ""

    async def test_a_second_run_makes_nothing_and_keeps_the_report(self, run, prefix, report):
        lines = ["slug,name", *(f"{prefix}-{number},N" for number in range(6))]
        await run(*lines[:4])
        before = report.read_text()
        assert (await run(*lines[:4]))["exists"] == 3
        assert report.read_text() == before

        assert (await run(*lines))["created"] == 3
        assert report.read_text().startswith(before)
        assert (await run(*lines))["exists"] == 6
        assert [row["outcome"] for row in read_report(report)] == ["created"] * 6
        assert await ApiKey.objects.filter(tenant__slug__startswith=prefix).acount() == 6

    async def test_what_was_there_before_is_left_alone_and_how_to_get_a_key_is_said(
        self, run, prefix, report
    ):
        await onboard(prefix, "As it was")
        await lifecycle.suspend_tenant(prefix, by=TESTER)
        for _ in range(2):
            assert (await run("slug,name", f"{prefix},Other"))["exists"] == 1
        (row,) = read_report(report)
        assert (row["outcome"], row["api_key"]) == ("exists", "")
        assert row["error"] == (
            f"was there before, suspended; if you have no key of it: "
            f"manage.py keys create {prefix} --name NAME"
        )
        assert (await Tenant.objects.aget(slug=prefix)).name == "As it was"

    async def test_what_is_half_made_is_completed(self, run, prefix):
        await Tenant.objects.acreate(slug=prefix, name="Half", status=TenantStatus.PROVISIONING)
        assert (await run("slug,name", f"{prefix},Whole"))["created"] == 1
        tenant = await Tenant.objects.aget(slug=prefix)
        assert (tenant.name, tenant.status) == ("Whole", "active")

    async def test_one_that_fails_does_not_stop_the_others_and_comes_next_time(
        self, run, prefix, report
    ):
        lines = ["slug,name", *(f"{prefix}-{number},N" for number in range(6))]
        async with owner_connection() as connection:
            assert await lock_slug(connection, f"{prefix}-0")
            summary = await run(*lines)
        assert (summary["created"], summary["failed"]) == (5, 1)
        failed = [row for row in read_report(report) if row["outcome"] == "failed"]
        assert [(row["slug"], row["error"]) for row in failed] == [
            (f"{prefix}-0", f"The slug `{prefix}-0` is taken.")
        ]

        assert (await run(*lines))["created"] == 1
        assert {row["slug"] for row in read_report(report) if row["api_key"]} == {
            f"{prefix}-{number}" for number in range(6)
        }

    async def test_nothing_is_made_if_anything_is_wrong(self, run, prefix, report):
        with pytest.raises(errors.InvalidInput, match=":3: The slug is reserved"):
            await run("slug,name", f"{prefix},Fine", "www,Not")
        assert not await Tenant.objects.filter(slug=prefix).aexists()
        assert not report.exists()

    async def test_a_database_that_goes_stops_it(self, run, prefix, report, monkeypatch):
        async def get_tenant(_slug):
            raise errors.DatabaseUnavailable

        monkeypatch.setattr(lifecycle, "get_tenant", get_tenant)
        with pytest.raises(errors.DatabaseUnavailable):
            await run("slug,name", *(f"{prefix}-{number},N" for number in range(9)))
        assert read_report(report) == []


class TestReport:
    async def test_another_file_is_not_written_to(self, run, prefix, report):
        report.write_text("slug,name\nacme,Acme\n")
        report.chmod(0o644)
        with pytest.raises(errors.InvalidInput, match="is not the report of an import"):
            await run("slug,name", f"{prefix},N")
        assert report.read_text() == "slug,name\nacme,Acme\n"
        assert stat.S_IMODE(report.stat().st_mode) == 0o644
        assert not await Tenant.objects.filter(slug=prefix).aexists()

    async def test_after_a_line_that_was_cut_off_the_next_is_whole(self, run, prefix, report):
        await onboard(f"{prefix}-0", "Cut")
        await run("slug,name", f"{prefix}-1,N")
        with report.open("a") as opened:
            opened.write(f"{prefix}-0,created,tnt_abc")
        report.chmod(0o644)

        await run("slug,name", f"{prefix}-0,N", f"{prefix}-2,N")

        rows = {row["slug"]: row for row in read_report(report)}
        assert rows[f"{prefix}-0"]["outcome"] == "exists"
        assert rows[f"{prefix}-2"]["outcome"] == "created"
        assert stat.S_IMODE(report.stat().st_mode) == 0o600

    async def test_a_disk_that_is_full_stops_it_and_says_whose_key_is_lost(
        self, run, prefix, monkeypatch
    ):
        def fsync(_descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(errors.ApplicationError, match="No space left on device") as refusal:
            await run("slug,name", *(f"{prefix}-{number},N" for number in range(20)))
        assert f"`{prefix}-" in str(refusal.value)
        # Those that were under way with the first.
        assert await Tenant.objects.filter(slug__startswith=prefix).acount() <= 4

    async def test_files_that_are_not_there_are_named(self, run, tmp_path, file, prefix):
        with pytest.raises(errors.InvalidInput, match=r"nothing\.csv can't be opened"):
            await import_file(tmp_path / "nothing.csv", tmp_path / "report.csv", by=TESTER)
        file.write_text(f"slug,name\n{prefix},N\n")
        with pytest.raises(errors.InvalidInput, match=r"report\.csv can't be opened"):
            await import_file(file, tmp_path / "nowhere" / "report.csv", by=TESTER)


class TestCommand:
    async def test_it_prints_a_summary_and_exits_with_1_if_any_failed(
        self, application, prefix, file
    ):
        file.write_text(f"slug,name\n{prefix},N\n{prefix}-two,N\n")
        async with owner_connection() as connection:
            assert await lock_slug(connection, prefix)
            first = await asyncio.to_thread(
                call, "tenants", "create", "--from-file", str(file), "--json"
            )
        assert first.code == FAILED
        assert first.json == {
            "created": 1,
            "exists": 0,
            "failed": 1,
            "report": f"{file}.report.csv",
        }
        assert first.err == f"failed: {prefix}: The slug `{prefix}` is taken.\n"

        second = await asyncio.to_thread(call, "tenants", "create", "--from-file", str(file))
        assert (second.code, second.err) == (0, "")
        assert second.out.splitlines()[:3] == ["created  1", "exists   1", "failed   0"]

    async def test_mistakes_are_a_line_each(self, application, file):
        file.write_text("slug,name\nwww,N\napi,N\n")
        result = await asyncio.to_thread(
            call, "tenants", "create", "--from-file", str(file), "--json"
        )
        assert (result.code, result.out) == (USAGE, "")
        assert result.err.splitlines() == [
            f"error: {file}:2: The slug is reserved.",
            f"error: {file}:3: The slug is reserved.",
            "error: Nothing was created.",
        ]

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)]
    )
    async def test_ended_in_the_middle_it_goes_on_where_it_was(
        self, application, prefix, file, report, number, code
    ):
        slugs = {f"{prefix}-{number:02}" for number in range(40)}
        file.write_text("\n".join(["slug,name", *(f"{slug},N" for slug in sorted(slugs))]))
        arguments = ["tenants", "create", "--from-file", str(file), "--report", str(report)]
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=os.environ
        )
        deadline = time.monotonic() + 30
        while not report.exists() or len(report.read_text().splitlines()) < 6:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        process.send_signal(number)
        assert process.wait(10) == code
        before = report.read_text()

        result = await asyncio.to_thread(manage, *arguments, "--json")

        assert (result.code, result.json["failed"]) == (0, 0)
        assert report.read_text().startswith(before)
        rows = {row["slug"]: row for row in read_report(report)}
        assert set(rows) == slugs
        assert await Tenant.objects.filter(slug__in=slugs, status="active").acount() == len(slugs)
        keys = {row["api_key"].split("_")[1] for row in rows.values() if row["api_key"]}
        assert await ApiKey.objects.filter(public_id__in=keys).acount() == len(keys)
        # At most those that were under way had no line yet.
        assert len(slugs) - len(keys) <= 4
