"""Tenants in numbers, and settings that make faults quick."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy import insert

from tenants.apps import get_settings
from tenants.db import engine
from tenants.db.unit_of_work import write_session
from tenants.ids import new_id
from tenants.testing import MakeTenant, TestTenant, onboard
from tests.sample.module import Note

Configure = Callable[..., Awaitable[None]]


@pytest.fixture(scope="session")
async def fleet(application: Any) -> list[TestTenant]:
    """Twenty tenants, each with one note that holds its slug. They are read, never changed."""

    async def make() -> TestTenant:
        slug = f"f{secrets.token_hex(6)}"
        tenant, key = await onboard(slug, f"Tenant {slug}")
        async with write_session(tenant.ref) as session:
            values = {"id": new_id(), "body": slug, "created_at": datetime.now(UTC)}
            await session.execute(insert(Note), values)
        return TestTenant(tenant, key.text)

    return await asyncio.gather(*(make() for _ in range(20)))


@pytest.fixture
def anyone(fleet: list[TestTenant]) -> TestTenant:
    """One of the fleet, for tests that only need a tenant that exists."""
    return fleet[0]


@pytest.fixture
async def bare_tenant(make_tenant: MakeTenant) -> TestTenant:
    """A tenant without tables, for what is kept in the registry: they take most of the time."""
    return await make_tenant(modules=[])


@pytest.fixture
def quick_passwords(settings: Any) -> None:
    """Passwords are hashed in no time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
async def configure() -> AsyncIterator[Configure]:
    """Replace the running engines by new ones: `await configure(pool_size=1)`."""

    async def apply(**changes: object) -> None:
        await engine.dispose_engines()
        engine.configure(get_settings().model_copy(update=changes))

    yield apply
    await apply()


@pytest.fixture
async def runtime() -> AsyncIterator[asyncpg.Connection]:
    """A plain connection of the runtime login, without our classes around it."""
    connection = await asyncpg.connect(get_settings().runtime_url.get_secret_value())
    yield connection
    await asyncio.wait_for(connection.close(), 5)


@pytest.fixture
async def owner() -> AsyncIterator[asyncpg.Connection]:
    """A plain connection of the login that owns the tenants' schemas."""
    connection = await asyncpg.connect(get_settings().owner_url.get_secret_value())
    yield connection
    await asyncio.wait_for(connection.close(), 5)
