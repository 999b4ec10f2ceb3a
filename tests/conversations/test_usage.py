import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from conversations.models import Conversation, Message, ToolCall
from conversations.settings import get_settings
from tenants.db.unit_of_work import write_session
from tenants.ids import new_id
from tests.conversations.statements import counted_statements

RANGE = {"from": "2026-03-01", "to": "2026-04-01"}
NOTHING = {
    "input_tokens": 0,
    "output_tokens": 0,
    "cached_tokens": 0,
    "reasoning_tokens": 0,
    "total_tokens": 0,
    "cost": "0",
    "messages": 0,
    "tool_calls": 0,
    "conversations": 0,
}


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file, whose log nobody changes but `used`."""
    return await make_tenant()


async def keep(tenant, values, messages, calls=0):
    """A conversation with messages at given times, by Core, as they come from the past."""
    now = datetime.now(UTC)
    head = {"id": new_id(), "created_at": now, "updated_at": now, "last_activity_at": now}
    rows = [
        {"id": new_id(), "conversation_id": head["id"], "seq": seq, "role": "assistant", **message}
        for seq, message in enumerate(messages, start=1)
    ]
    async with write_session(tenant.ref) as session:
        await session.execute(insert(Conversation), {**head, **values})
        for row in rows:
            await session.execute(insert(Message), row)
        for index in range(calls):
            call = {
                "id": new_id(),
                "conversation_id": head["id"],
                "message_id": rows[0]["id"],
                "index": index,
                "call_id": f"call_{index}",
                "name": "n",
                "arguments": {},
                "created_at": now,
                "updated_at": now,
            }
            await session.execute(insert(ToolCall), call)
    return f"conv_{head['id'].hex}"


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture(scope="module")
async def used(tenant):
    """Two users' conversations in March 2026."""
    one = {"model": "m1", "input_tokens": 10, "output_tokens": 4, "cost": "0.0012500000"}
    full = {"model": "m2", "token_count": 30, "cached_tokens": 5, "reasoning_tokens": 2}
    await keep(
        tenant,
        {"user_id": "ann", "agent_id": "=cmd()"},
        [
            {**one, "created_at": at("2026-03-10 23:30")},
            {**full, "created_at": at("2026-03-11 00:30"), "cost": "2"},
        ],
        calls=3,
    )
    await keep(tenant, {"user_id": "bob"}, [{**one, "created_at": at("2026-03-10 12:00")}])
    await keep(
        tenant,
        {"user_id": "bob", "status": "deleted"},
        [{"created_at": at("2026-03-31 23:59"), "role": "user"}],
    )
    await keep(
        tenant,
        {"user_id": "eve"},
        [
            {**one, "created_at": at("2026-02-28 23:59:59.999999")},
            {**one, "created_at": at("2026-04-01")},
        ],
    )


async def report(api, **query):
    answer = await api.get("/usage", params={**RANGE, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def some(row, *names):
    return tuple(row[name] for name in names)


async def test_a_day_has_its_sums(api, used):
    usage = await report(api)

    assert usage["data"] == [
        {
            "day": "2026-03-10",
            "input_tokens": 20,
            "output_tokens": 8,
            "cached_tokens": 0,
            "reasoning_tokens": 0,
            "total_tokens": 28,
            "cost": "0.0025",
            "messages": 2,
            "tool_calls": 3,
            "conversations": 2,
        },
        {
            **NOTHING,
            "day": "2026-03-11",
            "cached_tokens": 5,
            "reasoning_tokens": 2,
            "total_tokens": 30,
            "cost": "2",
            "messages": 1,
            "conversations": 1,
        },
        {**NOTHING, "day": "2026-03-31", "messages": 1, "conversations": 1},
    ]
    assert (usage["from"], usage["to"], usage["timezone"]) == ("2026-03-01", "2026-04-01", "UTC")


async def test_the_totals_count_a_conversation_once(api, used):
    totals = (await report(api))["totals"]

    assert some(totals, "messages", "tool_calls", "conversations") == (4, 3, 3)
    assert some(totals, "total_tokens", "cost") == (58, "2.0025")


async def test_days_are_those_of_the_time_zone(api, used):
    oslo = (await report(api, timezone="Europe/Oslo"))["data"]
    hawaii = (await report(api, timezone="Pacific/Honolulu"))["data"]

    # Oslo is an hour ahead, and two from the end of March on: its 1 April has begun by then.
    assert [some(row, "day", "messages") for row in oslo] == [
        ("2026-03-01", 1),
        ("2026-03-10", 1),
        ("2026-03-11", 2),
    ]
    assert [some(row, "day", "messages") for row in hawaii] == [
        ("2026-03-10", 3),
        ("2026-03-31", 2),
    ]


async def test_rows_are_for_what_they_are_grouped_by(api, used):
    by_user = (await report(api, group_by="user"))["data"]
    by_agent = (await report(api, group_by="model,agent"))["data"]

    assert [some(row, "user_id", "messages", "conversations") for row in by_user] == [
        ("ann", 2, 1),
        ("bob", 2, 2),
    ]
    assert [some(row, "model", "agent_id", "messages") for row in by_agent] == [
        (None, None, 1),
        ("m1", None, 1),
        ("m1", "=cmd()", 1),
        ("m2", "=cmd()", 1),
    ]
    assert not {"day", "user_id"} & by_agent[0].keys()


@pytest.mark.parametrize(
    ("query", "messages"),
    [
        ({"user_id": "ann"}, 2),
        ({"agent_id": "=cmd()"}, 2),
        ({"model": "m1"}, 2),
        ({"model": "m1", "user_id": "bob"}, 1),
        ({"user_id": "nobody"}, 0),
        ({"to": "2026-03-11"}, 2),
    ],
)
async def test_filters_must_all_hold(api, used, query, messages):
    assert (await report(api, **query))["totals"]["messages"] == messages


async def test_what_a_branch_took_over_counts_once(api, make_tenant, tenant):
    message = {"model": "branched", "token_count": 5, "created_at": at("2020-01-01")}
    branch = {"user_id": "fork", "fork_seq": 2, "created_at": message["created_at"]}
    await keep(tenant, branch, [message] * 3)
    # What was taken over is older than the branch, even where that hangs on an earlier one by now.
    later = branch | {"created_at": at("2020-01-03"), "fork_seq": 0}
    await keep(tenant, later, [message, message | {"created_at": at("2020-01-03")}])

    usage = await report(api, **{"from": "2020-01-01", "to": "2020-01-02"})

    assert some(usage["totals"], "messages", "total_tokens") == (1, 5)


async def test_where_nothing_was_used_there_are_no_rows(api, used):
    usage = await report(api, **{"from": "1999-01-01", "to": "1999-02-01"})

    assert usage["data"] == []
    assert usage["totals"] == NOTHING


async def test_without_a_range_it_is_the_last_thirty_days_and_today(api, used):
    before = datetime.now(UTC).date()
    await api.post("/conversations", json={"messages": [{"role": "user", "content": "x"}]})

    usage = (await api.get("/usage")).json()

    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert usage["to"] == tomorrow.isoformat()
    assert usage["from"] == (tomorrow - timedelta(days=30)).isoformat()
    assert usage["data"][-1]["day"] >= before.isoformat()
    assert usage["totals"]["messages"] >= 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"timezone": "Oslo"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": "Europe"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"timezone": "europe/oslo'; --"}, "timezone"),
        ({"group_by": "week"}, "group_by"),
        ({"group_by": "day,day"}, "group_by"),
        ({"group_by": ""}, "group_by"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-02-30"}, "from"),
        ({"from": "2026-04-01"}, "to"),
        ({"from": "2024-03-01"}, "to"),
        ({"from": "0001-01-01"}, "to"),
        ({"format": "xml"}, "format"),
        ({"until": "2026-04-01"}, "until"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_name(api, query, field):
    answer = await api.get("/usage", params={**RANGE, **query})

    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Midway", "UTC"])
@pytest.mark.parametrize(
    "days", [("0001-01-01", "0001-01-02"), ("9999-12-30", "9999-12-31"), ("0001-01-01", None)]
)
async def test_the_ends_of_the_calendar_are_no_error_of_ours(api, zone, days):
    query = {"timezone": zone, "from": days[0], **({"to": days[1]} if days[1] else {})}

    assert (await api.get("/usage", params=query)).status_code in (200, 422)
    assert (await api.get("/usage", params={"to": days[0]})).status_code in (200, 422)


async def test_a_range_may_be_as_long_as_the_setting_says(api, used):
    longest = get_settings().max_usage_days
    start = datetime(2026, 4, 1, tzinfo=UTC).date() - timedelta(days=longest)

    assert (await report(api, **{"from": start.isoformat()}))["totals"]["messages"] == 5
    day_before = (start - timedelta(days=1)).isoformat()
    answer = await api.get("/usage", params={**RANGE, "from": day_before})
    assert answer.status_code == 422


async def test_more_rows_than_the_setting_allows_are_refused_with_advice(api, used, monkeypatch):
    monkeypatch.setattr(get_settings(), "max_usage_rows", 2)

    answer = await api.get("/usage", params=RANGE)

    assert (answer.status_code, answer.json()["code"]) == (422, "report_too_large")
    assert len((await report(api, group_by="user"))["data"]) == 2


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({"format": "csv"}, {}),
        ({}, {"Accept": "text/csv"}),
        ({"format": "csv"}, {"Accept": "application/json"}),
    ],
)
async def test_csv_has_the_rows_and_no_formula(api, used, query, headers):
    answer = await api.get(
        "/usage", params={**RANGE, "group_by": "agent,user", **query}, headers=headers
    )

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["agent_id", "user_id", *NOTHING]
    assert rows[1] == ["", "bob", "10", "4", "0", "0", "14", "0.00125", "2", "0", "2"]
    assert rows[2][:2] == ["'=cmd()", "ann"]


@pytest.mark.parametrize(
    ("query", "accept"), [({"format": "json"}, "text/csv"), ({}, "*/*"), ({}, "text/html")]
)
async def test_json_comes_unless_csv_is_asked_for(api, used, query, accept):
    answer = await api.get("/usage", params={**RANGE, **query}, headers={"Accept": accept})

    assert answer.headers["content-type"] == "application/json"


async def test_a_report_is_one_statement(api, used):
    with counted_statements() as statements:
        await report(api, group_by="day,model,agent,user", user_id="ann")

    assert len(statements) == 1
