"""Two tenants with objects of every module, and the routes to try on them."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tenants import lifecycle
from tenants.keys import Scope
from tenants.modules import get_modules, get_wires
from tenants.testing import API, TESTER, ApiClient, TestTenant, connect, onboard
from tests.isolation.routes import Route, read_routes
from tests.isolation.seeds import LASTING, SEEDS, Seed


@dataclass
class Seeded:
    """A tenant, a client with a key of all scopes, and values for path parameters by module.

    word: stands in every text of its objects, and nowhere else.
    """

    tenant: TestTenant
    client: ApiClient
    word: str
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    _is_fresh: bool = False

    async def sow(self, seeds: dict[str, Seed] = SEEDS) -> None:
        """Make objects of every module, and take them for the values from now on."""
        for module in get_modules():
            if module.name in seeds:
                made = await seeds[module.name](self.client, self.word)
                self.values[module.name] = self.values.get(module.name, {}) | made
        self._is_fresh = True

    async def sow_for(self, route: Route) -> None:
        """Make objects that nothing has happened to but reads, for a route that is called next."""
        if not self._is_fresh:
            await self.sow()
        self._is_fresh = route.reads

    def values_for(self, route: Route) -> dict[str, str]:
        """What to fill the path of a route with, and what its URL must have.

        Fails the test where there is nothing.
        """
        known = self.values.get(route.module, {})
        wanted = (*route.parameters, *route.query)
        missing = [name for name in wanted if name not in known]
        if missing:
            pytest.fail(
                f"{route}: the parameter {missing[0]!r} of module {route.module!r} has no "
                "seed. Have its function in tests/isolation/seeds.py make such an object and "
                "return its id."
            )
        verb = route.template.rpartition("/")[2]
        return {name: known.get(f"{name} {verb}", known.get(name, "")) for name in wanted}

    async def snapshot(self) -> dict[str, list[str]]:
        """Every row of every table in the tenant's schema, as text."""
        schema = self.tenant.ref.schema
        async with lifecycle.owner_connection() as connection:
            tables = await connection.scalars(
                text(
                    "SELECT relname FROM pg_class WHERE relkind = 'r' "
                    "AND relnamespace = to_regnamespace(:schema)"
                ),
                {"schema": schema},
            )
            return {
                table: sorted(
                    await connection.scalars(text(f"SELECT t::text FROM {schema}.{table} t"))
                )
                for table in tables.all()
            }

    @property
    def secrets(self) -> set[str]:
        """What only this tenant may read."""
        ids = {value for values in self.values.values() for value in values.values()}
        return {self.word, self.tenant.slug, self.tenant.ref.id.hex, str(self.tenant.ref.id)} | ids


Call = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture(scope="session")
async def routes(application: Any) -> list[Route]:
    """Every route of the running APIs of modules, by their own documents."""
    documents = ["/api/openapi.json", *(f"{start}openapi.json" for start in get_wires())]
    async with connect(application) as client:
        routes = [
            route
            for document in documents
            for route in read_routes((await client.get(document)).json())
        ]
    return sorted(routes, key=lambda route: not route.reads)


@pytest.fixture(scope="session")
async def alice(application: Any) -> AsyncIterator[Seeded]:
    async with seeded(application) as tenant:
        yield tenant


@pytest.fixture(scope="session")
async def bob(application: Any) -> AsyncIterator[Seeded]:
    async with seeded(application) as tenant:
        yield tenant


@pytest.fixture
async def carol(application: Any) -> AsyncIterator[Seeded]:
    """A tenant whose objects may be changed and deleted."""
    async with seeded(application) as tenant:
        yield tenant


@asynccontextmanager
async def seeded(application: Any) -> AsyncIterator[Seeded]:
    slug = f"s{secrets.token_hex(6)}"
    row, _ = await onboard(slug, f"Tenant {slug}")
    key = await lifecycle.issue_key(slug, "Every scope", list(Scope), by=TESTER)
    tenant = TestTenant(row, key.text)
    async with connect(application, base_url=f"http://localhost{API}", tenant=tenant) as client:
        result = Seeded(tenant, client, f"word{secrets.token_hex(8)}")
        await result.sow(LASTING)
        await result.sow()
        yield result
