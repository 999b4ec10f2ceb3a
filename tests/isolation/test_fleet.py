"""Many tenants at once: made together, asked together, and each sees its own."""

import asyncio
import random
import secrets

import pytest
from sqlalchemy import func, select, text

from tenants import lifecycle
from tenants.apps import get_settings
from tenants.db import engine
from tenants.db.unit_of_work import read_session, write_session
from tenants.ids import new_id, show_id
from tenants.testing import TestTenant, onboard
from tests.sample.module import Note

V1 = "/api/v1"


@pytest.fixture(scope="module")
async def fleet(application):
    """Twenty tenants that were onboarded at the same moment."""

    async def make():
        slug = f"m{secrets.token_hex(6)}"
        tenant, key = await onboard(slug, f"Tenant {slug}")
        return TestTenant(tenant, key.text)

    return await asyncio.gather(*(make() for _ in range(20)))


@pytest.fixture
async def patience():
    """Time to wait for a connection on a machine that is busy with other things."""
    await engine.dispose_engines()
    engine.configure(get_settings().model_copy(update={"pool_timeout_seconds": 20.0}))
    yield
    await engine.dispose_engines()
    engine.configure(get_settings())


async def test_tenants_that_are_onboarded_at_once_are_all_complete(fleet):
    assert len({tenant.ref.schema for tenant in fleet}) == 20
    assert {tenant.row.status for tenant in fleet} == {"active"}
    async with lifecycle.owner_connection() as connection:
        stamps = await connection.execute(
            text(
                "SELECT tenant_id, array_agg(module || revision ORDER BY module) "
                "FROM tenantry.tenant_stamps WHERE tenant_id = ANY(:ids) GROUP BY tenant_id"
            ),
            {"ids": [tenant.ref.id for tenant in fleet]},
        )
        found = stamps.all()
    assert len(found) == 20
    assert len({tuple(row[1]) for row in found}) == 1


async def test_a_hundred_requests_at_once_see_nothing_of_another_tenant(fleet, client, patience):
    wrong = []

    async def work(tenant, number):
        """One request that writes its tenant's slug, or one that reads what is there."""
        if number < 2:
            answer = await client.post(
                f"{V1}/conversations",
                headers=tenant.headers,
                json={
                    "title": tenant.slug,
                    "metadata": {"slug": tenant.slug},
                    "messages": [{"role": "user", "content": tenant.slug}],
                },
            )
            assert answer.status_code == 201, answer.text
            assert answer.json()["title"] == tenant.slug
            return
        host = {"Host": f"{tenant.slug}.localhost"} if number == 2 else {}
        answer = await client.get(f"{V1}/conversations", headers=tenant.headers | host)
        assert answer.status_code == 200, answer.text
        wrong.extend(
            (tenant.slug, conversation)
            for conversation in answer.json()["data"]
            if {conversation["title"], conversation["preview"]} != {tenant.slug}
        )

    jobs = [(tenant, number) for tenant in fleet for number in range(5)]
    random.Random(11).shuffle(jobs)
    await asyncio.gather(*(work(*job) for job in jobs))
    assert wrong == []

    for tenant in fleet:
        answer = await client.get(f"{V1}/conversations", headers=tenant.headers)
        titles = [conversation["title"] for conversation in answer.json()["data"]]
        assert titles == [tenant.slug] * 2


async def test_the_same_id_in_every_tenant_is_each_ones_own(fleet, client, patience):
    note_id = new_id()
    for tenant in fleet:
        async with write_session(tenant.ref) as session:
            await session.execute(
                text("INSERT INTO sample_notes VALUES (:id, :body, now())"),
                {"id": note_id, "body": tenant.slug},
            )
    path = f"{V1}/notes/{show_id('note', note_id)}"
    for _ in range(2):
        answers = await asyncio.gather(
            *(client.get(path, headers=tenant.headers) for tenant in fleet)
        )
        assert [answer.json()["body"] for answer in answers] == [t.slug for t in fleet]


async def test_child_tasks_of_one_request_stay_with_the_tenant_they_were_given(fleet, patience):
    """A tenant is passed, so a task that is started inside another tenant's block is not in it."""

    async def count(tenant):
        async with read_session(tenant.ref) as session:
            return await session.scalar(select(func.current_user())), await session.scalar(
                select(func.count()).select_from(Note)
            )

    outer, *others = fleet
    async with write_session(outer.ref) as session:
        await session.execute(
            text("INSERT INTO sample_notes VALUES (gen_random_uuid(), '', now())")
        )
        before = await asyncio.gather(*(asyncio.create_task(count(tenant)) for tenant in others))
        assert [schema for schema, _ in before] == [tenant.ref.schema for tenant in others]
        own = await session.scalar(select(func.current_user()))
        assert own == outer.ref.schema
