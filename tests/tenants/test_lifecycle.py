"""Turns in a tenant's life: each happens whole, or can be repeated until it has."""

import asyncio
import random
import secrets
import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from tenants import errors, lifecycle, schemas
from tenants.lifecycle import onboarding, owner_connection, registration, switching
from tenants.models import ApiKey, AuditEntry, Domain, Membership, Tenant, TenantStatus, User
from tenants.names import validate_slug
from tenants.testing import TESTER, connect, onboard
from tests.sample.module import hook_calls

# Where a creation can be cut off: the function that comes next, in order.
CREATION_STEPS = [
    "tenants.lifecycle.onboarding.lock_slug",
    "tenants.lifecycle.onboarding._register",
    "tenants.schemas.create_schema",
    "tenants.lifecycle.onboarding.migrate_schema",
    "tenants.lifecycle.onboarding.run_hooks",
    "tenants.lifecycle.onboarding.activate",
]
# Of these, the ones that hold the slug.
LOCKED_STEPS = CREATION_STEPS[1:4]
ERASURE_STEPS = [
    "tenants.lifecycle.erasure.run_hooks",
    "tenants.schemas.drop_schema",
    "tenants.models.Tenant.delete",
]


class Crash(Exception):
    """What a test makes a step raise."""


class Stall:
    """Stands in for a function and never returns: the moment before that function."""

    def __init__(self):
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, *_args, **_options):
        self.reached.set()
        await asyncio.Event().wait()

    def before(self, function):
        """A stand-in that waits for `go_on` and then does what it stands in for, the first time.

        Later calls go straight through."""

        async def wait(*args, **options):
            if not self.reached.is_set():
                self.reached.set()
                await self.go_on.wait()
            return await function(*args, **options)

        return wait


@pytest.fixture
def slug():
    return f"t{secrets.token_hex(6)}"


async def read(statement, **parameters):
    """One value, as the owner login."""
    async with owner_connection() as connection:
        return (await connection.execute(text(statement), parameters)).scalar_one_or_none()


async def get_row(slug):
    return await Tenant.objects.filter(slug=slug).afirst()


async def count_traces(tenant):
    """What PostgreSQL holds for a tenant: schema, role, memberships of the role, stamps."""
    return await read(
        """
        SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = :name)
             + (SELECT count(*) FROM pg_roles WHERE rolname = :name)
             + (SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
                WHERE r.rolname = :name)
             + (SELECT count(*) FROM tenantry.tenant_stamps WHERE tenant_id = :id)
        """,
        name=tenant.ref.schema,
        id=tenant.ref.id,
    )


async def list_tables(tenant):
    async with owner_connection() as connection:
        rows = await connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = :schema"),
            {"schema": tenant.ref.schema},
        )
        return set(rows.scalars())


async def ask_host(application, slug, key=None):
    """The answer of a tenant's own host."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with connect(application, base_url=f"http://{slug}.localhost") as client:
        return await client.get("/api/v1/conversations", headers=headers)


async def ask(application, key):
    async with connect(application) as client:
        return await client.get("/api/v1/conversations", headers={"Authorization": f"Bearer {key}"})


async def seconds_until(ask_again, status, code=None):
    """How long it takes until the answer has this status and code, at the most two seconds."""
    started_at = time.monotonic()
    while time.monotonic() - started_at < 2:
        answer = await ask_again()
        if answer.status_code == status and (code is None or answer.json()["code"] == code):
            return time.monotonic() - started_at
        await asyncio.sleep(0.02)
    raise AssertionError(f"still {answer.status_code} {answer.text}")


async def assert_works(application, slug, key):
    """The tenant serves a write and a read, through its key and its host."""
    async with connect(application, base_url=f"http://{slug}.localhost/api/v1") as client:
        headers = {"Authorization": f"Bearer {key}"}
        made = await client.post("/conversations", json={"title": "It works"}, headers=headers)
        assert made.status_code == 201, made.text
        listed = (await client.get("/conversations", headers=headers)).json()["data"]
        assert made.json()["id"] in {conversation["id"] for conversation in listed}


async def assert_invisible(application, slug):
    """Nothing of a half-made tenant can be reached: no key exists and its host is unknown."""
    row = await get_row(slug)
    if row is not None:
        assert row.status == TenantStatus.PROVISIONING
        assert not await ApiKey.objects.filter(tenant=row).aexists()
    answer = await ask_host(application, slug)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_host")


async def stop_at(monkeypatch, step, work):
    """Run `work` up to a step, call what comes with it, cancel it there."""
    stall = Stall()
    with monkeypatch.context() as patch:
        patch.setattr(step, stall)
        task = asyncio.create_task(work)
        reached = asyncio.create_task(stall.reached.wait())
        await asyncio.wait({task, reached}, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert stall.reached.is_set(), task
    return task


async def cancel(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class TestCreate:
    async def test_a_tenant_is_created_whole(self, application, slug):
        tenant, key = await onboard(slug, "  Acme Inc. ")

        assert (tenant.slug, tenant.name, tenant.status) == (slug, "Acme Inc.", "active")
        assert set(tenant.modules) == {"conversations", "sample"}
        assert {"conversations", "messages", "tool_calls", "sample_notes"} <= await list_tables(
            tenant
        )
        assert key.row.scopes == ["read", "write"]
        await assert_works(application, slug, key.text)

    async def test_the_key_is_nowhere_in_the_registry(self, application, slug):
        _, key = await onboard(slug, "Acme")

        row = await ApiKey.objects.filter(public_id=key.row.public_id).values().aget()
        secret = key.text.rpartition("_")[2]
        assert not any(secret in str(value) for value in row.values())
        assert len(bytes(row["secret_hash"])) == 32

    async def test_a_tenants_role_may_use_its_tables_and_nothing_more(self, application, slug):
        tenant, _ = await onboard(slug, "Acme")
        schema = tenant.ref.schema

        rights = await read(
            f"""
            SELECT ARRAY[
                has_schema_privilege('{schema}', '{schema}', 'USAGE'),
                has_table_privilege('{schema}', '{schema}.messages', 'SELECT'),
                has_table_privilege('{schema}', '{schema}.messages', 'INSERT'),
                has_table_privilege('{schema}', '{schema}.messages', 'UPDATE'),
                has_table_privilege('{schema}', '{schema}.messages', 'DELETE'),
                has_schema_privilege('{schema}', '{schema}', 'CREATE'),
                has_table_privilege('{schema}', '{schema}.messages', 'TRUNCATE'),
                has_table_privilege('{schema}', '{schema}.messages', 'REFERENCES'),
                has_table_privilege('{schema}', '{schema}.alembic_version', 'SELECT'),
                has_schema_privilege('{schema}', 'tenantry', 'USAGE'),
                has_schema_privilege('{schema}', 'public', 'USAGE'),
                has_database_privilege('{schema}', current_database(), 'TEMPORARY'),
                (SELECT rolcanlogin OR rolinherit FROM pg_roles WHERE rolname = '{schema}')
            ]
            """
        )
        assert rights == [True] * 5 + [False] * 8

    async def test_two_tenants_have_nothing_of_each_other(self, make_tenant):
        one, other = await make_tenant(), await make_tenant()

        assert not await read(
            f"SELECT has_schema_privilege('{one.ref.schema}', '{other.ref.schema}', 'USAGE') "
            f"OR has_table_privilege('{one.ref.schema}', '{other.ref.schema}.messages', 'SELECT')"
        )

    async def test_a_tenant_gets_the_modules_that_were_asked_for_and_what_they_require(
        self, make_tenant
    ):
        plain = await make_tenant(modules=["conversations"])
        full = await make_tenant(modules=["sample"])
        bare = await make_tenant(modules=[])

        assert plain.row.modules == ["conversations"]
        assert full.row.modules == ["conversations", "sample"]
        assert await list_tables(bare) == {"alembic_version"}
        assert "sample_notes" not in await list_tables(plain)
        assert "sample_notes" in await list_tables(full)

    async def test_an_unknown_module_is_refused_before_anything_is_made(self, application, slug):
        with pytest.raises(errors.InvalidInput, match="no module `billing`"):
            await onboard(slug, "Acme", ["billing"])

        assert await get_row(slug) is None

    @pytest.mark.parametrize(
        "slug",
        [
            *("public", "www", "api", "admin", "tenantry", "pg-x", "pg_x", "pg_catalog"),
            *("", "ab", "a" * 41, "a" * 10_000),
            *("Acme", "acme_inc", "acme--inc", "-acme", "acme-", "ac me", "ac.me", "acmé"),
            *('a"; drop schema public; --', "o'brien", "acme\n", "acme\0", "\nacme", "a/../b"),
            *("٣٤٥", "acme\u200b"),
        ],
    )
    async def test_a_bad_slug_is_refused_before_anything_is_made(self, application, slug):
        with pytest.raises(errors.InvalidInput) as refusal:
            await onboard(slug, "Acme")

        assert refusal.value.status == 422
        assert refusal.value.errors[0][0] == "slug"
        assert not await Tenant.objects.filter(slug=slug.replace("\0", "")).aexists()

    @pytest.mark.parametrize("slug", ["abc", "a" * 40, "007", "a-b-c", "pgx", "apis"])
    async def test_a_good_slug_is_accepted(self, slug):
        assert validate_slug(slug) == slug

    @pytest.mark.parametrize("name", ["", "   ", "x" * 201, "two\nlines", "bell\a", "nul\0"])
    async def test_a_bad_name_is_refused(self, application, slug, name):
        with pytest.raises(errors.InvalidInput):
            await onboard(slug, name)

        assert await get_row(slug) is None

    async def test_of_twenty_racers_one_succeeds_and_nineteen_hear_that_the_slug_is_taken(
        self, application, slug
    ):
        results = await asyncio.gather(
            *(onboard(slug, f"Racer {number}") for number in range(20)),
            return_exceptions=True,
        )

        won = [result for result in results if isinstance(result, tuple)]
        assert len(won) == 1
        assert sum(isinstance(result, errors.SlugTaken) for result in results) == 19
        tenant, key = won[0]
        row = await get_row(slug)
        assert (row.id, row.name, row.status) == (tenant.id, tenant.name, "active")
        assert await ApiKey.objects.filter(tenant=row).acount() == 1
        assert await count_traces(tenant) >= 3
        await assert_works(application, slug, key.text)

    async def test_the_winners_name_and_modules_stand_whoever_came_in_between(
        self, application, slug, monkeypatch
    ):
        activating, migrating = Stall(), Stall()
        monkeypatch.setattr(onboarding, "activate", activating.before(onboarding.activate))
        winner = asyncio.create_task(onboard(slug, "Winner", ["sample"]))
        await activating.reached.wait()
        monkeypatch.setattr(
            onboarding, "migrate_schema", migrating.before(onboarding.migrate_schema)
        )
        loser = asyncio.create_task(onboard(slug, "Loser", ["conversations"]))
        await migrating.reached.wait()

        activating.go_on.set()
        tenant, key = await winner
        migrating.go_on.set()

        with pytest.raises(errors.SlugTaken):
            await loser
        row = await get_row(slug)
        assert tenant.name == row.name == "Winner"
        assert tenant.modules == row.modules == ["conversations", "sample"]
        await assert_works(application, slug, key.text)

    async def test_a_slug_in_use_is_taken_whatever_the_state_of_its_tenant(self, make_tenant):
        tenant = await make_tenant()
        for change in (None, lifecycle.suspend_tenant, lifecycle.delete_tenant):
            if change is not None:
                await change(tenant.slug, by=TESTER)
            with pytest.raises(errors.SlugTaken) as refusal:
                await onboard(tenant.slug, "Another")
            assert refusal.value.status == 409

    @pytest.mark.parametrize("step", CREATION_STEPS)
    async def test_a_creation_cut_off_anywhere_is_invisible_and_completed_by_a_repetition(
        self, application, slug, monkeypatch, step
    ):
        task = await stop_at(monkeypatch, step, onboard(slug, "Cut off"))
        await assert_invisible(application, slug)
        if step in LOCKED_STEPS:
            with pytest.raises(errors.SlugTaken):
                await onboard(slug, "Too early")
        await cancel(task)
        await assert_invisible(application, slug)

        tenant, key = await onboard(slug, "Completed")

        assert tenant.name == "Completed"
        await assert_works(application, slug, key.text)
        assert await ApiKey.objects.filter(tenant=tenant).acount() == 1

    async def test_a_creation_that_fails_before_its_commit_leaves_no_schema_and_no_role(
        self, application, slug, monkeypatch
    ):
        migrate = onboarding.migrate_schema

        async def migrate_and_crash(*args):
            await migrate(*args)
            raise Crash

        with monkeypatch.context() as patch:
            patch.setattr(onboarding, "migrate_schema", migrate_and_crash)
            with pytest.raises(Crash):
                await onboard(slug, "Cut off")
        assert await count_traces(await get_row(slug)) == 0

        _, key = await onboard(slug, "Completed")
        await assert_works(application, slug, key.text)

    async def test_a_tenant_is_not_active_without_its_key(self, application, slug, monkeypatch):
        def crash(*_args):
            raise Crash

        with monkeypatch.context() as patch:
            patch.setattr(registration, "add_key", crash)
            with pytest.raises(Crash):
                await onboard(slug, "Cut off")
        await assert_invisible(application, slug)

        _, key = await onboard(slug, "Completed")
        await assert_works(application, slug, key.text)

    async def test_a_repetition_may_ask_for_other_modules(self, application, slug, monkeypatch):
        task = await stop_at(
            monkeypatch,
            "tenants.lifecycle.onboarding.activate",
            onboard(slug, "Cut off"),
        )
        await cancel(task)

        tenant, key = await onboard(slug, "Completed", ["conversations"])

        assert tenant.modules == ["conversations"]
        await assert_works(application, slug, key.text)
        assert (await lifecycle.enable_module(slug, "sample", by=TESTER)).modules == [
            "conversations",
            "sample",
        ]


# Runs one function of the lifecycle and stalls before the named step, for the parent to kill.
_STALLING = """
import asyncio, pkgutil, sys
import django
django.setup()
from tenants import lifecycle
from tenants.testing import TESTER, onboard
async def stall(*_args):
    print("reached", flush=True)
    await asyncio.sleep(600)
operation, slug, step = sys.argv[1:]
owner, _, name = step.rpartition(".")
setattr(pkgutil.resolve_name(owner), name, stall)
if operation == "create":
    asyncio.run(onboard(slug, "Killed"))
else:
    asyncio.run(lifecycle.erase_tenant(slug, slug, by=TESTER))
"""
_CREATING = """
import asyncio, sys
import django
django.setup()
from tenants.testing import onboard
print("reached", flush=True)
asyncio.run(onboard(sys.argv[1], "Killed"))
"""


def start_process(script, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "reached\n"
    return process


def kill(process):
    process.kill()
    process.communicate()
    assert process.returncode in {-9, 0}


async def create_again(slug):
    """Create, as soon as the server has noticed that the killed process is gone."""
    deadline = time.monotonic() + 5
    while True:
        try:
            return await onboard(slug, "Completed")
        except errors.SlugTaken:
            row = await get_row(slug)
            if time.monotonic() > deadline or row.status != TenantStatus.PROVISIONING:
                raise
            await asyncio.sleep(0.05)


class TestKill:
    @pytest.mark.parametrize(
        "step",
        [
            CREATION_STEPS[3],
            *(
                pytest.param(step, marks=pytest.mark.slow)
                for step in (*CREATION_STEPS[:3], *CREATION_STEPS[4:])
            ),
        ],
    )
    async def test_a_process_killed_while_creating_leaves_what_a_repetition_completes(
        self, application, slug, step
    ):
        process = await asyncio.to_thread(start_process, _STALLING, "create", slug, step)
        await assert_invisible(application, slug)
        kill(process)
        await assert_invisible(application, slug)

        _, key = await create_again(slug)

        await assert_works(application, slug, key.text)

    @pytest.mark.parametrize(
        ("step", "kept"),
        [
            pytest.param(ERASURE_STEPS[0], True, marks=pytest.mark.slow),
            (ERASURE_STEPS[1], True),
            pytest.param("tenants.lifecycle.erasure._forget", False, marks=pytest.mark.slow),
        ],
    )
    async def test_a_process_killed_while_erasing_leaves_what_a_repetition_completes(
        self, application, make_tenant, step, kept
    ):
        tenant = await make_tenant()
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        process = await asyncio.to_thread(start_process, _STALLING, "erase", tenant.slug, step)
        kill(process)
        assert (await count_traces(tenant) > 0) is kept
        assert (await ask(application, tenant.key)).status_code == 403
        assert not await AuditEntry.objects.filter(
            tenant_id=tenant.ref.id, action="tenant.erased"
        ).aexists()

        await erase_again(tenant.slug)

        assert await count_traces(tenant) == 0
        assert await get_row(tenant.slug) is None

    @pytest.mark.slow
    @pytest.mark.parametrize("number", range(12))
    async def test_a_process_killed_at_any_moment_leaves_what_a_repetition_completes(
        self, application, slug, number
    ):
        process = await asyncio.to_thread(start_process, _CREATING, slug)
        await asyncio.sleep(random.uniform(0.0, 0.12))
        kill(process)
        row = await get_row(slug)
        if row is not None and row.status == TenantStatus.ACTIVE:
            key = await lifecycle.issue_key(slug, "After the kill", by=TESTER)
        else:
            await assert_invisible(application, slug)
            _, key = await create_again(slug)

        await assert_works(application, slug, key.text)


async def erase_again(slug):
    """Erase, as soon as the server has noticed that the killed process is gone."""
    deadline = time.monotonic() + 5
    while True:
        try:
            return await lifecycle.erase_tenant(slug, slug, by=TESTER)
        except errors.WrongState:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


class TestRename:
    async def test_a_renamed_tenant_keeps_its_schema_key_and_data(self, application, make_tenant):
        tenant = await make_tenant()
        async with connect(application, tenant=tenant) as client:
            made = await client.post("/api/v1/conversations", json={"title": "Before"})
        assert (await ask_host(application, tenant.slug, tenant.key)).status_code == 200
        new_slug = f"{tenant.slug}-two"

        renamed = await lifecycle.change_tenant(
            tenant.slug, new_slug=new_slug, name="New name", by=TESTER
        )

        assert (renamed.id, renamed.name, renamed.schema) == (
            tenant.row.id,
            "New name",
            tenant.ref.schema,
        )
        answer = await ask_host(application, new_slug, tenant.key)
        assert [row["id"] for row in answer.json()["data"]] == [made.json()["id"]]
        seconds = await seconds_until(
            lambda: ask_host(application, tenant.slug, tenant.key), 400, "invalid_host"
        )
        assert seconds < 1

    async def test_a_display_name_changes_alone(self, make_tenant):
        tenant = await make_tenant()
        renamed = await lifecycle.change_tenant(tenant.slug, name="Only the name", by=TESTER)
        assert (renamed.slug, renamed.name) == (tenant.slug, "Only the name")

    async def test_a_slug_in_use_is_refused_and_nothing_changes(self, make_tenant):
        one, other = await make_tenant(), await make_tenant()
        with pytest.raises(errors.SlugTaken, match=other.slug):
            await lifecycle.change_tenant(one.slug, new_slug=other.slug, name="Changed", by=TESTER)
        assert (await get_row(one.slug)).name == one.row.name

    async def test_a_reserved_or_invalid_slug_is_refused(self, make_tenant):
        tenant = await make_tenant()
        for slug in ("www", "Not Good", "acme\n"):
            with pytest.raises(errors.InvalidInput):
                await lifecycle.change_tenant(tenant.slug, new_slug=slug, by=TESTER)

    async def test_the_freed_slug_can_be_taken(self, application, make_tenant):
        tenant = await make_tenant()
        await lifecycle.change_tenant(tenant.slug, new_slug=f"{tenant.slug}-old", by=TESTER)

        successor, key = await onboard(tenant.slug, "Successor")

        assert successor.ref.schema != tenant.ref.schema
        await seconds_until(lambda: ask_host(application, tenant.slug, key.text), 200)

    async def test_an_unknown_tenant_is_not_found(self, application):
        for change in (
            lifecycle.change_tenant("nobody", name="X", by=TESTER),
            lifecycle.suspend_tenant("nobody", by=TESTER),
            lifecycle.resume_tenant("nobody", by=TESTER),
            lifecycle.delete_tenant("nobody", by=TESTER),
            lifecycle.erase_tenant("nobody", "nobody", by=TESTER),
            lifecycle.enable_module("nobody", "sample", by=TESTER),
            lifecycle.disable_module("nobody", "sample", by=TESTER),
            lifecycle.issue_key("nobody", "X", by=TESTER),
            lifecycle.revoke_key("nobody", "X", by=TESTER),
        ):
            with pytest.raises(errors.TenantNotFound):
                await change


class TestSuspend:
    async def test_a_suspended_tenant_is_refused_within_a_second_and_resumed_with_its_data(
        self, application, make_tenant
    ):
        tenant = await make_tenant()
        async with connect(application, tenant=tenant) as client:
            made = await client.post("/api/v1/conversations", json={"title": "Kept"})

        await lifecycle.suspend_tenant(tenant.slug, by=TESTER)

        refused = lambda: ask(application, tenant.key)  # noqa: E731
        assert await seconds_until(refused, 403, "tenant_suspended") < 1
        # A refused write changes nothing, not even for its own tenant.
        async with connect(application, tenant=tenant) as client:
            answer = await client.post("/api/v1/conversations", json={"title": "Lost"})
        assert answer.status_code == 403
        await lifecycle.suspend_tenant(tenant.slug, by=TESTER)
        await lifecycle.resume_tenant(tenant.slug, by=TESTER)
        assert await seconds_until(refused, 200) < 1
        data = (await refused()).json()["data"]
        assert [row["id"] for row in data] == [made.json()["id"]]

    async def test_a_tenant_that_is_made_or_deleted_is_neither_suspended_nor_resumed(
        self, application, make_tenant, slug, monkeypatch
    ):
        await cancel(
            await stop_at(
                monkeypatch,
                "tenants.lifecycle.onboarding.activate",
                onboard(slug, "Half"),
            )
        )
        deleted = await make_tenant()
        await lifecycle.delete_tenant(deleted.slug, by=TESTER)
        for name in (slug, deleted.slug):
            for change in (
                lifecycle.suspend_tenant(name, by=TESTER),
                lifecycle.resume_tenant(name, by=TESTER),
                lifecycle.change_tenant(name, name="X", by=TESTER),
                lifecycle.issue_key(name, "X", by=TESTER),
                lifecycle.enable_module(name, "sample", by=TESTER),
                lifecycle.disable_module(name, "sample", by=TESTER),
            ):
                with pytest.raises(errors.WrongState):
                    await change


class TestErase:
    async def test_a_deleted_tenant_is_refused_and_its_data_still_there(
        self, application, make_tenant
    ):
        tenant = await make_tenant()

        await lifecycle.delete_tenant(tenant.slug, by=TESTER)

        refused = lambda: ask(application, tenant.key)  # noqa: E731
        assert await seconds_until(refused, 403, "tenant_deleting") < 1
        assert await count_traces(tenant) > 0

    async def test_an_erased_tenant_leaves_nothing(self, application, make_tenant):
        tenant = await make_tenant()
        await lifecycle.issue_key(tenant.slug, "Second key", by=TESTER)
        user = await User.objects.acreate(username=f"u-{tenant.slug}")
        await Domain.objects.acreate(host=f"{tenant.slug}.example.com", tenant=tenant.row)
        await Membership.objects.acreate(user=user, tenant=tenant.row)
        assert (await ask(application, tenant.key)).status_code == 200
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)

        await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

        assert await count_traces(tenant) == 0
        assert await get_row(tenant.slug) is None
        for model in (ApiKey, Domain, Membership):
            assert not await model.objects.filter(tenant_id=tenant.row.id).aexists()
        assert await User.objects.filter(pk=user.pk).aexists()
        assert await seconds_until(lambda: ask(application, tenant.key), 401) < 1
        assert (
            await seconds_until(lambda: ask_host(application, tenant.slug), 400, "invalid_host") < 1
        )

    async def test_the_slug_of_an_erased_tenant_starts_afresh(self, application, make_tenant):
        old = await make_tenant()
        async with connect(application, tenant=old) as client:
            await client.post("/api/v1/conversations", json={"title": "Old"})
        await lifecycle.delete_tenant(old.slug, by=TESTER)
        await lifecycle.erase_tenant(old.slug, old.slug, by=TESTER)

        tenant, key = await onboard(old.slug, "New")

        assert tenant.ref.schema != old.ref.schema
        answer = await ask(application, key.text)
        assert answer.json()["data"] == []
        assert await seconds_until(lambda: ask(application, old.key), 401) < 1

    async def test_a_wrong_confirmation_erases_nothing(self, make_tenant):
        tenant = await make_tenant()
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        for confirmation in ("", "other", tenant.slug.upper(), tenant.slug + " "):
            with pytest.raises(errors.ConfirmationMismatch):
                await lifecycle.erase_tenant(tenant.slug, confirmation, by=TESTER)
        assert await count_traces(tenant) > 0

    async def test_a_tenant_that_was_not_deleted_is_not_erased(self, application, make_tenant):
        tenant = await make_tenant()
        with pytest.raises(errors.WrongState, match="delete it first"):
            await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)
        await assert_works(application, tenant.slug, tenant.key)

    @pytest.mark.parametrize("step", ERASURE_STEPS)
    async def test_an_erasure_cut_off_anywhere_is_completed_by_a_repetition(
        self, make_tenant, monkeypatch, step
    ):
        tenant = await make_tenant()
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)

        async def crash(*_args):
            raise Crash

        def crash_in_thread(*_args):
            raise Crash

        with monkeypatch.context() as patch:
            patch.setattr(step, crash_in_thread if step.endswith("delete") else crash)
            with pytest.raises(Crash):
                await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)
        assert (await get_row(tenant.slug)).status == TenantStatus.DELETING

        await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

        assert await count_traces(tenant) == 0
        assert await get_row(tenant.slug) is None

    async def test_an_erasure_whose_commit_did_not_happen_keeps_the_schema_whole(
        self, application, make_tenant, monkeypatch
    ):
        tenant = await make_tenant()
        tables = await list_tables(tenant)
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        drop = schemas.drop_schema

        async def drop_and_crash(*args):
            await drop(*args)
            raise Crash

        with monkeypatch.context() as patch:
            patch.setattr(schemas, "drop_schema", drop_and_crash)
            with pytest.raises(Crash):
                await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

        assert await list_tables(tenant) == tables

    @pytest.mark.parametrize("step", CREATION_STEPS[2:])
    async def test_a_tenant_whose_creation_was_cut_off_can_be_erased(
        self, application, slug, monkeypatch, step
    ):
        await cancel(await stop_at(monkeypatch, step, onboard(slug, "Half")))
        tenant = await get_row(slug)

        await lifecycle.delete_tenant(slug, by=TESTER)
        await lifecycle.erase_tenant(slug, slug, by=TESTER)

        assert await count_traces(tenant) == 0
        assert await get_row(slug) is None

    async def test_a_tenant_erased_while_it_is_being_created_leaves_no_schema(
        self, application, slug, monkeypatch
    ):
        migrating = Stall()
        monkeypatch.setattr(
            onboarding, "migrate_schema", migrating.before(onboarding.migrate_schema)
        )
        creation = asyncio.create_task(onboard(slug, "Half"))
        await migrating.reached.wait()
        tenant = await get_row(slug)
        await lifecycle.delete_tenant(slug, by=TESTER)

        with pytest.raises(errors.WrongState, match="still being created"):
            await lifecycle.erase_tenant(slug, slug, by=TESTER)
        migrating.go_on.set()
        with pytest.raises(errors.SlugTaken):
            await creation
        await lifecycle.erase_tenant(slug, slug, by=TESTER)

        assert await count_traces(tenant) == 0


class TestHooks:
    async def test_hooks_run_at_each_turn_of_a_tenant_that_has_the_module(self, make_tenant):
        tenant = await make_tenant()
        slug = tenant.slug
        await lifecycle.disable_module(slug, "sample", by=TESTER)
        await lifecycle.enable_module(slug, "sample", by=TESTER)
        await lifecycle.delete_tenant(slug, by=TESTER)
        await lifecycle.erase_tenant(slug, slug, by=TESTER)

        assert [hook for hook, tenant_slug in hook_calls if tenant_slug == slug] == [
            "tenant_created",
            "module_disabled",
            "module_enabled",
            "tenant_deleted",
        ]

    async def test_a_tenant_without_the_module_is_none_of_its_business(self, make_tenant):
        tenant = await make_tenant(modules=["conversations"])
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

        assert not [hook for hook, slug in hook_calls if slug == tenant.slug]

    async def test_a_module_that_was_disabled_still_hears_of_the_erasure(self, make_tenant):
        tenant = await make_tenant()
        await lifecycle.disable_module(tenant.slug, "sample", by=TESTER)
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

        assert ("tenant_deleted", tenant.slug) in hook_calls

    async def test_a_module_hears_of_being_enabled_only_once(self, make_tenant):
        tenant = await make_tenant(modules=["conversations"])
        await lifecycle.enable_module(tenant.slug, "sample", by=TESTER)
        await lifecycle.enable_module(tenant.slug, "sample", by=TESTER)

        assert hook_calls.count(("module_enabled", tenant.slug)) == 1

    @pytest.mark.parametrize(
        ("operation", "before", "after"),
        [
            (lambda slug: lifecycle.enable_module(slug, "sample", by=TESTER), False, True),
            (lambda slug: lifecycle.disable_module(slug, "sample", by=TESTER), True, False),
        ],
        ids=["enable", "disable"],
    )
    async def test_a_hook_that_raises_stops_the_operation_which_can_be_repeated(
        self, make_tenant, monkeypatch, operation, before, after
    ):
        tenant = await make_tenant(modules=["sample"] if before else ["conversations"])

        async def crash(*_args):
            raise Crash

        with monkeypatch.context() as patch:
            patch.setattr(switching, "run_hooks", crash)
            with pytest.raises(Crash):
                await operation(tenant.slug)
        assert ("sample" in (await get_row(tenant.slug)).modules) is before

        await operation(tenant.slug)
        assert ("sample" in (await get_row(tenant.slug)).modules) is after


class TestModules:
    async def test_a_module_that_is_enabled_later_serves_and_a_disabled_one_does_not(
        self, application, make_tenant
    ):
        tenant = await make_tenant(modules=["conversations"])

        async def write_note():
            async with connect(application, tenant=tenant) as client:
                return await client.post("/api/v1/notes", json={"body": "Remember"})

        assert (await write_note()).json()["code"] == "module_not_enabled"
        await lifecycle.enable_module(tenant.slug, "sample", by=TESTER)
        assert await seconds_until(write_note, 201) < 1
        note_id = (await write_note()).json()["id"]
        await lifecycle.disable_module(tenant.slug, "sample", by=TESTER)
        assert await seconds_until(write_note, 404, "module_not_enabled") < 1
        await lifecycle.enable_module(tenant.slug, "sample", by=TESTER)
        await seconds_until(write_note, 201)
        async with connect(application, tenant=tenant) as client:
            assert (await client.get(f"/api/v1/notes/{note_id}")).status_code == 200

    async def test_enabling_brings_what_is_required(self, make_tenant):
        tenant = await make_tenant(modules=[])
        row = await lifecycle.enable_module(tenant.slug, "sample", by=TESTER)
        assert row.modules == ["conversations", "sample"]
        assert {"messages", "sample_notes"} <= await list_tables(tenant)

    async def test_a_module_that_another_requires_stays(self, make_tenant):
        tenant = await make_tenant()
        with pytest.raises(errors.WrongState, match="requires `conversations`"):
            await lifecycle.disable_module(tenant.slug, "conversations", by=TESTER)
        await lifecycle.disable_module(tenant.slug, "sample", by=TESTER)
        row = await lifecycle.disable_module(tenant.slug, "conversations", by=TESTER)
        assert row.modules == []

    async def test_disabling_what_is_not_enabled_changes_nothing(self, make_tenant):
        tenant = await make_tenant(modules=["conversations"])
        row = await lifecycle.disable_module(tenant.slug, "sample", by=TESTER)
        assert row.modules == ["conversations"]
        assert ("module_disabled", tenant.slug) not in hook_calls

    async def test_an_unknown_module_is_refused(self, make_tenant):
        tenant = await make_tenant()
        for change in (lifecycle.enable_module, lifecycle.disable_module):
            with pytest.raises(errors.InvalidInput, match="no module `billing`"):
                await change(tenant.slug, "billing", by=TESTER)

    async def test_a_suspended_tenant_can_be_given_a_module(self, make_tenant):
        tenant = await make_tenant(modules=["conversations"])
        await lifecycle.suspend_tenant(tenant.slug, by=TESTER)
        row = await lifecycle.enable_module(tenant.slug, "sample", by=TESTER)
        assert (row.status, row.modules) == ("suspended", ["conversations", "sample"])
