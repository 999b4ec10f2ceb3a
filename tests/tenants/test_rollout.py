"""Carrying the fleet to its heads: past those that fail, and again after a crash."""

import asyncio

import pytest
from sqlalchemy import text

from tenants import errors, lifecycle, modules, rollout
from tenants.lifecycle import onboarding, owner_connection
from tenants.models import Tenant, TenantStatus
from tenants.modules import get_modules, order_modules
from tenants.rollout import Outcome, migrate_tenants
from tenants.testing import TESTER
from tests.tenants.throwaway import make_module

THINGS = (
    "op.execute('CREATE TABLE fleet_things (id uuid CONSTRAINT fleet_things_pkey PRIMARY KEY)')"
)
NOTE = "op.add_column('fleet_things', sa.Column('note', sa.Text()))"
SLOW_NOTE = f"op.execute('SELECT pg_sleep(0.05)')\n{NOTE}"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a release of the module `fleet` beside the others: `load(upgrade, upgrade …)`."""
    real = get_modules()

    def load(*upgrades):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        loaded = order_modules([*real, make_module(folder, "fleet", *upgrades)])
        monkeypatch.setattr(modules, "get_modules", lambda: loaded)
        monkeypatch.setattr(onboarding, "get_modules", lambda: loaded)

    return load


@pytest.fixture
async def make_fleet(make_tenant, load):
    """Make tenants at the first revision of `fleet`, in the order of their slugs.

    They are erased afterwards: what tests break must not meet other tests' rollouts."""
    made = []

    async def make(count):
        load(THINGS)
        made.extend([await make_tenant(modules=["fleet"]) for _ in range(count)])
        return sorted(made, key=lambda tenant: tenant.slug)

    yield make
    for tenant in made:
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)


def slugs(fleet):
    return [tenant.slug for tenant in fleet]


async def execute(tenant, statement):
    async with owner_connection() as connection:
        await connection.execute(text(f'SET LOCAL search_path TO "{tenant.ref.schema}"'))
        await connection.execute(text(statement))
        await connection.commit()


async def read_state(tenant):
    """The stamp in both places, and whether the column of the second revision is there."""
    async with owner_connection() as connection:
        row = await connection.execute(
            text(
                f"""
                SELECT (SELECT string_agg(version_num, ' ')
                        FROM "{tenant.ref.schema}".alembic_version),
                       (SELECT string_agg(revision, ' ') FROM tenantry.tenant_stamps
                        WHERE tenant_id = :id AND module = 'fleet'),
                       EXISTS (SELECT FROM pg_attribute WHERE attname = 'note' AND attrelid =
                               to_regclass('"{tenant.ref.schema}".fleet_things'))
                """
            ),
            {"id": tenant.ref.id},
        )
        return tuple(row.one())


OLD = ("fleet_0001", "fleet_0001", False)
NEW = ("fleet_0002", "fleet_0002", True)


async def test_all_tenants_are_carried_to_the_head(make_fleet, load):
    fleet = await make_fleet(3)
    load(THINGS, NOTE)

    outcomes = await migrate_tenants(slugs(fleet))

    assert outcomes == [Outcome(tenant.slug, {"fleet": "fleet_0002"}) for tenant in fleet]
    assert [await read_state(tenant) for tenant in fleet] == [NEW] * 3


async def test_a_second_run_finds_nothing_to_do(make_fleet, load):
    fleet = await make_fleet(2)
    load(THINGS, NOTE)
    await migrate_tenants(slugs(fleet))

    assert await migrate_tenants(slugs(fleet)) == [Outcome(tenant.slug) for tenant in fleet]


async def test_without_names_every_tenant_is_carried(make_fleet, load):
    fleet = await make_fleet(2)
    load(THINGS, NOTE)

    outcomes = {outcome.slug: outcome for outcome in await migrate_tenants()}

    for tenant in fleet:
        assert outcomes[tenant.slug].revisions == {"fleet": "fleet_0002"}
    living = Tenant.objects.filter(status__in=["active", "suspended"])
    assert set(outcomes) == {row.slug async for row in living}


async def lie_about_the_version(tenant):
    await execute(tenant, "UPDATE alembic_version SET version_num = 'fleet_0002'")


async def be_ahead_of_this_release(tenant):
    await execute(tenant, "UPDATE alembic_version SET version_num = 'fleet_0099'")
    await execute(
        tenant,
        "UPDATE tenantry.tenant_stamps SET revision = 'fleet_0099' "
        f"WHERE tenant_id = '{tenant.ref.id}'",
    )


async def have_the_column_already(tenant):
    await execute(tenant, "ALTER TABLE fleet_things ADD COLUMN note text")


async def lose_the_schema(tenant):
    await execute(tenant, f'DROP SCHEMA "{tenant.ref.schema}" CASCADE')


async def have_a_module_that_is_gone(tenant):
    await Tenant.objects.filter(id=tenant.ref.id).aupdate(modules=["fleet", "gone"])


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lie_about_the_version, "alembic_version has ['fleet_0002']"),
        (be_ahead_of_this_release, "no revision of this release"),
        (have_the_column_already, "already exists"),
        (lose_the_schema, "There is no schema"),
        (have_a_module_that_is_gone, "no module `gone`"),
    ],
)
async def test_the_run_goes_on_past_a_failing_tenant_and_reports_it(make_fleet, load, harm, reason):
    fleet = await make_fleet(3)
    await harm(fleet[1])
    load(THINGS, NOTE)

    first, failed, last = await migrate_tenants(slugs(fleet))

    assert (first.slug, failed.slug, last.slug) == tuple(slugs(fleet))
    assert reason in failed.error
    assert failed.revisions == {}
    assert first.error is last.error is None
    assert [await read_state(fleet[0]), await read_state(fleet[2])] == [NEW, NEW]


async def test_every_failure_is_reported(make_fleet, load):
    fleet = await make_fleet(4)
    for tenant in fleet[1:3]:
        await have_the_column_already(tenant)
    load(THINGS, NOTE)

    outcomes = await migrate_tenants(slugs(fleet))

    assert [bool(outcome.error) for outcome in outcomes] == [False, True, True, False]


async def test_a_revision_that_raises_in_python_is_a_failure_like_any_other(make_fleet, load):
    fleet = await make_fleet(2)
    load(THINGS, "raise LookupError('needs rows')")

    outcomes = await migrate_tenants(slugs(fleet))

    assert ["needs rows" in outcome.error for outcome in outcomes] == [True, True]
    assert [await read_state(tenant) for tenant in fleet] == [OLD, OLD]


async def test_a_connection_that_is_cut_fails_one_tenant_and_the_next_get_another(make_fleet, load):
    fleet = await make_fleet(3)
    load(THINGS, NOTE)
    cut = asyncio.create_task(cut_when_it_waits(fleet[1]))

    outcomes = await migrate_tenants(slugs(fleet))

    await cut
    assert [bool(outcome.error) for outcome in outcomes] == [False, True, False]
    assert [await read_state(tenant) for tenant in fleet] == [NEW, OLD, NEW]


async def cut_when_it_waits(tenant):
    """Hold the tenant's table until a backend waits for it; terminate that one."""
    async with owner_connection() as holder:
        await holder.execute(text(f'LOCK TABLE "{tenant.ref.schema}".fleet_things IN SHARE MODE'))
        waiting = text(
            # Not pg_stat_activity, of which a transaction sees the same picture to its end.
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        async with asyncio.timeout(10):
            while not list(await holder.execute(waiting)):
                await asyncio.sleep(0.01)
        await holder.rollback()


async def test_a_run_that_was_cut_off_is_resumed_and_nothing_is_half_migrated(make_fleet, load):
    fleet = await make_fleet(6)
    load(THINGS, SLOW_NOTE)
    run = asyncio.create_task(migrate_tenants(slugs(fleet)))
    while await read_state(fleet[1]) == OLD:
        await asyncio.sleep(0.005)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    states = [await read_state(tenant) for tenant in fleet]
    assert set(states) == {OLD, NEW}

    outcomes = await migrate_tenants(slugs(fleet))

    assert [bool(outcome.revisions) for outcome in outcomes] == [state == OLD for state in states]
    assert [await read_state(tenant) for tenant in fleet] == [NEW] * 6


async def test_two_runners_migrate_each_tenant_once(make_fleet, load):
    fleet = await make_fleet(4)
    load(THINGS, SLOW_NOTE)

    one, other = await asyncio.gather(migrate_tenants(slugs(fleet)), migrate_tenants(slugs(fleet)))

    for ours, theirs in zip(one, other, strict=True):
        assert ours.error is theirs.error is None
        assert bool(ours.revisions) != bool(theirs.revisions)


async def test_a_tenant_created_in_mid_run_ends_at_head(make_fleet, make_tenant, load):
    fleet = await make_fleet(3)
    load(THINGS, SLOW_NOTE)
    run = asyncio.create_task(migrate_tenants(slugs(fleet)))
    while await read_state(fleet[0]) == OLD:
        await asyncio.sleep(0.005)

    newcomer = await make_tenant(modules=["fleet"])

    assert await read_state(newcomer) == NEW
    await run
    await lifecycle.delete_tenant(newcomer.slug, by=TESTER)
    await lifecycle.erase_tenant(newcomer.slug, newcomer.slug, by=TESTER)


async def test_suspended_tenants_go_along_and_those_made_or_deleted_stay_behind(make_fleet, load):
    fleet = await make_fleet(3)
    await lifecycle.suspend_tenant(fleet[0].slug, by=TESTER)
    await lifecycle.delete_tenant(fleet[1].slug, by=TESTER)
    await Tenant.objects.filter(id=fleet[2].ref.id).aupdate(status=TenantStatus.PROVISIONING)
    load(THINGS, NOTE)

    outcomes = {outcome.slug for outcome in await migrate_tenants()}

    assert outcomes & set(slugs(fleet)) == {fleet[0].slug}
    assert [await read_state(tenant) for tenant in fleet] == [NEW, OLD, OLD]


async def test_only_the_named_modules_are_carried(make_fleet, load):
    fleet = await make_fleet(1)
    load(THINGS, NOTE)

    assert await migrate_tenants(slugs(fleet), ["conversations"]) == [Outcome(fleet[0].slug)]
    assert await read_state(fleet[0]) == OLD
    await migrate_tenants(slugs(fleet), ["fleet"])
    assert await read_state(fleet[0]) == NEW


async def test_an_unknown_name_is_refused_before_anything_is_done(make_fleet, load):
    fleet = await make_fleet(1)
    load(THINGS, NOTE)
    with pytest.raises(errors.TenantNotFound, match="nobody"):
        await migrate_tenants([fleet[0].slug, "nobody"])
    with pytest.raises(errors.InvalidInput, match="billing"):
        await migrate_tenants(slugs(fleet), ["fleet", "billing"])
    assert await read_state(fleet[0]) == OLD


async def test_readers_are_served_while_a_migration_waits_for_its_turn(make_fleet, load):
    fleet = await make_fleet(1)
    load(THINGS, f"op.execute(\"SET LOCAL lock_timeout = '100ms'\")\n{NOTE}")
    async with owner_connection() as holder:
        await holder.execute(
            text(f'LOCK TABLE "{fleet[0].ref.schema}".fleet_things IN ACCESS SHARE MODE')
        )

        (outcome,) = await migrate_tenants(slugs(fleet))

        assert "lock timeout" in outcome.error
        await holder.execute(text(f'SELECT * FROM "{fleet[0].ref.schema}".fleet_things'))
    (outcome,) = await migrate_tenants(slugs(fleet))
    assert outcome.error is None


async def test_a_failure_is_logged_with_its_tenant(make_fleet, load, monkeypatch):
    fleet = await make_fleet(1)
    await have_the_column_already(fleet[0])
    load(THINGS, NOTE)
    logged = []
    monkeypatch.setattr(
        rollout.log, "error", lambda event, **values: logged.append((event, values["tenant"]))
    )

    await migrate_tenants(slugs(fleet))

    assert logged == [("tenant.migration_failed", fleet[0].slug)]
