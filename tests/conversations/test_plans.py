"""What PostgreSQL does for the lists of a large tenant: it reads the page, and not the table."""

import re
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text

from tenants import lifecycle
from tenants.db.engine import get_engine
from tenants.db.unit_of_work import read_session, write_session
from tests.conversations.test_repository import counted_statements
from tests.conversations.test_router import read

CONVERSATIONS, MESSAGES = 10_000, 100_000
LOG = "00000000-0000-7000-8000-000000000001"  # The conversation with all the messages.


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """A tenant of ten thousand conversations, one of which has a hundred thousand messages."""
    tenant = await make_tenant()
    async with write_session(tenant.ref) as session:
        await session.execute(
            text(
                "INSERT INTO conversations (id, user_id, agent_id, title, metadata, last_seq,"
                " created_at, updated_at, last_activity_at)"
                " SELECT CAST(lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000001' AS uuid),"
                " 'user ' || n % 10, 'agent', 'Title ' || n, '{}', 0, at, at, at"
                " FROM generate_series(0, :last) AS n,"
                " LATERAL (SELECT timestamptz '2026-01-01' + n * interval '1 min' AS at) AS moment"
            ),
            {"last": CONVERSATIONS - 1},
        )
        await session.execute(
            text(
                "INSERT INTO messages (id, conversation_id, seq, role, text, language, created_at)"
                " SELECT CAST(lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000002' AS uuid),"
                " :log, n, 'user', 'word' || n % 5000 || ' common', 'en', now()"
                " FROM generate_series(1, :last) AS n"
            ),
            {"log": LOG, "last": MESSAGES},
        )
        await session.execute(
            text("UPDATE conversations SET last_seq = :last WHERE id = :log"),
            {"log": LOG, "last": MESSAGES},
        )
    async with lifecycle.owner_connection() as connection:
        for table in ("conversations", "messages", "tool_calls"):
            await connection.execute(text(f"ANALYZE {tenant.ref.schema}.{table}"))
        await connection.commit()
    return tenant


@contextmanager
def explained():
    """Ask for the plan of every statement that is sent meanwhile; use `plans()` afterwards."""
    sent: list[tuple[str, Any]] = []

    def note_executed(_connection, _cursor, statement, parameters, *_rest):
        sent.append((statement, parameters))

    def note_sent(query):
        if query.query.startswith("SELECT") and query.args is not None:
            sent.append((query.query, query.args))

    def listen_to(_connection, record, _proxy):
        record.driver_connection.add_query_logger(note_sent)

    def leave(_connection, record):
        record.driver_connection.remove_query_logger(note_sent)

    engine = get_engine().sync_engine
    listeners = {"before_cursor_execute": note_executed, "checkout": listen_to, "checkin": leave}
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    try:
        yield sent
    finally:
        for name, listener in listeners.items():
            event.remove(engine, name, listener)


async def plan_of(tenant, api, path, **query):
    """The plan of the one statement that a read costs, as it runs, and the answer's items."""
    with counted_statements() as statements, explained() as sent:
        page = await read(api, path, **query)
    assert len(statements) == 1, statements
    (statement, arguments) = sent[0]
    async with read_session(tenant.ref) as session:
        await session.execute(text("SELECT 1"))  # Now the transaction has begun.
        raw = await (await session.connection()).get_raw_connection()
        rows = await raw.driver_connection.fetch(
            f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement}", *arguments
        )
    return "\n".join(row[0] for row in rows), page["data"]


def rows_read(plan):
    """The most rows that one step of it has made."""
    return max(int(float(rows)) for rows in re.findall(r"actual rows=([\d.]+)", plan))


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "conversations_last_activity_at_idx"),
        ({"order": "asc"}, "conversations_last_activity_at_idx"),
        ({"user_id": "user 7"}, "conversations_(user_id|last_activity_at)_idx"),
        ({"agent_id": "agent"}, "conversations_(agent_id|last_activity_at)_idx"),
        ({"active_before": "2026-01-03T00:00:00Z"}, "conversations_last_activity_at_idx"),
        (
            {"user_id": "user 7", "active_after": "2026-01-03T00:00:00Z"},
            "conversations_(user_id|last_activity_at)_idx",
        ),
    ],
)
async def test_a_page_of_ten_thousand_conversations_reads_a_range_of_an_index(
    api, tenant, query, index
):
    plan, items = await plan_of(tenant, api, "/conversations", limit=50, **query)

    assert len(items) == 50
    assert re.search(rf"Index Scan (Backward )?using {index}", plan), plan
    assert not re.search("Seq Scan on (conversations|messages)", plan), plan
    assert "Sort" not in plan, plan
    assert rows_read(plan) == 51, plan


async def test_a_page_in_the_middle_goes_on_in_the_index(api, tenant):
    first = await read(api, "/conversations", limit=100)

    plan, items = await plan_of(tenant, api, "/conversations", limit=50, after=first["next_cursor"])

    assert len(items) == 50
    assert "Index Cond: (ROW(last_activity_at, id) <" in plan, plan
    assert rows_read(plan) == 51, plan


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_page_of_a_hundred_thousand_messages_reads_a_range_of_an_index(api, tenant, order):
    path = f"/conversations/conv_{LOG.replace('-', '')}/messages"
    first = await read(api, path, limit=100, order=order)

    plan, items = await plan_of(
        tenant, api, path, limit=50, order=order, after=first["next_cursor"]
    )

    assert [abs(item["seq"] - items[0]["seq"]) for item in items] == list(range(50))
    assert re.search("Index Scan (Backward )?using messages_conversation_id_seq_key", plan), plan
    assert not re.search("Seq Scan on (conversations|messages)", plan), plan
    assert rows_read(plan) == 51, plan


async def test_a_search_looks_its_words_up_in_the_index(api, tenant):
    plan, items = await plan_of(tenant, api, "/search", limit=100, q="word4321 common")

    assert len(items) == MESSAGES // 5000
    assert "Bitmap Index Scan on messages_search_idx" in plan, plan
    assert "Bitmap Index Scan on conversations_title_idx" in plan, plan
    assert not re.search("Seq Scan on (conversations|messages)", plan), plan


async def test_a_search_for_a_title_looks_it_up_in_the_index(api, tenant):
    plan, (item,) = await plan_of(tenant, api, "/search", q='"title 4321"')

    assert item["title"] == "Title 4321"
    assert not re.search("Seq Scan on (conversations|messages)", plan), plan
