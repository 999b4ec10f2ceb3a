"""The doctor: each check finds what it is there for, and says how to mend it."""

import asyncio
import dataclasses
import secrets
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from pydantic import SecretStr

from tenants import doctor
from tenants.apps import get_settings
from tenants.db.base import create_metadata
from tenants.doctor import Status, examine, fleet, installation, jobs, logins, server
from tenants.doctor.finding import count, list_some
from tenants.ids import new_id
from tenants.jobs.work import ModuleJob
from tenants.lifecycle import owner_connection
from tenants.management.output import FAILED
from tenants.models import JobPass, Tenant, TenantStatus
from tenants.module import Job
from tenants.modules import get_modules
from tenants.revisions import get_head
from tests.tenants.test_commands import call, plain_streams  # noqa: F401
from tests.tenants.test_logins import at, superuser_url
from tests.tenants.throwaway import make_module

HEADS = {module.name: get_head(module) for module in get_modules()}


@pytest.fixture
async def superuser():
    connection = await asyncpg.connect(superuser_url())
    yield connection
    await connection.close()


@pytest.fixture
async def login(superuser):
    """The name of a login without any right; its URL is `settings_of(login)`'s."""
    name = f"d{secrets.token_hex(4)}"
    await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    yield name
    await superuser.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def settings_with(kind, login):
    """The settings, with this login in the place of one of the three."""
    url = SecretStr(at(superuser_url(), username=login, password="pw"))
    return get_settings().model_copy(update={f"{kind}_url": url})


def only(findings):
    (finding,) = findings
    return finding


class TestExamining:
    async def test_the_installation_of_this_run_is_well(self, application):
        findings = await examine(1)
        # What other tests leave behind of tenants is another matter.
        wrong = [
            finding
            for finding in findings[: [each.name for each in findings].index("tenants")]
            if finding.status is not Status.OK
        ]
        assert wrong == []
        assert {"plans", "revisions", "leftovers"} <= {finding.name for finding in findings}
        assert all(bool(finding.mend) == (finding.status != "ok") for finding in findings)

    async def test_logins_out_of_reach_are_each_named_and_nothing_else_is_looked_at(
        self, application, settings
    ):
        nowhere = SecretStr("postgresql://nobody@127.0.0.1:1/none")
        settings.TENANTRY = settings.TENANTRY.model_copy(
            update={"registry_url": nowhere, "owner_url": nowhere}
        )
        found = {finding.name: finding for finding in await examine(1)}
        for name in ("registry login", "owner login"):
            assert found[name].status is Status.PROBLEM
            assert "127.0.0.1" in found[name].found
            assert "setup_database" in found[name].mend
        assert found["runtime login"].status is Status.OK
        assert not {"server version", "migrations", "plans"} & set(found)

    async def test_a_check_that_fails_itself_is_a_finding(self, application, monkeypatch):
        async def check_server(*_):
            raise asyncpg.InsufficientPrivilegeError("permission denied for table pg_secret")

        monkeypatch.setattr(doctor, "check_server", check_server)
        found = {finding.name: finding for finding in await examine(1)}
        assert "permission denied for table pg_secret" in found["server"].found

    async def test_the_registry_of_an_older_release_is_not_looked_into(
        self, application, monkeypatch
    ):
        recorder = MigrationRecorder(connection)
        (newest,) = MigrationLoader(None).graph.leaf_nodes("tenants")
        await sync_to_async(recorder.record_unapplied)(*newest)
        try:
            findings = await examine(1)
        finally:
            await sync_to_async(recorder.record_applied)(*newest)
        assert findings[-1].name == "migrations"
        assert ".".join(newest) in findings[-1].found
        assert findings[-1].mend == "Apply them: manage.py migrate"


class TestCommand:
    async def test_a_problem_is_shown_with_how_to_mend_it_and_exits_with_1(self, application):
        people = await asyncio.to_thread(call, "doctor", "--workers", "1000")
        assert people.code == FAILED
        lines = people.out.splitlines()
        (at,) = [number for number, line in enumerate(lines) if "1,000 workers with" in line]
        assert lines[at].startswith("problem  max_connections")
        assert "→ Set max_connections to" in lines[at + 1]
        program = await asyncio.to_thread(call, "doctor", "--workers", "1000", "--json")
        assert program.code == FAILED
        (row,) = [row for row in program.json if row["name"] == "max_connections"]
        assert (row["status"], row["found"] in lines[at]) == ("problem", True)
        assert set(row) == {"name", "status", "found", "mend"}

    async def test_warnings_alone_exit_with_0(self, application, monkeypatch):
        async def examine(_workers):
            return [
                doctor.finding.ok("one", "It is well."),
                doctor.finding.warning("two", "It may not stay so.", "Do this."),
            ]

        monkeypatch.setattr("tenants.management.commands.doctor.examine", examine)
        result = await asyncio.to_thread(call, "doctor")
        assert result.code == 0
        assert [line.strip() for line in result.out.splitlines()] == [
            "ok       one  It is well.",
            "warning  two  It may not stay so.",
            "→ Do this.",
            "",
            "0 problems, 1 warning",
        ]


class TestSettings:
    @pytest.fixture
    def check(self, settings):
        """What is found of these settings that isn't well: name, status and what to mend."""

        def check(**changes):
            changes = {"secret_key": SecretStr("k" * 32)} | changes
            settings.TENANTRY = settings.TENANTRY.model_copy(update=changes)
            return {
                finding.name: (finding.status.value, finding.mend)
                for finding in installation.check_settings()
                if finding.status is not Status.OK
            }

        return check

    def test_development_needs_no_more_than_it_has(self, check):
        assert check() == {}

    def test_links_that_lead_nowhere_are_found(self, check):
        found = check(public_url="http://chat.example.com")
        assert found["public URL"][0] == "warning"
        assert "Add chat.example.com to TENANTRY_ALLOWED_HOSTS" in found["public URL"][1]
        assert check(public_url="http://example.com", base_domain="example.com") == {}

    def test_signatures_of_one_process_alone_are_found(self, check):
        assert check(secret_key=None)["secret key"][0] == "warning"

    def test_production_needs_tls_mail_and_no_debug_pages(self, check):
        found = check(environment="production", debug=True)
        assert set(found) == {"public URL", "debug", "e-mail"}
        assert {status for status, _ in found.values()} == {"problem"}
        assert "https://" in found["public URL"][1]
        assert "TENANTRY_EMAIL_URL" in found["e-mail"][1]

        wanted = {
            "environment": "production",
            "debug": False,
            "public_url": "https://chat.example.com",
            "allowed_hosts": ["chat.example.com"],
            "email_url": SecretStr("smtp://mail.example.com"),
        }
        assert check(**wanted) == {}
        assert check(**wanted | {"allowed_hosts": []})["public URL"][0] == "problem"


class TestModules:
    def test_modules_that_do_not_load_are_found(self, monkeypatch):
        def get_modules():
            raise ImproperlyConfigured("two modules are named notes")

        monkeypatch.setattr(installation, "get_modules", get_modules)
        finding = only(installation.check_modules())
        assert (finding.status, finding.blocks) == (Status.PROBLEM, True)
        assert "two modules are named notes" in finding.found

    def test_tables_that_no_revision_makes_are_found(self, monkeypatch, tmp_path):
        module = make_module(tmp_path, "bare", metadata=get_modules()[0].metadata)
        monkeypatch.setattr(installation, "get_modules", lambda: [module])
        finding = only(installation.check_modules())
        assert finding.status is Status.PROBLEM
        assert "manage.py make_revision bare" in finding.mend

        empty = make_module(tmp_path, "empty", metadata=create_metadata())
        monkeypatch.setattr(installation, "get_modules", lambda: [empty])
        assert only(installation.check_modules()).status is Status.OK


class TestLogins:
    async def test_a_runtime_login_with_too_many_rights_is_found(self, login, superuser):
        await superuser.execute(f"ALTER ROLE {login} NOINHERIT CREATEROLE")
        finding = only(await logins.check_runtime(settings_with("runtime", login)))
        assert finding.status is Status.PROBLEM
        assert f"the runtime login {login} has CREATEROLE" in finding.found

    async def test_an_owner_login_with_too_few_rights_is_found(self, login, superuser, anyone):
        async def check():
            finding = only(await logins.check_owner(settings_with("owner", login)))
            return finding.status.value, finding.found, finding.mend

        status, found, mend = await check()
        assert (status, found) == ("problem", f"{login} can't make roles.")
        await superuser.execute(mend)
        status, found, mend = await check()
        assert (status, found) == ("problem", f"{login} can't make schemas.")
        await superuser.execute(mend)
        status, found, mend = await check()
        assert status == "problem"
        assert f"{login} doesn't own the schemas of" in found
        await superuser.execute(f"ALTER ROLE {login} SUPERUSER")
        status, found, mend = await check()
        assert (status, f"{login} is a superuser" in found) == ("warning", True)

    async def test_a_registry_login_that_owns_nothing_is_found(self, login, superuser, application):
        tables, log = await logins.check_registry(settings_with("registry", login))
        assert (tables.status, log.status) == (Status.PROBLEM, Status.PROBLEM)
        assert f"{login} doesn't own" in tables.found
        assert "auth_group, auth_group_permissions" in tables.found
        assert log.found == f"{login} can't write it, so nothing can be administered."
        await superuser.execute(log.mend)
        _, log = await logins.check_registry(settings_with("registry", login))
        assert log.status is Status.OK

    @pytest.mark.parametrize("right", ["UPDATE", "DELETE", "TRUNCATE"])
    async def test_a_registry_login_that_can_rewrite_the_audit_log_is_found(
        self, login, superuser, application, right
    ):
        await superuser.execute(
            f"GRANT USAGE ON SCHEMA tenantry TO {login};"
            f"GRANT SELECT, INSERT, {right} ON tenantry.audit_log TO {login}"
        )
        _, log = await logins.check_registry(settings_with("registry", login))
        assert log.status is Status.PROBLEM
        assert log.found == f"{login} has {right}: the login could rewrite it."
        await superuser.execute(log.mend.partition(";")[0])
        _, log = await logins.check_registry(settings_with("registry", login))
        assert log.status is Status.OK

    async def test_a_registry_login_that_owns_the_audit_log_is_found(self, application):
        swapped = get_settings().model_copy(update={"registry_url": get_settings().owner_url})
        _, log = await logins.check_registry(swapped)
        assert (log.status, "owns it" in log.found) == (Status.PROBLEM, True)


def make_server(**changes):
    facts = {
        "version": 18,
        "locks_per_transaction": 64,
        "max_connections": 100,
        "max_prepared_transactions": 0,
        "reserved": 3,
        "tenants": 10,
        "tables": 100,
        "drop_locks": 100,
        "ahead": timedelta(0),
        "has_plpgsql": True,
    }
    return server.Server(**facts | changes)


class TestServer:
    async def test_it_counts_the_locks_that_a_drop_takes(self, anyone):
        async with owner_connection() as opened:
            raw = await opened.get_raw_connection()
            driver = raw.driver_connection
            largest = await driver.fetchval(
                """
                SELECT nspname FROM pg_namespace WHERE oid = (
                    SELECT relnamespace FROM pg_class
                    WHERE relnamespace IN
                        (SELECT oid FROM pg_namespace WHERE nspname ~ '^t_[0-9a-f]{32}$')
                    GROUP BY relnamespace ORDER BY count(*) DESC LIMIT 1)
                """
            )
            counted = await driver.fetchval(server._DROP_LOCKS)
            transaction = driver.transaction()
            await transaction.start()
            await driver.execute(f'DROP SCHEMA "{largest}" CASCADE')
            taken = await driver.fetchval(
                """
                SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()
                  AND locktype IN ('relation', 'object') AND NOT fastpath
                """
            )
            await transaction.rollback()
        # A weak lock of the catalog's may miss the fast path, which others use at the same time.
        assert counted <= taken <= counted + 5

    async def test_the_server_of_this_run_is_read(self, application):
        read = await server.read_server(get_settings())
        assert read.version >= 15
        assert read.max_connections > read.reserved > 0
        assert read.lock_slots >= read.locks_per_transaction * read.max_connections
        assert abs(read.ahead) < timedelta(seconds=1)
        assert read.has_plpgsql

    @pytest.mark.parametrize(
        ("version", "tenants", "status"),
        [(14, 0, "problem"), (15, 1000, "ok"), (16, 1001, "warning"), (17, 9000, "ok")],
    )
    def test_version(self, version, tenants, status):
        finding = server.check_version(make_server(version=version, tenants=tenants))
        assert finding.status == status

    @pytest.mark.parametrize(
        ("changes", "status", "enough"),
        [
            ({"drop_locks": 640}, "ok", None),
            ({"drop_locks": 641}, "warning", "65"),
            ({"drop_locks": 6400}, "warning", "640"),
            ({"drop_locks": 6401}, "problem", "641"),
            ({"drop_locks": 6401, "max_prepared_transactions": 1}, "warning", "634"),
        ],
    )
    def test_locks(self, changes, status, enough):
        finding = server.check_locks(make_server(**changes))
        assert finding.status == status
        assert "Back up by schema" not in finding.found
        if enough:
            assert finding.mend.startswith(f"Set max_locks_per_transaction to {enough} or more")

    def test_tables_that_one_dump_can_not_lock(self):
        finding = server.check_locks(make_server(tables=6401))
        assert (finding.status, "Back up by schema" in finding.found) == (Status.OK, True)

    @pytest.mark.parametrize(
        ("workers", "pool_size", "status", "enough"),
        [
            (1, 10, "ok", None),
            (6, 10, "ok", None),
            (7, 9, "warning", 104),
            (7, 10, "problem", 111),
        ],
    )
    def test_connections(self, workers, pool_size, status, enough):
        finding = server.check_connections(make_server(), pool_size, workers)
        assert finding.status == status
        if enough:
            assert f"Set max_connections to {enough} or more" in finding.mend

    @pytest.mark.parametrize(
        ("seconds", "status", "found"),
        [
            (0.9, "ok", "agrees"),
            (1.5, "warning", "1.5 s ahead"),
            (-2, "warning", "2.0 s behind"),
            (6, "problem", "6.0 s ahead"),
            (-99, "problem", "99.0 s behind"),
        ],
    )
    def test_clock(self, seconds, status, found):
        finding = server.check_clock(make_server(ahead=timedelta(seconds=seconds)))
        assert (finding.status, found in finding.found) == (status, True)

    def test_extensions(self):
        assert server.check_plpgsql(make_server()).status is Status.OK
        missing = server.check_plpgsql(make_server(has_plpgsql=False))
        assert (missing.status, missing.mend) == (Status.PROBLEM, "CREATE EXTENSION plpgsql;")


def make_row(slug, **values):
    values = {"status": TenantStatus.ACTIVE, "modules": list(HEADS)} | values
    created_at = values.pop("created_at", datetime.now(UTC))
    return Tenant(slug=slug, name=slug, created_at=created_at, **values)


def make_fleet(*tenants, **changes):
    """A fleet in which everything is as it should be."""
    ids = {tenant.id for tenant in tenants}
    stamps = {
        tenant.id: {name: HEADS[name] for name in tenant.modules if name in HEADS}
        for tenant in tenants
    }
    return dataclasses.replace(fleet.Fleet(tenants, ids, ids, stamps), **changes)


class TestFleet:
    async def test_it_reads_what_there_is_of_a_tenant(self, make_tenant):
        tenant = await make_tenant(["conversations"])
        read = await fleet.read_fleet(get_settings())
        assert tenant.slug in {row.slug for row in read.living}
        assert tenant.ref.id in read.schemas
        assert tenant.ref.id in read.roles
        assert read.stamps[tenant.ref.id] == {"conversations": HEADS["conversations"]}

    def test_a_fleet_that_is_well(self):
        well = make_fleet(*(make_row(f"well-{number}") for number in range(3)))
        assert fleet.check_schemas(well).status is Status.OK
        assert [finding.status for finding in fleet.check_revisions(well)] == [Status.OK]
        assert fleet.check_leftovers(well).status is Status.OK
        assert fleet.check_half_made(well).status is Status.OK
        assert fleet.check_deleted(well).status is Status.OK
        assert fleet.check_plans(well, get_settings()).status is Status.OK

    def test_tenants_without_a_schema(self):
        tenants = [
            make_row("lost"),
            make_row("also-lost", status=TenantStatus.SUSPENDED),
            # These may have none.
            make_row("being-made", status=TenantStatus.PROVISIONING),
            make_row("being-erased", status=TenantStatus.DELETING),
        ]
        finding = fleet.check_schemas(make_fleet(*tenants, schemas=set()))
        assert finding.status is Status.PROBLEM
        assert finding.found == "2 tenants without a schema: also-lost, lost"

    def test_tenants_behind_their_heads_are_counted_by_module(self):
        tenants = [make_row(f"late-{number}") for number in range(7)]
        stamps = {tenant.id: dict(HEADS) for tenant in tenants}
        for tenant in tenants[:6]:
            del stamps[tenant.id]["sample"]
        del stamps[tenants[6].id]["conversations"]
        finding = only(fleet.check_revisions(make_fleet(*tenants, stamps=stamps)))
        assert finding.status is Status.PROBLEM
        assert finding.found == (
            f"conversations below {HEADS['conversations']}: 1 tenant (late-6); "
            f"sample below {HEADS['sample']}: 6 tenants "
            "(late-0, late-1, late-2, late-3, late-4 and 1 more)"
        )
        assert finding.mend.endswith("manage.py rollout run")

    def test_revisions_of_another_release_and_modules_that_are_not_loaded(self):
        newer = make_row("newer")
        fewer = make_row("fewer", modules=["conversations", "gone"])
        stamps = {
            newer.id: HEADS | {"sample": "sample_9999"},
            fewer.id: {"conversations": HEADS["conversations"], "gone": "gone_0001"},
        }
        foreign, unloaded = fleet.check_revisions(make_fleet(newer, fewer, stamps=stamps))
        assert foreign.found == "Not of this release: sample at sample_9999: 1 tenant (newer)"
        assert unloaded.found == "Modules that are not loaded: gone: 1 tenant (fewer)"
        assert {foreign.status, unloaded.status} == {Status.PROBLEM}

    def test_leftovers_of_tenants_that_nobody_knows(self):
        tenant = make_row("known")
        ghost = uuid4()
        haunted = make_fleet(
            tenant,
            schemas={tenant.id, ghost},
            roles={tenant.id, ghost},
            stamps={ghost: dict(HEADS)},
        )
        finding = fleet.check_leftovers(haunted)
        name = f"t_{ghost.hex}"
        assert finding.status is Status.WARNING
        assert finding.found == (
            f"Of no tenant in the registry: 1 schema ({name}); 1 role ({name}); 1 stamp ({name})"
        )

    def test_what_is_being_made_at_this_moment_is_no_leftover(self):
        assert fleet.check_leftovers(make_fleet(schemas={new_id()})).status is Status.OK

    async def test_leftovers_are_found_in_the_database(self, application, superuser):
        ghost = uuid4()
        await superuser.execute(f'CREATE SCHEMA "t_{ghost.hex}"')
        try:
            read = await fleet.read_fleet(get_settings())
        finally:
            await superuser.execute(f'DROP SCHEMA "t_{ghost.hex}"')
        assert ghost in read.schemas
        assert ghost not in {tenant.id for tenant in read.tenants}

    def test_creations_that_nobody_has_completed(self):
        hours = [timedelta(minutes=59), timedelta(minutes=61)]
        tenants = [
            make_row(
                f"half-{number}",
                status=TenantStatus.PROVISIONING,
                created_at=datetime.now(UTC) - age,
            )
            for number, age in enumerate(hours)
        ]
        finding = fleet.check_half_made(make_fleet(*tenants))
        assert finding.status is Status.WARNING
        assert finding.found == "1 creation cut off and not repeated: half-1"

    def test_tenants_that_wait_for_being_erased(self):
        finding = fleet.check_deleted(make_fleet(make_row("old", status=TenantStatus.DELETING)))
        assert finding.status is Status.WARNING
        assert finding.found == "1 tenant still there with all data: old"

    def test_plans_that_are_gone_from_the_settings(self):
        finding = fleet.check_plans(make_fleet(make_row("rich", plan="gold")), get_settings())
        assert finding.status is Status.WARNING
        assert finding.found.endswith("gold: 1 tenant (rich)")


class TestJobs:
    """Jobs of the made-up module `m`, which the tenant `old` has had for a day."""

    NOW = datetime.now(UTC)
    OLD = Tenant(
        slug="old", status=TenantStatus.ACTIVE, modules=["m"], created_at=NOW - timedelta(days=1)
    )

    def judge(self, began=None, every=120.0, ended=True, tenants=(OLD,), **row):
        """What is said of a job whose last pass began then, or so long ago, or of one without."""

        async def run(tenant):
            return 0

        job = ModuleJob("m", Job(name="j", every_seconds=every, run=run))
        if began is None:
            return jobs.judge_jobs([job], {}, tenants)
        now = datetime.now(UTC)
        began_at = now - timedelta(**began) if isinstance(began, dict) else began
        known = JobPass(name=job.name, began_at=began_at, ended_at=now if ended else None, **row)
        return jobs.judge_jobs([job], {job.name: known}, tenants)

    def late(self, began, **options):
        finding = only(self.judge(began, **options))
        assert (finding.name, finding.status) == ("jobs", Status.WARNING)
        assert "TENANTRY_JOBS_AT_ONCE" in finding.mend
        return finding.found.removeprefix("Late: ")

    @pytest.mark.parametrize("ended", [True, False])
    def test_one_that_is_in_time(self, ended):
        finding = only(self.judge({"seconds": 350}, ended=ended))
        assert (finding.status, finding.found) == (Status.OK, "1 job, none of them late.")

    def test_a_restart_is_nothing_to_a_short_period(self):
        assert only(self.judge({"seconds": 50}, every=1.0)).status is Status.OK
        assert only(self.judge({"seconds": 70}, every=1.0)).status is Status.WARNING

    def test_one_that_nobody_runs_any_more(self):
        assert self.late({"hours": 5}) == "m.j, due every 2 minutes, was last begun 5 hours ago"

    def test_a_pass_that_does_not_get_on(self):
        found = self.late({"minutes": 90}, every=1.5, ended=False, done=1500, total=10_000)
        assert found == (
            "m.j, due every 1.5 s, has come to 1,500 of 10,000 tenants since it began "
            "90 minutes ago"
        )

    # A server makes a row before it comes to it.
    @pytest.mark.parametrize("began", [None, datetime.fromtimestamp(0, UTC)])
    def test_one_that_was_never_run(self, began):
        assert self.late(began) == "m.j, due every 2 minutes, was never run"

    def test_without_tenants_for_long_enough_nothing_is_late(self):
        young = Tenant(status=TenantStatus.ACTIVE, modules=["m"], created_at=self.NOW)
        bare = Tenant(status=TenantStatus.ACTIVE, modules=[], created_at=self.OLD.created_at)
        away = Tenant(status=TenantStatus.SUSPENDED, modules=["m"], created_at=self.OLD.created_at)
        assert only(self.judge(tenants=[young, bare, away])).status is Status.OK

    def test_one_that_is_turned_off_is_not_asked_for(self):
        finding = only(self.judge({"days": 9}, every=0.0, failed=1))
        assert (finding.status, finding.found) == (Status.OK, "0 jobs, none of them late.")

    def test_failures_are_told_and_how_to_see_why(self):
        finding = only(self.judge({"seconds": 5}, failed=2))
        assert finding.status is Status.WARNING
        assert finding.found == "Failed when last run: m.j for 2 tenants"
        assert "manage.py run_jobs --job JOB" in finding.mend

    async def test_the_doctor_reads_what_servers_have_written(self, application, monkeypatch):
        name = f"j{secrets.token_hex(4)}"

        async def run(tenant):
            return 0

        job = ModuleJob("m", Job(name=name, every_seconds=60.0, run=run))
        monkeypatch.setattr(jobs, "list_jobs", lambda: [job])
        old = datetime.now(UTC) - timedelta(days=3)
        await JobPass.objects.acreate(
            name=job.name, position=uuid4(), began_at=old, ended_at=old, failed=1
        )
        late, failing = [each for each in await examine(1) if each.name == "jobs"]
        assert late.found == f"Late: {job.name}, due every 60 seconds, was last begun 3 days ago"
        assert failing.found == f"Failed when last run: {job.name} for 1 tenant"


def test_numbers_and_names_are_written_as_people_do():
    assert [count(number, "tenant") for number in (0, 1, 2000)] == [
        "0 tenants",
        "1 tenant",
        "2,000 tenants",
    ]
    assert list_some([]) == ""
    assert list_some(list("fedcba")) == "a, b, c, d, e and 1 more"
