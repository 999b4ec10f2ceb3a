"""Spares: made ahead in batches, taken over by one tenant each, lost and handed out twice never."""

import asyncio
import json
import random
import secrets
import subprocess
import sys
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from tenants import errors, lifecycle, modules, schemas, spares
from tenants.apps import get_settings
from tenants.db import engine
from tenants.doctor import Status, fleet
from tenants.lifecycle import onboarding, owner_connection, stock
from tenants.lifecycle.owner import close_owner_connections, keep_owner_connections
from tenants.models import Tenant
from tenants.modules import get_modules, order_modules
from tenants.rollouts import Options, Scope, start_rollout
from tenants.tenant import TenantRef
from tenants.testing import TESTER, onboard
from tests.tenants.rollouts.pooler import pooled
from tests.tenants.structure import read_structure
from tests.tenants.test_commands import call, plain_streams  # noqa: F401  # A fixture.
from tests.tenants.test_doctor import HEADS, make_fleet
from tests.tenants.test_lifecycle import (
    Stall,
    assert_invisible,
    assert_works,
    cancel,
    count_traces,
    create_again,
    get_row,
    kill,
    stop_at,
)
from tests.tenants.throwaway import make_module

TABLE = "op.execute('CREATE TABLE spare_things (id uuid CONSTRAINT spare_things_pkey PRIMARY KEY)')"
COLUMN = "op.add_column('spare_things', sa.Column('note', sa.Text()))"


@pytest.fixture(autouse=True)
async def no_spares(application):
    """Other tests know nothing of spares."""
    yield
    await lifecycle.drop_spares()
    assert await list_ids() == set()


@pytest.fixture
def slug():
    return f"s{secrets.token_hex(6)}"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a release of the module `spare` beside the others, with these revisions' upgrades."""
    real = get_modules()

    def load(*upgrades):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        loaded = order_modules([*real, make_module(folder, "spare", *upgrades)])
        for importer in (modules, onboarding, spares):
            monkeypatch.setattr(importer, "get_modules", lambda: loaded)

    return load


async def list_ids():
    async with owner_connection() as connection:
        found = await connection.execute(text("SELECT id FROM tenantry.spares"))
        return set(found.scalars())


async def count_schemas():
    async with owner_connection() as connection:
        found = await connection.execute(text("SELECT count(*) FROM pg_namespace"))
        return found.scalar_one()


async def read_revision(tenant):
    async with owner_connection() as connection:
        return (await schemas.read_revisions(connection, tenant.ref)).get("spare")


def stall_after(function):
    """A stand-in that does what it stands in for, and then never returns."""
    stall = Stall()

    async def run(*args, **options):
        await function(*args, **options)
        await stall()

    return stall, run


async def cut_off_before_commit(slug, monkeypatch):
    """A creation that has its row in the registry, and whose spare is on the list as before."""
    stall, add_row = stall_after(onboarding.add_row)
    with monkeypatch.context() as patch:
        patch.setattr(onboarding, "add_row", add_row)
        task = asyncio.create_task(onboard(slug, "Cut off"))
        await asyncio.wait_for(stall.reached.wait(), 5)
        await cancel(task)
    return await get_row(slug)


class TestFilling:
    async def test_as_many_as_are_missing_are_made_and_no_more(self):
        assert await lifecycle.fill_spares(3) == 3
        assert await lifecycle.fill_spares(3) == 0
        assert await lifecycle.fill_spares(4) == 1
        assert await lifecycle.get_stock() == lifecycle.Stock(wanted=0, ready=4, other=0)

    async def test_several_at_once_make_no_more_than_are_missing(self, monkeypatch):
        monkeypatch.setattr(stock, "_PAUSE_SECONDS", 0.01)
        monkeypatch.setattr(stock, "_BATCH", 2)

        made = await asyncio.gather(*(lifecycle.fill_spares(5) for _ in range(4)))

        assert sum(made) == 5
        assert len(await list_ids()) == 5

    async def test_a_batch_is_one_grant(self, monkeypatch):
        scripts = []
        execute = schemas.execute_script

        async def note(connection, script):
            scripts.append(script)
            await execute(connection, script)

        monkeypatch.setattr(schemas, "execute_script", note)
        await lifecycle.fill_spares(3)

        grants = [line for script in scripts for line in script.splitlines() if " TO " in line]
        memberships = [line for line in grants if '" WITH ' in line or line.endswith('runtime";')]
        assert len(memberships) == 1
        assert memberships[0].count("t_") == 3

    async def test_a_batch_that_fails_leaves_nothing(self, monkeypatch):
        before = await count_schemas()

        async def crash(*_):
            raise RuntimeError("no")

        monkeypatch.setattr(spares, "list_spares", crash)
        with pytest.raises(RuntimeError):
            await lifecycle.fill_spares(2)

        assert await count_schemas() == before

    async def test_dropping_leaves_nothing(self):
        await lifecycle.fill_spares(2)
        ids = await list_ids()

        assert await lifecycle.drop_spares() == 2

        for spare in ids:
            assert await count_traces(Tenant(id=spare)) == 0

    async def test_a_server_keeps_them_filled_and_gets_over_failures(
        self, settings, monkeypatch, make_tenant
    ):
        settings.TENANTRY = settings.TENANTRY.model_copy(update={"spares": 2})
        for name in ("_PAUSE_SECONDS", "_LOOK_SECONDS", "_RETRY_SECONDS"):
            monkeypatch.setattr(stock, name, 0.01)
        real, failures = spares.add_spares, iter([OSError("gone"), RuntimeError("odd")])

        async def add(connection, count):
            for failure in failures:
                raise failure
            await real(connection, count)

        monkeypatch.setattr(spares, "add_spares", add)

        async def until_filled():
            while (await lifecycle.get_stock()).ready < 2:
                await asyncio.sleep(0.01)

        fillers = [asyncio.create_task(lifecycle.keep_filled()) for _ in range(2)]
        try:
            await asyncio.wait_for(until_filled(), 5)
            taken = await make_tenant()
            await asyncio.wait_for(until_filled(), 5)
        finally:
            for filler in fillers:
                await cancel(filler)
        assert taken.ref.id not in await list_ids()
        assert len(await list_ids()) == 2


class TestTakingOver:
    async def test_a_new_tenant_takes_over_a_spare_which_is_like_any_other_schema(
        self, application, slug, make_tenant
    ):
        made = await make_tenant()
        await lifecycle.fill_spares(2)
        ids = await list_ids()

        tenant, key = await onboard(slug, "Acme")

        assert tenant.id in ids
        assert await list_ids() == ids - {tenant.id}
        assert await read_structure(tenant) == await read_structure(made)
        await assert_works(application, slug, key.text)

    async def test_each_goes_to_one_tenant_and_the_rest_get_schemas_of_their_own(self, slug):
        await lifecycle.fill_spares(3)
        ids = await list_ids()

        made = await asyncio.gather(*(onboard(f"{slug}-{n}", "Acme") for n in range(6)))

        taken = [tenant.id for tenant, _ in made]
        assert len(set(taken)) == 6
        assert ids < set(taken)
        assert await list_ids() == set()

    async def test_a_tenant_that_wants_other_modules_gets_none(self, make_tenant):
        await lifecycle.fill_spares(1)
        ids = await list_ids()
        await make_tenant(modules=["conversations"])
        assert await list_ids() == ids

    async def test_a_taken_slug_costs_no_spare(self, make_tenant):
        tenant = await make_tenant()
        await lifecycle.fill_spares(1)
        ids = await list_ids()
        with pytest.raises(errors.SlugTaken):
            await onboard(tenant.slug, "Another")
        assert await list_ids() == ids

    async def test_a_spare_behind_the_heads_is_carried_there(self, load, slug):
        load(TABLE)
        await lifecycle.fill_spares(1)
        (spare,) = await list_ids()
        load(TABLE, COLUMN)

        tenant, _ = await onboard(slug, "Acme")

        assert tenant.id == spare
        assert await read_revision(tenant) == "spare_0002"

    async def test_a_spare_of_a_newer_release_is_left_alone(self, load, slug):
        load(TABLE, COLUMN)
        await lifecycle.fill_spares(1)
        ids = await list_ids()
        load(TABLE)

        tenant, _ = await onboard(slug, "Acme")

        assert await list_ids() == ids
        assert await read_revision(tenant) == "spare_0001"
        assert await lifecycle.get_stock() == lifecycle.Stock(wanted=0, ready=0, other=1)

    async def test_a_spare_whose_schema_somebody_dropped_is_left_alone(self, application, slug):
        await lifecycle.fill_spares(1)
        (spare,) = await list_ids()
        async with owner_connection() as connection:
            name = TenantRef(spare, "").schema
            await connection.execute(text(f'DROP SCHEMA "{name}" CASCADE'))
            await connection.commit()

        tenant, key = await onboard(slug, "Acme")

        assert tenant.id != spare
        await assert_works(application, slug, key.text)

    async def test_a_rollout_carries_spares_too(self, load, monkeypatch):
        from tenants.rollouts import plan

        load(TABLE)
        await lifecycle.fill_spares(2)
        ids = await list_ids()
        load(TABLE, COLUMN)
        monkeypatch.setattr(plan, "get_modules", modules.get_modules)

        await start_rollout(Scope(modules=["spare"]), Options(), lambda _: None, by=TESTER)

        for spare in ids:
            assert await read_revision(Tenant(id=spare)) == "spare_0002"


class TestCutOff:
    @pytest.mark.parametrize("step", ["run_hooks", "activate"])
    async def test_after_the_commit_a_repetition_completes_the_same_tenant(
        self, application, slug, monkeypatch, step
    ):
        await lifecycle.fill_spares(1)
        (spare,) = await list_ids()
        await cancel(
            await stop_at(monkeypatch, f"tenants.lifecycle.onboarding.{step}", onboard(slug, "Cut"))
        )
        assert await list_ids() == set()
        await assert_invisible(application, slug)

        tenant, key = await onboard(slug, "Completed")

        assert tenant.id == spare
        await assert_works(application, slug, key.text)

    async def test_before_the_registrys_row_nothing_has_happened(self, slug, monkeypatch):
        await lifecycle.fill_spares(1)
        ids = await list_ids()
        await cancel(
            await stop_at(
                monkeypatch, "tenants.lifecycle.onboarding.add_row", onboard(slug, "Cut off")
            )
        )
        assert await list_ids() == ids
        assert await get_row(slug) is None

    async def test_between_row_and_commit_a_repetition_completes_the_same_tenant(
        self, application, slug, monkeypatch
    ):
        await lifecycle.fill_spares(2)
        cut_off = await cut_off_before_commit(slug, monkeypatch)
        ids = await list_ids()
        assert cut_off.id in ids
        await assert_invisible(application, slug)

        tenant, key = await onboard(slug, "Completed")

        assert tenant.id == cut_off.id
        assert await list_ids() == ids - {tenant.id}
        await assert_works(application, slug, key.text)

    async def test_between_row_and_commit_nobody_else_gets_the_spare(
        self, application, slug, monkeypatch
    ):
        await lifecycle.fill_spares(2)
        cut_off = await cut_off_before_commit(slug, monkeypatch)
        others = await list_ids() - {cut_off.id}

        other, key = await onboard(f"{slug}-other", "Other")

        assert {other.id} == others
        assert await list_ids() == set()
        await assert_works(application, f"{slug}-other", key.text)
        tenant, key = await onboard(slug, "Completed")
        assert tenant.id == cut_off.id
        await assert_works(application, slug, key.text)

    async def test_between_row_and_commit_it_can_be_erased(self, slug, monkeypatch):
        await lifecycle.fill_spares(1)
        cut_off = await cut_off_before_commit(slug, monkeypatch)

        await lifecycle.delete_tenant(slug, by=TESTER)
        await lifecycle.erase_tenant(slug, slug, by=TESTER)

        assert await count_traces(cut_off) == 0
        assert await list_ids() == set()

    async def test_between_row_and_commit_its_schema_is_not_dropped_with_the_spares(
        self, application, slug, monkeypatch
    ):
        await lifecycle.fill_spares(2)
        cut_off = await cut_off_before_commit(slug, monkeypatch)

        assert await lifecycle.drop_spares() == 1

        assert await count_traces(cut_off) > 0
        tenant, key = await onboard(slug, "Completed")
        assert tenant.id == cut_off.id
        await assert_works(application, slug, key.text)

    async def test_a_spare_is_not_dropped_while_it_is_being_taken_over(
        self, application, slug, monkeypatch
    ):
        await lifecycle.fill_spares(1)
        registering = Stall()
        monkeypatch.setattr(onboarding, "add_row", registering.before(onboarding.add_row))
        creation = asyncio.create_task(onboard(slug, "Acme"))
        await asyncio.wait_for(registering.reached.wait(), 5)

        assert await lifecycle.drop_spares() == 0
        registering.go_on.set()

        _, key = await creation
        await assert_works(application, slug, key.text)


# Creates one tenant after the other, for the parent to kill.
_CREATING = """
import asyncio, sys
import django
django.setup()
from tenants.testing import onboard
async def main():
    print("reached", flush=True)
    sys.stdin.readline()
    for number in range(1000):
        await onboard(f"{sys.argv[1]}-{number}", "Killed")
asyncio.run(main())
"""
_FILLING = """
import asyncio
import django
django.setup()
from tenants import lifecycle
print("reached", flush=True)
asyncio.run(lifecycle.fill_spares(1000))
"""


def start_process(script, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "reached\n"
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
async def test_processes_killed_while_they_take_over_lose_no_spare_and_share_none(
    application, slug, number
):
    await lifecycle.fill_spares(60)
    before = await list_ids()
    killed = [
        await asyncio.to_thread(start_process, _CREATING, f"{slug}-{each}") for each in range(2)
    ]
    for process in killed:
        process.stdin.write("go on\n")
        process.stdin.flush()
    await asyncio.sleep(random.uniform(0.05, 0.4))
    for process in killed:
        kill(process)

    rows = [row async for row in Tenant.objects.filter(slug__startswith=slug)]
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        if row.status == "provisioning":
            tenant, key = await create_again(row.slug)
            assert tenant.id == row.id
            await assert_works(application, row.slug, key.text)
    left = await list_ids()
    assert not left & {row.id for row in rows}
    assert before - left <= {row.id for row in rows}
    tenant, key = await onboard(f"{slug}-after", "After")
    assert tenant.id in left
    await assert_works(application, tenant.slug, key.text)


@pytest.mark.slow
async def test_a_filler_that_is_killed_leaves_whole_batches(application):
    process = await asyncio.to_thread(start_process, _FILLING)
    while not await list_ids():
        await asyncio.sleep(0.02)
    await asyncio.sleep(random.uniform(0, 0.2))
    kill(process)

    async def is_over():
        async with owner_connection() as connection:
            return (await connection.execute(stock._LOCK)).scalar_one()

    while not await is_over():
        await asyncio.sleep(0.02)
    ids = await list_ids()
    assert ids
    assert len(ids) % 10 == 0
    found = await fleet.read_fleet(get_settings())
    assert set(found.spares) == ids
    assert fleet.check_leftovers(found).status is Status.OK


@pytest.mark.slow
async def test_it_all_works_through_a_transaction_pooler(application, slug, settings):
    original = get_settings()
    with pooled(original.owner_url.get_secret_value()) as through:
        await close_owner_connections()
        settings.TENANTRY = original.model_copy(update={"owner_url": SecretStr(through)})
        engine.configure(settings.TENANTRY)
        keep_owner_connections()
        try:
            made = await asyncio.gather(*(lifecycle.fill_spares(25) for _ in range(3)))
            assert sum(made) == 25
            onboarded = await asyncio.gather(*(onboard(f"{slug}-{n}", "Acme") for n in range(30)))
            assert await list_ids() == set()
            for tenant, key in onboarded:
                await assert_works(application, tenant.slug, key.text)
            await lifecycle.fill_spares(5)
            assert await lifecycle.drop_spares() == 5
        finally:
            await close_owner_connections()
            engine.configure(original)
            keep_owner_connections()


@pytest.fixture
def run(application):
    async def run(*arguments):
        return await asyncio.to_thread(call, "tenants", "spares", *arguments)

    return run


class TestCommand:
    async def test_it_counts_makes_and_removes(self, run):
        assert json.loads((await run("--json")).out) == {"wanted": 0, "ready": 0, "other": 0}
        assert json.loads((await run("--fill", "2", "--json")).out)["ready"] == 2
        assert "ready   2" in (await run()).out
        assert json.loads((await run("--drop", "--json")).out)["ready"] == 0

    async def test_what_makes_no_sense_is_refused(self, run):
        refused = await run("--fill", "2", "--drop")
        assert (refused.code, "can't be given together" in refused.err) == (2, True)


class TestDoctor:
    @staticmethod
    def of(*kept, **changes):
        """A fleet with these spares: pairs of modules and stamps."""
        found = {uuid4(): each for each in kept}
        return make_fleet(
            spares={spare: names for spare, (names, _) in found.items()},
            stamps={spare: stamps for spare, (_, stamps) in found.items()},
            **({"schemas": set(found)} | changes),
        )

    async def test_it_reads_them(self):
        await lifecycle.fill_spares(1)
        found = await fleet.read_fleet(get_settings())
        assert set(found.spares) == await list_ids()
        assert fleet.check_spares(found, get_settings()).found.startswith("1 spare ready")

    def test_spares_that_are_well_and_none_at_all(self):
        settings, well = get_settings(), self.of((list(HEADS), HEADS))
        assert fleet.check_spares(well, settings).status is Status.OK
        assert fleet.check_leftovers(well).status is Status.OK
        assert fleet.check_spares(make_fleet(), settings).status is Status.OK

    def test_none_where_there_should_be_some(self):
        wanting = get_settings().model_copy(update={"spares": 5})
        finding = fleet.check_spares(make_fleet(), wanting)
        assert finding.status is Status.WARNING
        assert finding.mend.endswith("manage.py tenants spares --fill 5")

    @pytest.mark.parametrize(
        ("spare", "changes"),
        [
            ((list(HEADS), {**HEADS, "sample": "sample_0000"}), {}),
            ((["conversations"], {"conversations": HEADS["conversations"]}), {}),
            ((list(HEADS), HEADS), {"schemas": set()}),
        ],
        ids=["behind", "other modules", "no schema"],
    )
    def test_spares_that_can_not_be_taken_over_at_once(self, spare, changes):
        finding = fleet.check_spares(self.of(spare, **changes), get_settings())
        assert finding.status is Status.WARNING
        assert finding.found.startswith("1 spare not at the heads of all modules: t_")
