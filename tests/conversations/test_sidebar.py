"""The list of conversations as a sidebar shows it, and what is changed from there."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tenants.db.unit_of_work import write_session
from tests.conversations.test_router import append, head_of, ids, log_of, read, start, user, walk


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file: its tests keep to users of their own."""
    return await make_tenant()


async def change(api, conversation, **changes):
    return await api.patch(f"/conversations/{conversation['id']}", json=changes)


async def test_the_list_shows_what_the_conversation_itself_does(api):
    started = await start(api, user_id="alike", title="T", language="nl", messages=[user(cost="1")])

    page = await read(api, "/conversations", user_id="alike")

    assert page["data"] == [await head_of(api, started)]
    assert {**page["data"][0], "messages": started["messages"]} == started


async def test_what_is_unread_is_counted_and_can_be_asked_for(api):
    await start(api, user_id="reader")
    some, done = [
        await start(api, user_id="reader", messages=[user(), user(), user()]) for _ in range(2)
    ]

    assert (await change(api, some, read_seq=1)).json()["unread_count"] == 2
    assert (await change(api, done, read_seq=3)).json()["unread_count"] == 0
    assert ids(await walk(api, "/conversations", user_id="reader", unread=True)) == [some["id"]]
    assert len(await walk(api, "/conversations", user_id="reader", unread=False)) == 3

    await append(api, done, user())

    head = await head_of(api, done)
    assert (head["read_seq"], head["unread_count"], head["last_seq"]) == (3, 1, 4)
    unread = await walk(api, "/conversations", user_id="reader", unread=True, limit=1)
    assert ids(unread) == [done["id"], some["id"]]


async def test_one_reads_no_further_than_the_last_message(api):
    conversation = await start(api, messages=[user(), user()])

    beyond = await change(api, conversation, read_seq=3, title="x")
    back = await change(api, conversation, read_seq=0)

    assert (beyond.status_code, beyond.json()["code"]) == (422, "invalid_input")
    assert [error["field"] for error in beyond.json()["errors"]] == ["read_seq"]
    assert (back.status_code, back.json()["unread_count"], back.json()["title"]) == (200, 2, None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"read_seq": -1}, "read_seq"),
        ({"read_seq": 2**63}, None),
        ({"read_seq": 2**63 - 1}, "read_seq"),
        ({"read_seq": None}, "read_seq"),
        ({"read_seq": "1"}, "read_seq"),
        ({"language": "xx"}, "language"),
        ({"language": "EN"}, "language"),
        ({"language": "english"}, "language"),
        ({"language": ""}, "language"),
        ({"cost": "1"}, "cost"),
        ({"unread_count": 1}, "unread_count"),
    ],
)
async def test_a_wrong_change_is_refused_and_named(api, changes, field):
    conversation = await start(api)

    answer = await change(api, conversation, **changes)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json().get("errors", [])] == [field] * bool(field)


async def test_nobody_reads_in_an_unknown_conversation(api):
    answer = await api.patch(f"/conversations/conv_{'0' * 32}", json={"read_seq": 1})

    assert (answer.status_code, answer.json()["code"]) == (404, "conversation_not_found")


async def test_the_language_is_changed_and_removed(api, tenant):
    conversation = await start(api, language="en", messages=[user("one")])
    assert conversation["language"] == "en"

    assert (await change(api, conversation, language="nb")).status_code == 422
    assert (await change(api, conversation, language="no")).json()["language"] == "no"
    await append(api, conversation, user("two"), user("three", external_id="x"))
    assert (await change(api, conversation, language=None)).json()["language"] is None
    await append(api, conversation, user("four"))

    # They are indexed by the language that the conversation has now.
    async with write_session(tenant.ref) as session:
        languages = await session.scalars(
            text("SELECT language FROM messages WHERE conversation_id = :id ORDER BY seq"),
            {"id": conversation["id"].removeprefix("conv_")},
        )
    assert languages.all() == [None] * 4
    assert len(await log_of(api, conversation)) == 4


async def test_the_list_is_narrowed_by_the_time_of_the_last_activity(api):
    first, second, third = [await start(api, user_id="timely") for _ in range(3)]
    moments = [each["last_activity_at"] for each in (first, second, third)]

    async def between(**bounds):
        return ids(await walk(api, "/conversations", user_id="timely", order="asc", **bounds))

    assert await between(active_after=moments[0]) == [second["id"], third["id"]]
    assert await between(active_before=moments[2]) == [first["id"], second["id"]]
    assert await between(active_after=moments[0], active_before=moments[2]) == [second["id"]]
    assert await between(active_after=moments[2]) == []
    elsewhere = datetime.fromisoformat(moments[0]).astimezone(UTC) + timedelta(hours=2)
    assert await between(active_before=elsewhere.isoformat()) == ids([first, second, third])


@pytest.mark.parametrize("name", ["active_after", "active_before"])
@pytest.mark.parametrize(
    "moment",
    [
        *("", "x", "5", "1700000000", "2026", "2026-01-01", "2026-01-01T00:00:00", "now"),
        *("2026-13-01T00:00:00Z", "2026-01-01T25:00:00Z", "0000-01-01T00:00:00Z"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "20260-01-01T00:00:00Z"),
    ],
)
async def test_what_is_no_moment_is_refused(api, name, moment):
    answer = await api.get("/conversations", params={name: moment})

    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [name]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
async def test_the_first_and_the_last_moment_are_moments(api, moment):
    await read(api, "/conversations", active_after=moment, active_before=moment)


async def test_a_cursor_keeps_to_the_new_filters(api):
    for _ in range(2):
        await start(api, user_id="cursor", messages=[user()])
    cursor = (await read(api, "/conversations", limit=1, unread=True))["next_cursor"]

    for query in ({}, {"unread": True, "active_after": "2026-01-01T00:00:00Z"}):
        answer = await api.get("/conversations", params={"after": cursor, **query})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
