"""A tenant that is emptied after each test: another one would take several times as long."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import delete

from conversations.module import module
from tenants.db.unit_of_work import write_session
from tenants.testing import MakeTenant, TestTenant


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
