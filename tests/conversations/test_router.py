import asyncio
import unicodedata
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from tenants.db.unit_of_work import write_session
from tenants.testing import API, connect

UNKNOWN = [
    f"conv_{'0' * 32}",
    "conv_x",
    "conv_",
    f"msg_{'0' * 32}",
    "1",
    "é",
    "4be62488-6591-4a3f-ad3f-2647846b7fc3",
]


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file: its tests keep to conversations of their own."""
    return await make_tenant()


@pytest.fixture
async def empty_api(application, make_tenant):
    """A client of a tenant that has no conversation yet."""
    url = f"http://localhost{API}"
    async with connect(application, base_url=url, tenant=await make_tenant()) as client:
        yield client


async def start(api, **content):
    answer = await api.post("/conversations", json=content)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def append(api, conversation, *messages, status=201):
    """Append as a batch and return the messages; or, for another status, its error code."""
    answer = await api.post(
        f"/conversations/{conversation['id']}/messages", json={"messages": messages}
    )
    assert answer.status_code == status, answer.text
    return answer.json()["data"] if status == 201 else answer.json()["code"]


async def read(api, path, **query):
    answer = await api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def head_of(api, conversation):
    return await read(api, f"/conversations/{conversation['id']}")


async def log_of(api, conversation, **query):
    return (await read(api, f"/conversations/{conversation['id']}/messages", **query))["data"]


async def calls_of(api, conversation, **query):
    return (await read(api, f"/conversations/{conversation['id']}/tool-calls", **query))["data"]


async def walk(api, path, **query):
    """All items of a list, page after page."""
    items, after = [], {}
    while True:
        page = await read(api, path, **query, **after)
        items += page["data"]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            return items
        assert page["data"]
        after = {"after": page["next_cursor"]}


def user(content="Hi", **more):
    return {"role": "user", "content": content, **more}


def calling(*call_ids, content=None, **more):
    calls = [{"call_id": each, "name": "look_up", "arguments": {"of": each}} for each in call_ids]
    return {"role": "assistant", "content": content, "tool_calls": calls, **more}


def output(call_id, content="found"):
    return {"role": "tool", "call_id": call_id, "content": content}


def ids(items):
    return [item["id"] for item in items]


# Conversations


async def test_a_conversation_starts_empty_and_open(api):
    started = await start(api)

    assert started["messages"] == []
    assert started["id"].startswith("conv_")
    assert (started["status"], started["metadata"]) == ("active", {})
    assert (started["last_seq"], started["message_count"], started["token_count"]) == (0, 0, 0)
    assert [started[name] for name in ("user_id", "agent_id", "title", "preview")] == [None] * 4
    assert started["created_at"] == started["updated_at"] == started["last_activity_at"]
    assert started["created_at"].endswith("Z")


async def test_a_conversation_keeps_what_it_was_started_with(api):
    given = {
        "user_id": "user 1/ü",
        "agent_id": "agent",
        "title": "Weekend",
        "metadata": {"channel": "web", "nested": {"list": [1, 2.5, None, True, "x"]}, "": ""},
    }

    started = await start(api, **given)

    stored = await head_of(api, started)
    assert {name: stored[name] for name in given} == given
    assert {**stored, "messages": []} == started


async def test_a_conversation_starts_with_its_first_messages(api):
    started = await start(
        api, title="T", messages=[user("one", token_count=3), calling("a", token_count=4)]
    )

    assert [message["seq"] for message in started["messages"]] == [1, 2]
    assert (started["last_seq"], started["message_count"], started["token_count"]) == (2, 2, 7)
    assert started["preview"] == "one"
    assert await log_of(api, started) == started["messages"]


async def test_a_conversation_whose_first_messages_are_refused_is_not_started(empty_api):
    answer = await empty_api.post("/conversations", json={"messages": [user(), output("nowhere")]})

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_tool_call")
    assert (await read(empty_api, "/conversations"))["data"] == []


async def test_starting_the_same_twice_makes_two_conversations(empty_api):
    first, second = await start(empty_api, title="Same"), await start(empty_api, title="Same")

    assert first["id"] != second["id"]
    assert len((await read(empty_api, "/conversations"))["data"]) == 2


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"tenant_id": "x"}, "tenant_id"),
        ({"status": "archived"}, "status"),
        ({"token_count": 5}, "token_count"),
        ({"id": "conv_1"}, "id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "x" * 256}, "user_id"),
        ({"user_id": 7}, "user_id"),
        ({"title": "x" * 501}, "title"),
        ({"title": ["x"]}, "title"),
        ({"metadata": []}, "metadata"),
        ({"metadata": None}, "metadata"),
        ({"metadata": {"x": "y" * 20_000}}, "metadata"),
        ({"messages": [{"role": "user", "content": "x", "seq": 7}]}, "messages.0.seq"),
        ({"messages": [user()] * 101}, "messages"),
    ],
)
async def test_a_conversation_is_refused_for_a_wrong_field_which_is_named(api, content, field):
    answer = await api.post("/conversations", json=content)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("conversation_id", UNKNOWN)
async def test_an_unknown_conversation_is_not_found_by_any_route(api, conversation_id):
    path = f"/conversations/{conversation_id}"
    answers = [
        await api.get(path),
        await api.patch(path, json={"title": "x"}),
        await api.delete(path),
        await api.post(f"{path}/archive"),
        await api.post(f"{path}/messages", json=user()),
        await api.get(f"{path}/messages"),
        await api.get(f"{path}/messages/msg_{'0' * 32}"),
        await api.get(f"{path}/tool-calls"),
        await api.post(f"{path}/tool-calls/a/result", json={"output": "x"}),
    ]

    assert [answer.status_code for answer in answers] == [404] * 9


async def test_a_change_leaves_what_it_does_not_name(api):
    started = await start(api, title="Old", user_id="u", metadata={"a": 1, "b": 2})

    answer = await api.patch(f"/conversations/{started['id']}", json={"title": "New"})

    changed = answer.json()
    assert (changed["title"], changed["metadata"], changed["user_id"]) == (
        "New",
        {"a": 1, "b": 2},
        "u",
    )
    assert changed["version"] == started["version"] + 1
    assert changed["updated_at"] > started["updated_at"]
    assert changed["last_activity_at"] == started["last_activity_at"]
    assert await head_of(api, started) == changed


async def test_a_change_of_metadata_replaces_it_whole(api):
    started = await start(api, title="T", metadata={"a": 1, "b": {"c": 2}})

    answer = await api.patch(f"/conversations/{started['id']}", json={"metadata": {"b": {"d": 3}}})

    assert answer.json()["metadata"] == {"b": {"d": 3}}
    assert answer.json()["title"] == "T"


async def test_a_null_title_removes_the_title(api):
    started = await start(api, title="T")

    answer = await api.patch(f"/conversations/{started['id']}", json={"title": None})

    assert answer.status_code == 200
    assert (await head_of(api, started))["title"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"user_id": "other"},
        {"title": "x", "tenant": "y"},
        {"status": "deleted"},
        {"status": None},
        {"metadata": None},
        {"metadata": {"x": "y" * 20_000}},
        {"last_seq": 0},
    ],
)
async def test_a_change_of_nothing_or_of_something_else_is_refused(api, changes):
    started = await start(api, title="T")

    answer = await api.patch(f"/conversations/{started['id']}", json=changes)

    assert answer.status_code == 422
    assert {**await head_of(api, started), "messages": []} == started


async def test_an_archived_conversation_is_read_but_not_appended_to(api):
    started = await start(api, messages=[calling("a")])
    path = f"/conversations/{started['id']}"

    answer = await api.post(f"{path}/archive")

    assert answer.json()["status"] == "archived"
    assert await append(api, started, user(), status=409) == "conversation_archived"
    result = await api.post(f"{path}/tool-calls/a/result", json={"output": "x"})
    assert (result.status_code, result.json()["code"]) == (409, "conversation_archived")
    assert len(await log_of(api, started)) == 1
    assert [call["status"] for call in await calls_of(api, started)] == ["requested"]


async def test_archiving_twice_leaves_it_archived(api):
    started = await start(api)
    for _ in range(2):
        answer = await api.post(f"/conversations/{started['id']}/archive")
        assert (answer.status_code, answer.json()["status"]) == (200, "archived")


async def test_an_archived_conversation_is_opened_again_by_its_status(api):
    started = await start(api, messages=[user()])
    path = f"/conversations/{started['id']}"
    await api.patch(path, json={"status": "archived"})
    assert await append(api, started, user(), status=409) == "conversation_archived"

    answer = await api.patch(path, json={"status": "active"})

    assert answer.json()["status"] == "active"
    assert [message["seq"] for message in await append(api, started, user())] == [2]


async def test_a_deleted_conversation_is_gone_from_every_route(empty_api):
    kept, deleted = await start(empty_api), await start(empty_api, messages=[user(), calling("a")])
    path = f"/conversations/{deleted['id']}"
    message = deleted["messages"][0]["id"]

    answer = await empty_api.delete(path)

    assert (answer.status_code, answer.content) == (204, b"")
    answers = [
        await empty_api.get(path),
        await empty_api.patch(path, json={"status": "active"}),
        await empty_api.delete(path),
        await empty_api.post(f"{path}/archive"),
        await empty_api.post(f"{path}/messages", json=user()),
        await empty_api.get(f"{path}/messages"),
        await empty_api.get(f"{path}/messages/{message}"),
        await empty_api.get(f"{path}/tool-calls"),
        await empty_api.post(f"{path}/tool-calls/a/result", json={"output": "x"}),
    ]
    assert [answer.status_code for answer in answers] == [404] * 9
    assert ids((await read(empty_api, "/conversations"))["data"]) == [kept["id"]]


# The list of conversations


async def test_the_list_has_the_newest_activity_first(empty_api):
    first, second, third = [await start(empty_api, title=str(number)) for number in range(3)]
    await append(empty_api, first, user())

    page = await read(empty_api, "/conversations")

    assert ids(page["data"]) == [first["id"], third["id"], second["id"]]
    assert page["data"][0] == await head_of(empty_api, first)
    assert (page["has_more"], page["next_cursor"]) == (False, None)
    assert ids((await read(empty_api, "/conversations", order="asc"))["data"]) == [
        second["id"],
        third["id"],
        first["id"],
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"user_id": "ann"}, ["a", "b"]),
        ({"user_id": "bob"}, ["c"]),
        ({"user_id": "ANN"}, []),
        ({"agent_id": "x"}, ["a", "c"]),
        ({"user_id": "ann", "agent_id": "x"}, ["a"]),
        ({"status": "archived"}, ["b"]),
        ({"status": "active", "user_id": "ann"}, ["a"]),
        ({"metadata": '{"kind": "web"}'}, ["a", "c"]),
        ({"metadata": '{"kind": "web", "n": 1}'}, ["a"]),
        ({"metadata": '{"deep": {"list": [2]}}'}, ["b"]),
        ({"metadata": "{}"}, ["a", "b", "c"]),
        ({"metadata": '{"kind": "we"}'}, []),
    ],
)
async def test_the_list_is_filtered_by_all_that_is_given(empty_api, query, expected):
    await start(empty_api, title="a", user_id="ann", agent_id="x", metadata={"kind": "web", "n": 1})
    second = await start(empty_api, title="b", user_id="ann", metadata={"deep": {"list": [1, 2]}})
    await start(empty_api, title="c", user_id="bob", agent_id="x", metadata={"kind": "web"})
    await empty_api.post(f"/conversations/{second['id']}/archive")

    page = await read(empty_api, "/conversations", **query)

    assert sorted(row["title"] for row in page["data"]) == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"limit": 10**30}, "limit"),
        ({"order": "up"}, "order"),
        ({"status": "deleted"}, "status"),
        ({"user_id": ""}, "user_id"),
        ({"metadata": "web"}, "metadata"),
        ({"metadata": '["web"]'}, "metadata"),
        ({"metadata": '{"n": 1180591620717411303424}'}, "metadata"),
        ({"metadata": '{"n": NaN}'}, "metadata"),
        ({"metadata": '{"n": 1e999}'}, "metadata"),
        ({"metadata": r'{"n": "\u0000"}'}, "metadata"),
        ({"metadata": r'{"n": "\ud800"}'}, "metadata"),
        ({"metadata": '{"n": ' + "[" * 100 + "]" * 100 + "}"}, "metadata"),
    ],
)
async def test_a_wrong_query_is_refused_and_named(api, query, field):
    answer = await api.get("/conversations", params=query)

    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_a_walk_shows_every_conversation_once_even_where_times_tie(api, tenant, order, limit):
    user_id = f"ties {order} {limit}"
    started = ids([await start(api, user_id=user_id) for _ in range(7)])
    moment = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
    async with write_session(tenant.ref) as session:
        await session.execute(
            text("UPDATE conversations SET last_activity_at = :at WHERE user_id = :user_id"),
            {"at": moment, "user_id": user_id},
        )

    walked = ids(await walk(api, "/conversations", order=order, limit=limit, user_id=user_id))

    # Ids grow with time, so the order among equals is that of their making.
    assert walked == (started if order == "asc" else started[::-1])


async def test_a_walk_keeps_to_its_filters(empty_api):
    wanted = ids(
        [await start(empty_api, user_id="ann", metadata={"n": 1, "m": 2}) for _ in range(5)]
    )
    for _ in range(3):
        await start(empty_api, user_id="bob")

    filters = {"user_id": "ann", "metadata": '{"m": 2, "n": 1}'}
    assert ids(await walk(empty_api, "/conversations", limit=2, order="asc", **filters)) == wanted


async def test_a_page_goes_on_after_the_item_it_ended_with_was_deleted(empty_api):
    started = ids([await start(empty_api) for _ in range(4)])
    page = await read(empty_api, "/conversations", order="asc", limit=2)
    await empty_api.delete(f"/conversations/{started[1]}")

    rest = await read(empty_api, "/conversations", order="asc", limit=2, after=page["next_cursor"])

    assert ids(rest["data"]) == started[2:]


async def test_a_cursor_is_refused_anywhere_but_in_its_own_list(api, client, make_tenant):
    conversation = await start(api, messages=[user(), user(), calling("a", "b")])
    other = await start(api, messages=[user(), user()])
    cursor = (await read(api, "/conversations", limit=1))["next_cursor"]
    path = f"/conversations/{conversation['id']}"
    messages = (await read(api, f"{path}/messages", limit=1))["next_cursor"]
    calls = (await read(api, f"{path}/tool-calls", limit=1))["next_cursor"]
    misuses = [
        ("/conversations", {"after": cursor, "user_id": "ann"}),
        ("/conversations", {"after": cursor, "status": "active"}),
        ("/conversations", {"after": cursor, "metadata": "{}"}),
        ("/conversations", {"after": cursor, "order": "asc"}),
        ("/conversations", {"after": messages}),
        (f"{path}/messages", {"after": cursor}),
        (f"{path}/messages", {"after": calls}),
        (f"{path}/messages", {"after": messages, "order": "desc"}),
        (f"/conversations/{other['id']}/messages", {"after": messages}),
        (f"{path}/tool-calls", {"after": calls, "open": True}),
    ]
    for path_, query in misuses:
        answer = await api.get(path_, params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), query
    stranger = await make_tenant()
    answer = await client.get(
        "/api/v1/conversations", params={"after": cursor}, headers=stranger.headers
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    "cursor", ["x", "", "é", "W10", "bnVsbA", "WzEsMl0", "eyJhIjoxfQ", "A" * 1000, "%", "MQ"]
)
async def test_what_is_no_cursor_is_refused(api, cursor):
    conversation = await start(api)
    for path in ("/conversations", f"/conversations/{conversation['id']}/messages"):
        answer = await api.get(path, params={"after": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_a_cursor_longer_than_any_of_ours_is_refused(api):
    answer = await api.get("/conversations", params={"after": "A" * 1001})

    assert answer.status_code == 422


# Appending


async def test_a_message_is_read_as_it_was_appended(api):
    conversation = await start(api, title="Hello")
    path = f"/conversations/{conversation['id']}/messages"
    sent = {
        "role": "assistant",
        "content": "Let me look.",
        "model": "example-1",
        "token_count": 12,
        "tool_calls": [
            {"call_id": "call_1", "name": "weather", "arguments": {"city": "Oslo", "days": [1]}},
            {"call_id": "call_2", "name": "now"},
        ],
    }

    answer = await api.post(path, json=sent)

    assert answer.status_code == 201
    message = answer.json()
    assert {name: message[name] for name in ("role", "content", "model", "token_count")} == {
        name: sent[name] for name in ("role", "content", "model", "token_count")
    }
    assert (message["seq"], message["conversation_id"]) == (1, conversation["id"])
    assert [
        (call["name"], call["arguments"], call["status"]) for call in message["tool_calls"]
    ] == [
        ("weather", {"city": "Oslo", "days": [1]}, "requested"),
        ("now", {}, "requested"),
    ]
    assert (await api.get(path)).json()["data"] == [message]
    assert (await api.get(f"{path}/{message['id']}")).json() == message


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
async def test_a_message_of_every_role_is_kept(api, role):
    conversation = await start(api)

    (message,) = await append(api, conversation, {"role": role, "content": "x"})

    assert (message["role"], message["call_id"]) == (role, None)
    assert await log_of(api, conversation) == [message]


async def test_a_message_of_text_parts_comes_back_in_its_parts(api):
    conversation = await start(api)
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]

    (message,) = await append(api, conversation, user(parts))

    assert message["content"] == parts
    assert await log_of(api, conversation) == [message]
    assert (await head_of(api, conversation))["preview"] == "one\ntwo"


async def test_a_batch_of_a_hundred_is_appended_in_its_order(api):
    conversation = await start(api, messages=[user("first")])
    batch = [user(f"text {number}") for number in range(100)]

    messages = await append(api, conversation, *batch)

    assert [message["seq"] for message in messages] == list(range(2, 102))
    assert [message["content"] for message in messages] == [each["content"] for each in batch]
    assert await log_of(api, conversation, limit=100, order="desc") == messages[::-1]


@pytest.mark.parametrize("size", [0, 101])
async def test_a_batch_of_none_or_of_too_many_is_refused(api, size):
    conversation = await start(api)

    assert await append(api, conversation, *[user()] * size, status=422) == "invalid_input"

    assert await log_of(api, conversation) == []


async def test_two_identical_appends_are_two_messages(api):
    conversation = await start(api)
    path = f"/conversations/{conversation['id']}/messages"

    first, second = [(await api.post(path, json=user("ok"))).json() for _ in range(2)]

    assert first["id"] != second["id"]
    assert [message["content"] for message in await log_of(api, conversation)] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("wrong", "code", "status"),
    [
        (calling("taken"), "call_id_taken", 409),
        (calling("twice", "twice"), "call_id_taken", 409),
        (output("nowhere"), "unknown_tool_call", 422),
        (output("answered"), "tool_call_completed", 409),
    ],
)
async def test_a_batch_with_one_impossible_message_leaves_nothing(api, wrong, code, status):
    conversation = await start(
        api, messages=[user("before"), calling("taken", "answered", "open"), output("answered")]
    )
    before = await head_of(api, conversation), await log_of(api, conversation)
    batch = [user(f"text {number}", token_count=1) for number in range(99)]
    batch[0], batch[10], batch[49:49] = calling("new"), output("open"), [wrong]

    assert await append(api, conversation, *batch, status=status) == code

    assert (await head_of(api, conversation), await log_of(api, conversation)) == before
    assert [call["call_id"] for call in await calls_of(api, conversation, open=True)] == [
        "taken",
        "open",
    ]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"content": "x"}, "role"),
        ({"role": "robot", "content": "x"}, "role"),
        ({"role": "user", "content": "x", "status": "completed"}, "status"),
        ({"role": "user", "content": "x", "seq": 1}, "seq"),
        ({"role": "user", "content": "x", "token_count": -1}, "token_count"),
        ({"role": "user", "content": "x", "token_count": 2**31}, "token_count"),
        ({"role": "user", "content": "x", "token_count": "1"}, "token_count"),
        ({"role": "user", "content": "x", "token_count": True}, "token_count"),
        ({"role": "user", "content": "x", "token_count": 1.0}, "token_count"),
        ({"role": "user", "content": "x", "model": "x" * 256}, "model"),
        ({"role": "user", "content": "x", "call_id": "a b"}, "call_id"),
        ({"role": "assistant", "tool_calls": [{"call_id": "a"}]}, "tool_calls.0.name"),
        (
            {"role": "assistant", "tool_calls": [{"call_id": "a", "name": "n", "arguments": "{}"}]},
            "tool_calls.0.arguments",
        ),
        (
            {"role": "assistant", "tool_calls": [{"call_id": "a", "name": "n", "status": "x"}]},
            "tool_calls.0.status",
        ),
        (
            {"role": "assistant", "tool_calls": [{"call_id": "a/b", "name": "n"}]},
            "tool_calls.0.call_id",
        ),
        (calling(*map(str, range(101))), "tool_calls"),
    ],
)
async def test_a_wrong_message_is_refused_and_its_field_is_named(api, message, field):
    conversation = await start(api)
    path = f"/conversations/{conversation['id']}/messages"

    one = await api.post(path, json=message)
    many = await api.post(path, json={"messages": [user(), message]})

    assert (one.status_code, many.status_code) == (422, 422)
    assert [error["field"] for error in one.json()["errors"]] == [field]
    assert [error["field"] for error in many.json()["errors"]] == [f"messages.1.{field}"]
    assert await log_of(api, conversation) == []


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user"},
        {"role": "user", "content": None},
        {"role": "assistant", "tool_calls": []},
        {"role": "user", "content": []},
        {"role": "user", "content": [{"type": "image", "text": "x"}]},
        {"role": "user", "content": [{"type": "text", "text": "x", "more": 1}]},
        {"role": "user", "content": {"type": "text", "text": "x"}},
        {"role": "user", "content": 5},
        {"role": "user", "content": "x" * 1_000_001},
        {"role": "user", "content": "x", "tool_calls": [{"call_id": "a", "name": "n"}]},
        {"role": "user", "content": "x", "call_id": "a"},
        {"role": "tool", "content": "x"},
        {"role": "tool", "call_id": "a"},
        {"messages": user()},
        {"messages": [user()], "more": 1},
        {"messages": None},
    ],
)
async def test_a_message_that_does_not_fit_its_role_or_shape_is_refused(api, message):
    conversation = await start(api)

    answer = await api.post(f"/conversations/{conversation['id']}/messages", json=message)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert await log_of(api, conversation) == []


async def test_empty_text_is_a_message(api):
    conversation = await start(api, messages=[user("before")])

    (message,) = await append(api, conversation, user(""))

    assert message["content"] == ""
    assert (await log_of(api, conversation))[1] == message
    assert (await head_of(api, conversation))["preview"] == "before"


DECOMPOSED = unicodedata.normalize("NFD", "Ångström, Việt Nam, 각")
TEXTS = {
    "composed": unicodedata.normalize("NFC", DECOMPOSED),
    "decomposed": DECOMPOSED,
    "right to left": "שלום עולם \u202bمرحبا\u202c \u200f!",  # noqa: RUF001
    "emoji": "👩🏽‍💻🏳️‍🌈 𝔘𝔫𝔦 \U0010ffff",  # noqa: RUF001
    "separators": "a\tb\r\nc\u2028d\u0085e\x7f\x01\ufeff",
    "looks like SQL": "'; DROP TABLE messages; -- %s %(a)s :b $1 \\' \\u0041",
    "spaces around": "  x \n ",
    "no characters": "\ufffe\uffff\ufdd0",
}


@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS)
async def test_text_of_every_script_is_kept_to_the_byte(api, content):
    call = {"call_id": "a", "name": content, "arguments": {content: [content]}}
    conversation = await start(
        api,
        title=content,
        user_id=content,
        metadata={content: content},
        messages=[user(content), {"role": "assistant", "tool_calls": [call]}, output("a", content)],
    )

    head = await head_of(api, conversation)
    asked, called, answered = await log_of(api, conversation)

    assert [head["title"], head["user_id"], head["preview"]] == [content] * 3
    assert head["metadata"] == {content: content}
    assert asked["content"] == answered["content"] == content
    assert called["tool_calls"][0]["name"] == content
    assert called["tool_calls"][0]["arguments"] == {content: [content]}
    found = await read(api, "/conversations", user_id=content)
    assert ids(found["data"]) == [conversation["id"]]


LONG_TEXTS = {
    "one word": "x" * 1_000_000,
    "distinct words": " ".join(f"w{number:x}" for number in range(140_000)),
    "distinct letters": " ".join(chr(0x20000 + number) for number in range(42_000)),
    "hyphenated pairs": " ".join(
        f"{chr(0x20000 + number)}-{chr(0x20000 + number * 7 % 42_000)}" for number in range(25_000)
    ),
    "hyphenated words": " ".join(
        "-".join(chr(0x20000 + number * step % 42_000) * 5 for step in (1, 7, 11, 13))
        for number in range(4_200)
    ),
    "addresses": " ".join(f"http://h{number:x}.example.com/p{number:x}" for number in range(4_000)),
    "emoji": "👩🏽‍💻" * 100_000,
    "numbers": " ".join(str(number * 1.5) for number in range(100_000)),
}


@pytest.mark.parametrize("content", LONG_TEXTS.values(), ids=LONG_TEXTS)
async def test_a_long_text_of_any_kind_is_kept_whole(api, content):
    conversation = await start(api)

    (message,) = await append(api, conversation, user(content))

    assert message["content"] == content
    assert (await log_of(api, conversation))[0]["content"] == content
    assert (await head_of(api, conversation))["preview"] == content[:200]


# Tool calls and their outputs


async def test_a_call_is_answered_within_its_own_batch(api):
    conversation = await start(api)

    asked, answered, _ = await append(
        api, conversation, calling("a", "b"), output("a"), user("and?")
    )

    first, second = asked["tool_calls"]
    assert (first["status"], first["output_message_id"]) == ("succeeded", answered["id"])
    assert (second["status"], second["output_message_id"]) == ("requested", None)
    assert (await log_of(api, conversation))[:2] == [asked, answered]


async def test_a_call_is_answered_by_a_later_message(api):
    conversation = await start(api, messages=[calling("a", "b")])

    answered, other = await append(api, conversation, output("b", "B"), output("a", "A"))

    assert [
        (call["call_id"], call["status"], call["output_message_id"])
        for call in await calls_of(api, conversation)
    ] == [("a", "succeeded", other["id"]), ("b", "succeeded", answered["id"])]
    assert await calls_of(api, conversation, open=True) == []


async def test_an_output_that_stands_before_its_call_is_refused(api):
    conversation = await start(api)

    refused = await append(api, conversation, output("a"), calling("a"), status=422)

    assert refused == "unknown_tool_call"
    assert await log_of(api, conversation) == []


async def test_a_call_is_answered_once(api):
    conversation = await start(api, messages=[calling("a"), output("a")])

    again = await append(api, conversation, output("a"), status=409)
    twice = await append(api, conversation, calling("b"), output("b"), output("b"), status=409)

    assert (again, twice) == ("tool_call_completed", "tool_call_completed")
    assert len(await log_of(api, conversation)) == 2


async def test_a_call_of_another_conversation_is_unknown(api):
    await start(api, messages=[calling("a")])
    conversation = await start(api)

    assert await append(api, conversation, output("a"), status=422) == "unknown_tool_call"
    report = await api.post(
        f"/conversations/{conversation['id']}/tool-calls/a/result", json={"output": "x"}
    )
    assert (report.status_code, report.json()["code"]) == (404, "tool_call_not_found")


async def test_two_conversations_may_have_the_same_call_id(api):
    first, second = [await start(api, messages=[calling("a")]) for _ in range(2)]

    await append(api, first, output("a"))

    assert [call["status"] for call in await calls_of(api, first)] == ["succeeded"]
    assert [call["status"] for call in await calls_of(api, second)] == ["requested"]


async def test_a_taken_call_id_is_refused(api):
    conversation = await start(api, messages=[calling("a")])

    assert await append(api, conversation, calling("a"), status=409) == "call_id_taken"

    assert (await head_of(api, conversation))["last_seq"] == 1


@pytest.mark.parametrize(
    ("result", "status", "error"),
    [
        ({"output": "12 °C"}, "succeeded", None),
        ({"output": ""}, "succeeded", None),
        ({"output": [{"type": "text", "text": "12 °C"}]}, "succeeded", None),
        ({"error": "timed out"}, "failed", "timed out"),
    ],
)
async def test_a_result_closes_its_call_and_is_kept_as_a_message(api, result, status, error):
    conversation = await start(api, messages=[user(), calling("x", "a")])
    path = f"/conversations/{conversation['id']}"

    answer = await api.post(f"{path}/tool-calls/a/result", json=result)

    assert answer.status_code == 200
    call = answer.json()
    assert (call["status"], call["error"], call["seq"], call["index"]) == (status, error, 2, 1)
    assert await calls_of(api, conversation) == [(await calls_of(api, conversation))[0], call]
    message = (await api.get(f"{path}/messages/{call['output_message_id']}")).json()
    assert (message["role"], message["call_id"], message["seq"]) == ("tool", "a", 3)
    assert message["content"] == (result.get("output") if error is None else error)


@pytest.mark.parametrize("result", [{"output": "x"}, {"error": "x"}])
async def test_the_same_result_again_changes_nothing_and_gets_the_same_answer(api, result):
    conversation = await start(api, messages=[calling("a")])
    path = f"/conversations/{conversation['id']}"
    first = await api.post(f"{path}/tool-calls/a/result", json=result)
    await append(api, conversation, user("go on"))
    head = await head_of(api, conversation)

    again = await api.post(f"{path}/tool-calls/a/result", json=result)
    await api.post(f"{path}/archive")
    when_archived = await api.post(f"{path}/tool-calls/a/result", json=result)

    assert (again.status_code, again.json()) == (200, first.json())
    assert (when_archived.status_code, when_archived.json()) == (200, first.json())
    assert (await head_of(api, conversation))["last_seq"] == head["last_seq"] == 3


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ({"output": "x"}, {"output": "y"}),
        ({"output": "x"}, {"error": "x"}),
        ({"error": "x"}, {"output": "x"}),
        ({"error": "x"}, {"error": "y"}),
        ({"output": "x"}, {"output": [{"type": "text", "text": "x"}]}),
    ],
)
async def test_another_result_for_a_closed_call_is_refused(api, first, other):
    conversation = await start(api, messages=[calling("a")])
    path = f"/conversations/{conversation['id']}/tool-calls/a/result"
    kept = (await api.post(path, json=first)).json()

    answer = await api.post(path, json=other)

    assert (answer.status_code, answer.json()["code"]) == (409, "tool_call_completed")
    assert await calls_of(api, conversation) == [kept]
    assert len(await log_of(api, conversation)) == 2


@pytest.mark.parametrize(
    "result", [{}, {"output": "x", "error": "y"}, {"output": None}, {"error": ""}, {"x": 1}]
)
async def test_a_result_is_either_an_output_or_an_error(api, result):
    conversation = await start(api, messages=[calling("a")])

    answer = await api.post(f"/conversations/{conversation['id']}/tool-calls/a/result", json=result)

    assert answer.status_code == 422
    assert [call["status"] for call in await calls_of(api, conversation)] == ["requested"]


@pytest.mark.parametrize("call_id", ["b", "A", "x" * 300, "é", "a%20b", "%ff"])
async def test_a_result_for_an_unknown_call_is_not_found(api, call_id):
    conversation = await start(api, messages=[calling("a")])

    answer = await api.post(
        f"/conversations/{conversation['id']}/tool-calls/{call_id}/result", json={"output": "x"}
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "tool_call_not_found")


async def test_a_call_id_may_have_every_printable_character_but_the_slash(api):
    call_id = "".join(map(chr, range(0x21, 0x7F))).replace("/", "")
    conversation = await start(api, messages=[calling(call_id)])
    escaped = "".join(f"%{ord(character):02X}" for character in call_id)

    answer = await api.post(
        f"/conversations/{conversation['id']}/tool-calls/{escaped}/result", json={"output": "x"}
    )

    assert (answer.status_code, answer.json()["call_id"]) == (200, call_id)


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_open_calls_are_walked_in_the_order_of_the_log(api, limit):
    conversation = await start(
        api, messages=[calling("c", "a"), user(), calling("d", "b", "e"), output("d")]
    )
    path = f"/conversations/{conversation['id']}/tool-calls"

    everything = await walk(api, path, limit=limit)
    still_open = await walk(api, path, limit=limit, open=True)

    assert [(call["seq"], call["index"], call["call_id"]) for call in everything] == [
        (1, 0, "c"),
        (1, 1, "a"),
        (3, 0, "d"),
        (3, 1, "b"),
        (3, 2, "e"),
    ]
    assert [call["call_id"] for call in still_open] == ["c", "a", "b", "e"]
    messages = await log_of(api, conversation)
    assert {call["message_id"] for call in everything} == {messages[0]["id"], messages[2]["id"]}


# Reading the log


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_a_walk_through_the_log_shows_every_message_in_order(api, order, limit):
    conversation = await start(api)
    messages = await append(api, conversation, *[user(str(number)) for number in range(5)])

    walked = await walk(
        api, f"/conversations/{conversation['id']}/messages", order=order, limit=limit
    )

    assert walked == (messages if order == "asc" else messages[::-1])


async def test_a_message_is_found_only_in_its_own_conversation(api):
    first, second = [await start(api, messages=[user()]) for _ in range(2)]
    message = first["messages"][0]["id"]

    for conversation, wanted in [
        (second, message),
        (first, "msg_" + "0" * 32),
        (first, message.upper()),
        (first, message.removeprefix("msg_")),
        (first, first["id"]),
    ]:
        answer = await api.get(f"/conversations/{conversation['id']}/messages/{wanted}")
        assert (answer.status_code, answer.json()["code"]) == (404, "message_not_found")


async def test_an_empty_log_is_an_empty_page(api):
    conversation = await start(api)
    empty = {"data": [], "has_more": False, "next_cursor": None}

    assert await read(api, f"/conversations/{conversation['id']}/messages") == empty
    assert await read(api, f"/conversations/{conversation['id']}/tool-calls") == empty


async def test_a_page_has_twenty_items_unless_it_is_told_otherwise(api):
    conversation = await start(api, messages=[calling(*map(str, range(21)))])
    await append(api, conversation, *[user()] * 20)
    for _ in range(20):
        await start(api)

    for path in (
        "/conversations",
        f"/conversations/{conversation['id']}/messages",
        f"/conversations/{conversation['id']}/tool-calls",
    ):
        page = await read(api, path)
        assert (len(page["data"]), page["has_more"]) == (20, True)


# Many at once


async def test_a_hundred_appends_at_once_take_contiguous_positions(api):
    conversation = await start(api)
    path = f"/conversations/{conversation['id']}/messages"

    answers = await asyncio.gather(
        *(api.post(path, json=user(f"text {number}")) for number in range(100))
    )

    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["seq"] for answer in answers) == list(range(1, 101))
    log = await log_of(api, conversation, limit=100)
    assert [message["seq"] for message in log] == list(range(1, 101))
    assert {message["id"]: message for message in log} == {
        answer.json()["id"]: answer.json() for answer in answers
    }


async def test_the_head_is_right_after_mixed_appends_at_once(api):
    conversation = await start(api, messages=[calling("a"), calling("b")])
    path = f"/conversations/{conversation['id']}"
    bodies = []
    for number in range(12):
        bodies.append(user(f"one {number}", token_count=2))
        bodies.append({"messages": [user("x", token_count=3), calling(f"call {number}".strip())]})
        bodies[-1]["messages"][1]["tool_calls"][0]["call_id"] = f"call_{number}"
    bodies += [output("a", "A"), calling("a"), {"messages": [user("lost"), output("zzz")]}]

    answers = await asyncio.gather(
        *(api.post(f"{path}/messages", json=body) for body in bodies),
        api.post(f"{path}/tool-calls/b/result", json={"output": "B"}),
        api.patch(path, json={"title": "T"}),
    )

    assert [answer.status_code for answer in answers] == [201] * 25 + [409, 422, 200, 200]
    head, log = await head_of(api, conversation), await walk(api, f"{path}/messages")
    assert [message["seq"] for message in log] == list(range(1, 41))
    assert (head["last_seq"], head["message_count"]) == (40, 40)
    assert head["token_count"] == 12 * 2 + 12 * 3
    assert head["preview"] == [message["content"] for message in log if message["content"]][-1]
    # Each append and the change raised it once; so did the start and its first append.
    assert head["version"] == 2 + 26 + 1
    assert head["last_activity_at"] == max(message["created_at"] for message in log)
    assert "lost" not in {message["content"] for message in log}


@pytest.mark.parametrize("body", [{"output": "x"}, {"error": "x"}])
async def test_the_same_result_reported_by_many_at_once_is_one_result(api, body):
    conversation = await start(api, messages=[calling("a")])
    path = f"/conversations/{conversation['id']}"

    answers = await asyncio.gather(
        *(api.post(f"{path}/tool-calls/a/result", json=body) for _ in range(8))
    )

    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.text for answer in answers}) == 1
    assert len(await log_of(api, conversation)) == 2


async def test_of_different_results_reported_at_once_one_wins(api):
    conversation = await start(api, messages=[calling("a")])
    path = f"/conversations/{conversation['id']}"

    answers = await asyncio.gather(
        *(api.post(f"{path}/tool-calls/a/result", json={"output": str(n)}) for n in range(6))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    assert len(await log_of(api, conversation)) == 2


async def test_of_the_same_call_id_appended_by_many_at_once_one_wins(api):
    conversation = await start(api)
    path = f"/conversations/{conversation['id']}/messages"

    answers = await asyncio.gather(*(api.post(path, json=calling("a")) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert [message["seq"] for message in await log_of(api, conversation)] == [1]


async def test_an_append_against_a_delete_leaves_no_orphan(api, tenant):
    for _ in range(10):
        conversation = await start(api, messages=[user()])
        path = f"/conversations/{conversation['id']}"

        *appends, deleted = await asyncio.gather(
            *(api.post(f"{path}/messages", json=user()) for _ in range(4)), api.delete(path)
        )

        assert deleted.status_code == 204
        assert {answer.status_code for answer in appends} <= {201, 404}
        assert (await api.post(f"{path}/messages", json=user())).status_code == 404
        acknowledged = sum(answer.status_code == 201 for answer in appends)
        async with write_session(tenant.ref) as session:
            rows = await session.execute(
                text(
                    "SELECT last_seq, (SELECT count(*) FROM messages WHERE conversation_id = c.id) "
                    "FROM conversations c ORDER BY id DESC LIMIT 1"
                )
            )
            assert rows.one() == (1 + acknowledged, 1 + acknowledged)


async def test_an_append_against_archiving_is_refused_or_stands_before_it(api):
    conversation = await start(api)
    path = f"/conversations/{conversation['id']}"

    *appends, archived = await asyncio.gather(
        *(api.post(f"{path}/messages", json=user()) for _ in range(8)), api.post(f"{path}/archive")
    )

    assert {answer.status_code for answer in appends} <= {201, 409}
    head = await head_of(api, conversation)
    assert head["last_seq"] == sum(answer.status_code == 201 for answer in appends)
    assert (head["status"], archived.json()["last_seq"]) == ("archived", head["last_seq"])
