"""What PostgreSQL does for the lists of a large tenant: it reads the page, and not the table."""

import pytest
from sqlalchemy import text

from tenants import lifecycle
from tenants.db.pagination import encode_cursor
from tenants.db.unit_of_work import read_session, write_session
from tenants.testing import API, connect
from tests.conversations.statements import noted_statements
from tests.conversations.test_router import read

CONVERSATIONS, MESSAGES = 10_000, 100_000
LOG = "00000000-0000-7000-8000-000000000001"  # The conversation with all the messages.
LOG_ID = f"conv_{LOG.replace('-', '')}"
# What a page of fifty may cost in blocks of 8 kB, up to three for each item; the conversations
# alone have 250, the messages thousands.
MOST_BLOCKS = 160


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """A tenant of ten thousand conversations, one of which has a hundred thousand messages.

    A hundred users and fifty agents have them, and a tenth of the messages has two tool calls.
    """
    tenant = await make_tenant()
    async with write_session(tenant.ref) as session:
        await session.execute(
            text(
                "INSERT INTO conversations (id, user_id, agent_id, title, metadata, last_seq,"
                " created_at, updated_at, last_activity_at)"
                " SELECT CAST(lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000001' AS uuid),"
                " 'user ' || n % 100, 'agent ' || n % 50, 'Title ' || n, '{}', 0, at, at, at"
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
            text(
                "INSERT INTO tool_calls (id, conversation_id, message_id, index, call_id, name,"
                " arguments, status, created_at, updated_at)"
                " SELECT gen_random_uuid(), :log, id, n, 'call ' || seq || ' ' || n, 'look_up',"
                " '{}', 'requested', now(), now() FROM messages, generate_series(0, 1) AS n"
                " WHERE seq % 10 = 0"
            ),
            {"log": LOG},
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


async def plan_of(tenant, api, path, **query):
    """The steps of the one statement that a read costs, as they run, and its answer."""
    sent = []
    with noted_statements(lambda *statement: sent.append(statement)):
        answer = await read(api, path, **query)
    ((statement, arguments),) = sent
    async with read_session(tenant.ref) as session:
        await session.execute(text("SELECT 1"))  # Now the transaction has begun.
        raw = await (await session.connection()).get_raw_connection()
        explain = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON)"
        (row,) = await raw.driver_connection.fetch(f"{explain} {statement}", *arguments)
    return list(flatten(row[0][0]["Plan"])), answer


def flatten(step):
    """A step of a plan, and all below it."""
    yield step
    for below in step.get("Plans", ()):
        yield from flatten(below)


def rows_read(plan, table):
    """The rows of a table that were looked at, also those that were not wanted."""
    return sum(
        round(
            step["Actual Loops"]
            * (
                step["Actual Rows"]
                + step.get("Rows Removed by Filter", 0)
                + step.get("Rows Removed by Index Recheck", 0)
            )
        )
        for step in plan
        if step.get("Relation Name") == table
    )


def assert_reads_a_range(plan, table, index):
    """The table is read by a scan of a range of that index and in its order, and no table whole."""
    reads = {
        (step["Relation Name"], step["Node Type"], step.get("Index Name"))
        for step in plan
        if "Relation Name" in step
    }
    of_table = {(kind, name) for relation, kind, name in reads if relation == table}
    assert of_table <= {("Index Scan", index), ("Index Only Scan", index)}, reads
    assert of_table, reads
    assert not any(kind == "Seq Scan" for _, kind, _ in reads), reads
    assert plan[0]["Shared Hit Blocks"] + plan[0]["Shared Read Blocks"] <= MOST_BLOCKS


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "last_activity_at"),
        ({"order": "asc"}, "last_activity_at"),
        ({"status": "active"}, "last_activity_at"),
        ({"user_id": "user 7"}, "user_id"),
        ({"user_id": "user 7", "order": "asc"}, "user_id"),
        ({"agent_id": "agent 7"}, "agent_id"),
        ({"active_before": "2026-01-03T00:00:00Z"}, "last_activity_at"),
    ],
)
async def test_a_page_of_ten_thousand_conversations_reads_a_range_of_an_index(
    api, tenant, query, index
):
    plan, page = await plan_of(tenant, api, "/conversations", limit=50, **query)

    assert len(page["data"]) == 50
    assert_reads_a_range(plan, "conversations", f"conversations_{index}_idx")
    assert not any(step["Node Type"] == "Sort" for step in plan), plan
    assert rows_read(plan, "conversations") == 51, plan


async def test_a_page_in_the_middle_goes_on_in_the_index(api, tenant):
    first = await read(api, "/conversations", limit=100, active_before="2026-01-04T00:00:00Z")
    query = {"active_before": "2026-01-04T00:00:00Z", "after": first["next_cursor"]}

    plan, page = await plan_of(tenant, api, "/conversations", limit=50, **query)

    assert len(page["data"]) == 50
    assert_reads_a_range(plan, "conversations", "conversations_last_activity_at_idx")
    assert any("ROW(last_activity_at, id) <" in step.get("Index Cond", "") for step in plan), plan
    assert rows_read(plan, "conversations") == 51, plan


async def test_a_users_conversations_of_some_time_are_looked_for_among_the_users(api, tenant):
    query = {"user_id": "user 7", "active_after": "2026-01-03T00:00:00Z"}

    plan, page = await plan_of(tenant, api, "/conversations", limit=50, **query)

    assert len(page["data"]) == 50
    assert "conversations_user_id_idx" in {step.get("Index Name") for step in plan}, plan
    assert rows_read(plan, "conversations") <= CONVERSATIONS / 100, plan


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("position", [None, MESSAGES // 2])
async def test_a_page_of_a_hundred_thousand_messages_reads_a_range_of_an_index(
    api, tenant, order, position
):
    query = {"limit": 50, "order": order}
    if position is not None:
        listing = ["messages", LOG_ID, order]
        query["after"] = encode_cursor(tenant.ref, listing, (position,))

    plan, page = await plan_of(tenant, api, f"/conversations/{LOG_ID}/messages", **query)

    step = 1 if order == "asc" else -1
    first = (position or (0 if order == "asc" else MESSAGES + 1)) + step
    assert [item["seq"] for item in page["data"]] == list(range(first, first + 50 * step, step))
    assert sum(len(item["tool_calls"]) for item in page["data"]) == 10
    assert_reads_a_range(plan, "messages", "messages_conversation_id_seq_key")
    assert_reads_a_range(plan, "tool_calls", "tool_calls_message_id_index_key")
    assert rows_read(plan, "messages") == 51, plan
    assert rows_read(plan, "tool_calls") in (10, 12), plan


async def test_a_search_looks_its_words_up_in_the_index(api, tenant):
    plan, page = await plan_of(tenant, api, "/search", limit=100, q="word4321 common")

    assert len(page["data"]) == MESSAGES // 5000
    indexes = {step.get("Index Name") for step in plan if step["Node Type"] == "Bitmap Index Scan"}
    assert indexes >= {"messages_search_idx", "conversations_title_idx"}, plan
    assert not any(step["Node Type"] == "Seq Scan" for step in plan), plan
    assert rows_read(plan, "messages") <= 2 * len(page["data"]), plan


async def test_a_search_for_a_title_looks_it_up_in_the_index(api, tenant):
    plan, page = await plan_of(tenant, api, "/search", q='"title 4321"')

    (item,) = page["data"]
    assert item["title"] == "Title 4321"
    assert not any(step["Node Type"] == "Seq Scan" for step in plan), plan


# Before PostgreSQL has analysed a table


@pytest.fixture(scope="module")
async def unknown(make_tenant):
    """A tenant with a fork of three thousand messages, whose tables nobody has analysed yet.

    A third of the messages has an open call; another third are outputs of other calls, of which the
    conversation has none.
    """
    tenant, length = await make_tenant(), 3000
    async with lifecycle.owner_connection() as connection:
        for table in ("conversations", "messages", "tool_calls"):
            off = "SET (autovacuum_enabled = false)"
            await connection.execute(text(f"ALTER TABLE {tenant.ref.schema}.{table} {off}"))
        await connection.commit()
    async with write_session(tenant.ref) as session:
        for statement in (
            "INSERT INTO conversations (id, last_seq, message_count, created_at, updated_at,"
            " last_activity_at) VALUES (:log, :last, :last, now(), now(), now())",
            "INSERT INTO messages (id, conversation_id, seq, role, text, call_id, created_at)"
            " SELECT gen_random_uuid(), :log, n, (ARRAY['user', 'assistant', 'tool'])[n % 3 + 1],"
            " 'word', CASE n % 3 WHEN 2 THEN 'gone ' || n END, now()"
            " FROM generate_series(1, :last) AS n",
            "INSERT INTO tool_calls (id, conversation_id, message_id, index, call_id, name,"
            " arguments, created_at, updated_at)"
            " SELECT gen_random_uuid(), :log, id, 0, 'call ' || seq, 'look_up', '{}', now(), now()"
            " FROM messages WHERE role = 'assistant'",
        ):
            await session.execute(
                text(statement.replace(":log", "CAST(:log AS uuid)")), {"log": LOG, "last": length}
            )
    return tenant, length


@pytest.mark.parametrize(("route", "query"), [("check", {}), ("context", {"max_tokens": 200_000})])
async def test_a_long_conversation_is_read_a_few_times_though_nothing_is_known_of_it(
    application, unknown, route, query
):
    """And not once for each of its messages."""
    tenant, length = unknown
    base_url = f"http://localhost{API}"
    async with connect(application, base_url=base_url, tenant=tenant) as api:
        forked = await api.post(f"/conversations/{LOG_ID}/forks", json={"at_seq": length})
        path = f"/conversations/{forked.json()['id']}/{route}"
        plan, _ = await plan_of(tenant, api, path, **query)

    assert rows_read(plan, "messages") <= 4 * length, plan
    assert rows_read(plan, "tool_calls") <= 4 * length, plan
