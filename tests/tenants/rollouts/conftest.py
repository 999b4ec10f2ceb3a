"""A fleet of its own for each test, and releases of a module to carry to it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from tenants import lifecycle, modules
from tenants.lifecycle import onboarding, owner_connection
from tenants.modules import get_modules, order_modules
from tenants.rollouts import plan
from tenants.testing import TESTER, TestTenant
from tests.tenants.throwaway import make_module

THINGS = (
    "op.execute('CREATE TABLE fleet_things (id uuid CONSTRAINT fleet_things_pkey PRIMARY KEY)')"
)
NOTE = "op.add_column('fleet_things', sa.Column('note', sa.Text()))"
DROP_NOTE = "op.drop_column('fleet_things', 'note')"
SLOW_NOTE = f"op.execute('SELECT pg_sleep(0.05)')\n{NOTE}"
# The stamp in both places, and whether the column of the second revision is there.
State = tuple[str | None, str | None, bool]
OLD: State = ("fleet_0001", "fleet_0001", False)
NEW: State = ("fleet_0002", "fleet_0002", True)


@pytest.fixture
def load(tmp_path, monkeypatch) -> Iterator[Callable[..., None]]:
    """Load a release of the module `fleet` beside the others: `load(upgrade, upgrade …)`.

    A revision is the lines of its `upgrade`, or a dictionary of `write_revision`'s arguments.
    """
    real = get_modules()

    def load(*upgrades):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        loaded = order_modules([*real, make_module(folder, "fleet", *upgrades)])
        for importer in (modules, onboarding, plan):
            monkeypatch.setattr(importer, "get_modules", lambda: loaded)

    return load


@pytest.fixture
async def make_fleet(make_tenant, load) -> AsyncIterator[Callable[..., list[TestTenant]]]:
    """Make tenants at the first revision of `fleet`, in the order of their slugs.

    They are erased afterwards: what tests break must not meet other tests' rollouts."""
    made = []

    async def make(count, first=THINGS):
        load(first)
        made.extend([await make_tenant(modules=["fleet"]) for _ in range(count)])
        return sorted(made, key=lambda tenant: tenant.slug)

    yield make
    for tenant in made:
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)


def slugs(fleet: list[TestTenant]) -> list[str]:
    return [tenant.slug for tenant in fleet]


async def execute(tenant: TestTenant, statement: str) -> None:
    async with owner_connection() as connection:
        await connection.execute(text(f'SET LOCAL search_path TO "{tenant.ref.schema}"'))
        await connection.execute(text(statement))
        await connection.commit()


@asynccontextmanager
async def held(*fleet: TestTenant) -> AsyncIterator[None]:
    """Keep whatever would change the tenants' tables waiting, while the block runs."""
    async with owner_connection() as connection:
        for tenant in fleet:
            await connection.execute(text(f'LOCK TABLE "{tenant.ref.schema}".fleet_things'))
        yield


async def read_state(tenant: TestTenant) -> State:
    async with owner_connection() as connection:
        row = await connection.execute(
            text(
                f"""
                SELECT (SELECT string_agg(version_num, ' ')
                        FROM "{tenant.ref.schema}".alembic_version),
                       (SELECT string_agg(revision, ' ') FROM tenantry.tenant_stamps
                        WHERE tenant_id = :id AND module = 'fleet'),
                       EXISTS (SELECT FROM pg_attribute WHERE attname = 'note' AND attrelid =
                               to_regclass('"{tenant.ref.schema}".fleet_things')
                               AND NOT attisdropped)
                """
            ),
            {"id": tenant.ref.id},
        )
        return tuple(row.one())
