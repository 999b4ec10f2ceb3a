"""A tenant that is emptied after each test, since another one would take several times as long;
and the OpenAI wire of a file's own tenant."""

from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient
from sqlalchemy import delete

from conversations.module import module
from project.asgi import Application
from tenants.db.unit_of_work import write_session
from tenants.testing import MakeTenant, TestTenant, connect


@pytest.fixture(scope="module")
async def reused_tenant(make_tenant: MakeTenant) -> TestTenant:
    return await make_tenant()


@pytest.fixture
async def empty_tenant(reused_tenant: TestTenant) -> AsyncIterator[TestTenant]:
    """A tenant without a row of ours, for tests that change nothing else of it."""
    yield reused_tenant
    async with write_session(reused_tenant.ref) as session:
        for table in reversed(module.metadata.sorted_tables):
            await session.execute(delete(table))


@pytest.fixture
async def wire(application: Application, tenant: TestTenant) -> AsyncIterator[AsyncClient]:
    """A client with the tenant's key; its paths begin after `/openai/v1`."""
    base_url = "http://localhost/openai/v1"
    async with connect(application, base_url=base_url, tenant=tenant) as client:
        yield client


@pytest.fixture
async def path(wire: AsyncClient) -> str:
    """The items of a new conversation."""
    answer = await wire.post("/conversations", json={})
    return f"/conversations/{answer.json()['id']}/items"
