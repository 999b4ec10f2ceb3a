"""Drift: whatever is otherwise in a schema than its stamps say is found, and told exactly.

One schema is harmed in each way, and all are looked at in one check: with a schema of its own, no
harm is found by another's trace.
"""

import asyncio
import os
from types import SimpleNamespace

import asyncpg
import pytest
from asgiref.sync import sync_to_async
from pydantic import SecretStr
from sqlalchemy import text

from tenants import modules, schemas, spares
from tenants.apps import get_settings
from tenants.db import engine
from tenants.errors import BrokenRevision, TenantNotFound
from tenants.ids import new_id
from tenants.lifecycle import owner_connection
from tenants.models import Tenant, TenantStatus
from tenants.modules import get_module, get_modules, order_modules
from tenants.revisions import ensure_fleet_tables, lock_key, migrate_schema
from tenants.rollouts.drift import CheckResult, check, check_fleet, reference
from tenants.rollouts.drift.structure import make_digest, read_digests, read_lines
from tenants.rollouts.fleet import Vessel
from tenants.tenant import TenantRef
from tests.tenants.rollouts.harms import FIRST, HARMLESS, HARMS, NEWER, SECOND, SINCE, THIRD
from tests.tenants.rollouts.pooler import pooled
from tests.tenants.test_logins import superuser_url
from tests.tenants.throwaway import make_module

ELSEWHERE = """
CREATE SCHEMA drift_elsewhere;
CREATE TABLE drift_elsewhere.drift_authors (id uuid PRIMARY KEY, "größe" int);
GRANT USAGE ON SCHEMA drift_elsewhere TO tenantry_owner
"""
RIGHTS = """
SELECT string_agg(privilege_type, ', ' ORDER BY privilege_type)
FROM aclexplode(acldefault('r', 10)) WHERE privilege_type <> ALL ($1)
"""
# Below its head, and as its stamp says: no drift.
BEHIND = "behind"


@pytest.fixture(scope="module")
async def admin(application):
    """A connection of the server's superuser, who can do any harm."""
    connection = await asyncpg.connect(superuser_url())
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Load a release of the module `drift` beside the others, for all tests of this file."""
    real = get_modules()
    with pytest.MonkeyPatch.context() as patch:

        def load(*upgrades):
            folder = tmp_path_factory.mktemp("release")
            loaded = order_modules([*real, make_module(folder, "drift", *upgrades)])
            for importer in (modules, check):
                patch.setattr(importer, "get_modules", lambda: loaded)

        yield load


@pytest.fixture(scope="module")
async def fleet(admin, release):
    """A tenant for each harm and each harmless change, and one that is behind; by their names."""
    version = admin.get_server_version().major
    refs = {
        name: TenantRef(new_id(), f"drift-{number:03}", frozenset({"drift"}))
        for number, name in enumerate([*HARMS, *HARMLESS, BEHIND])
        if version >= SINCE.get(name, 0)
    }
    async with owner_connection() as connection:
        await ensure_fleet_tables(connection)
        await schemas.create_schemas(connection, list(refs.values()))
        release(FIRST)
        await migrate_schema(connection, refs[BEHIND], [get_module("drift")])
        release(FIRST, SECOND, THIRD)
        for name, ref in refs.items():
            if name != BEHIND:
                await migrate_schema(connection, ref, [get_module("drift")])
        await connection.commit()
    rows = [
        Tenant(id=ref.id, slug=ref.slug, name=name, status=TenantStatus.ACTIVE, modules=["drift"])
        for name, ref in refs.items()
    ]
    await sync_to_async(Tenant.objects.bulk_create)(rows)
    await admin.execute(ELSEWHERE)
    yield refs
    await sync_to_async(Tenant.objects.filter(slug__startswith="drift-").delete)()
    await admin.execute("DROP SCHEMA drift_elsewhere CASCADE")
    for ref in refs.values():
        await drop(admin, ref)


@pytest.fixture(scope="module")
async def found(admin, fleet):
    """What one check of the fleet says when all harm is done."""
    words = {
        "all": await admin.fetchval(RIGHTS, []),
        "modules": ", ".join(module.name for module in modules.get_modules()),
        "more": await admin.fetchval(RIGHTS, ["SELECT", "INSERT", "UPDATE", "DELETE"]),
    }
    harms = {name: harm for name, (harm, _) in HARMS.items()} | HARMLESS
    for name, ref in fleet.items():
        await harm_schema(admin, ref, harms.get(name, ""))
    replays = []

    async def replay(segments):
        replays.append(segments)
        return await original(segments)

    drifts, original = {}, reference._replay
    before = await list_names(admin)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "_replay", replay)
        result = await check_fleet(
            lambda drift: drifts.setdefault(drift.slug, []).append(drift), slugs(fleet)
        )
    after = await list_names(admin)
    return SimpleNamespace(
        result=result, drifts=drifts, words=words, replays=replays, before=before, after=after
    )


def slugs(fleet):
    return [ref.slug for ref in fleet.values()]


async def harm_schema(admin, ref, harm):
    statement = harm.format(me=ref.schema, id=ref.id)
    await admin.execute(f'BEGIN; SET LOCAL search_path TO "{ref.schema}"; {statement}; COMMIT')


async def drop(admin, ref):
    await admin.execute(
        f"""
        DROP SCHEMA IF EXISTS "{ref.schema}" CASCADE;
        DROP ROLE IF EXISTS "{ref.schema}";
        DELETE FROM tenantry.spares WHERE id = '{ref.id}';
        DELETE FROM tenantry.tenant_stamps WHERE tenant_id = '{ref.id}';
        """
    )


async def list_names(admin):
    """All schemas and roles there are."""
    return await admin.fetch(
        "SELECT nspname FROM pg_namespace UNION ALL SELECT rolname FROM pg_roles ORDER BY 1"
    )


async def check_one(ref):
    drifts = []
    await check_fleet(drifts.append, [ref.slug])
    return [drift.differences for drift in drifts]


@pytest.mark.parametrize("name", HARMS)
def test_it_is_found_and_told_exactly(admin, fleet, found, name):
    if name not in fleet:
        pytest.skip("this version has nothing of the kind")
    (drift,) = found.drifts[fleet[name].slug]
    words = found.words | {"me": fleet[name].schema}
    absent = set() if admin.get_server_version().major >= 16 else NEWER
    expected = [line.format(**words) for line in HARMS[name][1] if line not in absent]
    assert list(drift.differences) == expected
    assert drift.schema == fleet[name].schema


@pytest.mark.parametrize("name", [*HARMLESS, BEHIND])
def test_what_is_as_it_should_be_is_not_told(fleet, found, name):
    assert fleet[name].slug not in found.drifts


def test_it_counts(fleet, found):
    # Those harms that change the stamp leave a tenant below its head, too.
    seconds = found.result.seconds
    harmed = len(fleet) - len(HARMLESS) - 1
    assert found.result == CheckResult(len(fleet), harmed, 1 + 3, seconds)
    assert 0 < seconds < 30


def test_each_revision_is_replayed_once_and_nothing_is_left_of_it(found):
    assert len(found.replays) == 1 + 3
    assert found.after == found.before


async def test_the_database_makes_the_same_digest_as_we(fleet, found):
    async with owner_connection() as connection:
        names = [ref.schema for ref in fleet.values()]
        digests = await read_digests(connection, names)
        lines = await read_lines(connection, names)
    assert len(digests) == len(fleet) - 1  # One has no schema.
    assert {schema: make_digest(found) for schema, found in lines.items()} == digests
    assert any("größe" in line for line in lines[fleet["nothing"].schema])


async def test_it_reads_the_same_whatever_the_search_path_is(fleet, found):
    ref = fleet["a foreign key into another schema"]
    async with owner_connection() as connection:
        await connection.execute(text("SET LOCAL search_path TO drift_elsewhere"))
        lines = await read_lines(connection, [ref.schema])
    assert any("REFERENCES drift_elsewhere.drift_authors" in line for line in lines[ref.schema])


async def test_a_change_that_is_under_way_is_waited_for(fleet, found):
    ref = fleet["an extra sequence"]
    key = lock_key(ref.id)
    change = await asyncpg.connect(superuser_url())
    async with change.transaction():
        await change.execute("SELECT pg_advisory_xact_lock($1, $2)", key["high"], key["low"])
        await change.execute(f'DROP SEQUENCE "{ref.schema}".extra')
        checking = asyncio.create_task(check_one(ref))
        done, _ = await asyncio.wait([checking], timeout=0.2)
        assert not done
    await change.close()
    assert await checking == []


async def test_who_was_erased_meanwhile_has_not_drifted(fleet, monkeypatch):
    erased = Vessel(TenantRef(new_id(), "erased"), {})
    known = await check._read_fleet([fleet["nothing"].slug])
    answers = iter([[*known, erased], known])

    async def read(_slugs):
        return next(answers)

    monkeypatch.setattr(check, "_read_fleet", read)
    drifts = []
    result = await check_fleet(drifts.append)
    assert (drifts, result.drifted) == ([], 0)


async def test_spares_are_looked_at_too_when_no_tenant_is_named(fleet, admin):
    spare = TenantRef(new_id(), "")
    async with owner_connection() as connection:
        await schemas.create_schema(connection, spare)
        await migrate_schema(connection, spare, [get_module("drift")])
        await spares.list_spares(connection, [spare.id], [get_module("drift")])
        await connection.commit()
    await harm_schema(admin, spare, "DROP TABLE drift_things")

    drifts = []
    await check_fleet(drifts.append)
    await drop(admin, spare)

    (drift,) = [drift for drift in drifts if drift.schema == spare.schema]
    assert (drift.slug, drift.name) == ("", spare.schema)
    assert drift.differences == ("table drift_things is missing",)


async def test_a_tenant_that_is_not_there_is_an_error(fleet):
    with pytest.raises(TenantNotFound, match="nobody"):
        await check_fleet(print, [fleet["nothing"].slug, "nobody"])


async def test_a_revision_that_does_not_run_any_more_is_an_error_and_no_drift(fleet, release):
    release(FIRST, SECOND, "raise LookupError('rows')")
    drifts = []
    with pytest.raises(BrokenRevision, match="drift_0003"):
        await check_fleet(drifts.append, [fleet["nothing"].slug])
    release(FIRST, SECOND, THIRD)
    assert drifts == []
    assert await check_one(fleet["nothing"]) == []


@pytest.mark.slow
async def test_it_works_through_a_transaction_pooler(fleet, found, monkeypatch):
    """Which gives each transaction any of three connections; there are more batches than that."""
    direct, through = {}, {}
    await check_fleet(lambda drift: direct.update({drift.slug: drift}), slugs(fleet))
    settings = get_settings()
    with pooled(settings.owner_url.get_secret_value()) as url:
        led = settings.model_copy(update={"owner_url": SecretStr(url)})
        monkeypatch.setattr(check, "get_settings", lambda: led)
        monkeypatch.setattr(check, "_BATCH", 10)
        engine.configure(led)
        try:
            await check_fleet(lambda drift: through.update({drift.slug: drift}), slugs(fleet))
        finally:
            engine.configure(settings)
    assert through == direct


@pytest.mark.slow
async def test_a_large_fleet_takes_seconds(application, admin):
    """`DRIFT_SCHEMAS=10000 pytest -m slow -k large_fleet -s` repeats the measured figure."""
    count = int(os.environ.get("DRIFT_SCHEMAS", "500"))
    async with owner_connection() as connection:
        await ensure_fleet_tables(connection)
    made = []
    while len(made) < count:
        batch = [TenantRef(new_id(), "") for _ in range(min(50, count - len(made)))]
        async with owner_connection() as connection:
            await schemas.create_schemas(connection, batch)
            for ref in batch:
                await migrate_schema(connection, ref, get_modules())
            await spares.list_spares(connection, [ref.id for ref in batch], get_modules())
            await connection.commit()
        made += batch
    ours, drifts = {ref.schema for ref in made}, []

    result = await check_fleet(drifts.append)
    assert {drift.schema for drift in drifts} & ours == set()
    for ref in made:  # A right too many in each: all are looked at twice.
        await admin.execute(f'GRANT USAGE ON SCHEMA "{ref.schema}" TO PUBLIC')
    drifts.clear()
    again = await check_fleet(drifts.append)
    for ref in made:
        await drop(admin, ref)

    print(f"\n{result}\n{again}")
    assert {drift.schema for drift in drifts} >= ours
    # 10,000 in a minute, with room for a machine that has more to do.
    assert result.seconds < result.checked * 0.006 + 1
