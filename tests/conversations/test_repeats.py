"""External ids and expected positions: appends that are safe to repeat."""

import asyncio
import random

import pytest
from sqlalchemy import text

from tenants.db.unit_of_work import write_session
from tests.conversations.test_router import (
    append,
    calling,
    calls_of,
    head_of,
    log_of,
    output,
    start,
    user,
)

FULL = {
    "role": "assistant",
    "external_id": "e",
    "content": [
        {"type": "text", "text": "x"},
        {"type": "json", "value": {"n": 1, "yes": True, "deep": [{"a": None}]}},
    ],
    "model": "m",
    "token_count": 3,
    "usage": {"input_tokens": 1},
    "cost": "0.10",
    "tool_calls": [
        {"call_id": "a", "name": "f", "arguments": {"x": 1.5, "flag": False}},
        {"call_id": "b", "name": "g"},
    ],
}


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file: its tests keep to conversations of their own."""
    return await make_tenant()


async def post(api, conversation, body, **query):
    path = f"/conversations/{conversation['id']}/messages"
    return await api.post(path, json=body, params=query)


async def test_an_exact_repeat_is_answered_with_the_original_and_writes_nothing(api):
    conversation = await start(api)
    first = await post(api, conversation, FULL)
    head = await head_of(api, conversation)

    again = await post(api, conversation, FULL)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert first.json()["external_id"] == "e"
    assert await log_of(api, conversation) == [first.json()]
    assert await head_of(api, conversation) == head


@pytest.mark.parametrize(
    "written",
    [
        {"cost": 0.1},
        {"cost": "0.1"},
        {"usage": {"input_tokens": 1, "output_tokens": None}},
        {"call_id": None},
        {
            "content": [
                FULL["content"][0],
                {"value": {"deep": [{"a": None}], "yes": True, "n": 1.0}, "type": "json"},
            ]
        },
    ],
)
async def test_the_same_written_otherwise_is_a_repeat(api, written):
    conversation = await start(api)
    first = await post(api, conversation, FULL)

    again = await post(api, conversation, {**FULL, **written})

    assert (again.status_code, again.json()) == (201, first.json())


@pytest.mark.parametrize(
    "other",
    [
        {"role": "user", "tool_calls": []},
        {"content": "x"},
        {"content": [FULL["content"][0]]},
        {
            "content": [
                FULL["content"][0],
                {"type": "json", "value": {"n": True, "yes": 1, "deep": [{"a": None}]}},
            ]
        },
        {
            "content": [
                FULL["content"][0],
                {"type": "json", "value": {"n": 1, "yes": True, "deep": []}},
            ]
        },
        {"model": None},
        {"token_count": 4},
        {"usage": None},
        {"usage": {"input_tokens": 1, "output_tokens": 0}},
        {"cost": "0.11"},
        {"cost": None},
        {"tool_calls": []},
        {"tool_calls": FULL["tool_calls"][::-1]},
        {"tool_calls": [{**FULL["tool_calls"][0], "arguments": {}}, FULL["tool_calls"][1]]},
        {
            "tool_calls": [
                {**FULL["tool_calls"][0], "arguments": {"x": 1.5, "flag": 0}},
                FULL["tool_calls"][1],
            ]
        },
    ],
)
async def test_another_message_under_the_same_id_is_refused(api, other):
    conversation = await start(api)
    kept = (await post(api, conversation, FULL)).json()

    answer = await post(api, conversation, {**FULL, **other})
    batch = await post(api, conversation, {"messages": [user(), {**FULL, **other}]})

    for each in (answer, batch):
        assert (each.status_code, each.json()["code"]) == (409, "external_id_taken")
    assert await log_of(api, conversation) == [kept]


async def test_numbers_at_the_edges_are_recognised(api):
    conversation = await start(api)
    value = [
        2**63 - 1,
        -(2**63),
        5e-324,
        1.7976931348623157e308,
        0.1,
        -0.0,
        2**53 + 1,
        "😀",
    ]
    message = user([{"type": "json", "value": value}], external_id="n")

    first, again = [await post(api, conversation, message) for _ in range(2)]

    assert (again.status_code, again.json()) == (201, first.json())


async def test_a_batch_may_mix_repeats_and_new_messages_in_any_order(api):
    conversation = await start(api)
    one, two, three = [user(name, external_id=name) for name in ("one", "two", "three")]
    first = await append(api, conversation, one, user("unnamed"), two)

    second = await append(api, conversation, three, two, user("new"), one, user("unnamed"))

    assert [message["seq"] for message in first] == [1, 2, 3]
    assert [message["seq"] for message in second] == [4, 3, 5, 1, 6]
    assert [message["content"] for message in second] == ["three", "two", "new", "one", "unnamed"]
    assert (second[1], second[3]) == (first[2], first[0])
    log = await log_of(api, conversation)
    assert [message["seq"] for message in log] == [1, 2, 3, 4, 5, 6]
    assert (await head_of(api, conversation))["message_count"] == 6


async def test_a_repeat_within_a_batch_is_one_message(api):
    conversation = await start(api)
    one = user("x", external_id="one")

    messages = await append(api, conversation, one, user("between"), one)
    refused = await append(
        api, conversation, user("a", external_id="two"), user("b", external_id="two"), status=409
    )

    assert [message["seq"] for message in messages] == [1, 2, 1]
    assert refused == "external_id_taken"
    assert len(await log_of(api, conversation)) == 2


async def test_a_conversation_may_start_with_external_ids(api):
    one = user("x", external_id="one")
    started = await start(api, messages=[one, user("y", external_id="two")])

    assert await append(api, started, one) == started["messages"][:1]


async def test_an_id_is_unique_in_its_conversation_alone(api):
    first, second = [await start(api) for _ in range(2)]

    (one,) = await append(api, first, user("a", external_id="e"))
    (other,) = await append(api, second, user("b", external_id="e"))

    assert one["id"] != other["id"]


@pytest.mark.parametrize("external_id", ["", "x" * 256, 7, ["x"]])
async def test_an_id_of_another_shape_is_refused(api, external_id):
    conversation = await start(api)

    answer = await post(api, conversation, user(external_id=external_id))

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["external_id"]


async def test_a_repeated_output_gets_the_original_though_its_call_is_closed(api):
    conversation = await start(api, messages=[calling("a")])
    found = {**output("a"), "external_id": "o"}

    first, again = await append(api, conversation, found), await append(api, conversation, found)

    assert again == first
    assert [call["status"] for call in await calls_of(api, conversation)] == ["succeeded"]
    assert len(await log_of(api, conversation)) == 2


async def test_a_repeated_call_is_answered_as_it_is_now(api):
    conversation = await start(api)
    asking = calling("a", external_id="q")
    await append(api, conversation, asking)
    (answered,) = await append(api, conversation, output("a"))

    (again,) = await append(api, conversation, asking)

    (call,) = again["tool_calls"]
    assert (call["status"], call["output_message_id"]) == ("succeeded", answered["id"])


async def test_a_repeat_is_answered_in_an_archived_conversation_too(api):
    conversation = await start(api)
    one = user("x", external_id="one")
    first = await append(api, conversation, one)
    await api.post(f"/conversations/{conversation['id']}/archive")

    assert await append(api, conversation, one) == first
    assert await append(api, conversation, one, user(), status=409) == "conversation_archived"


async def test_the_id_of_a_deleted_message_stays_taken(api, tenant):
    conversation = await start(api)
    one = user("x", external_id="one")
    (message,) = await append(api, conversation, one)
    await hide(tenant, "messages", message)

    assert await append(api, conversation, one, status=409) == "external_id_taken"
    assert await log_of(api, conversation) == []


async def test_an_unknown_or_deleted_conversation_has_no_repeats(api):
    deleted = await start(api)
    await append(api, deleted, user(external_id="x"))
    await api.delete(f"/conversations/{deleted['id']}")

    for conversation in (deleted, {"id": "conv_" + "0" * 32}, {"id": "x"}):
        answer = await post(api, conversation, user(external_id="x"), expected_seq=0)
        assert (answer.status_code, answer.json()["code"]) == (404, "conversation_not_found")


# Expected positions


async def test_an_append_goes_where_it_was_expected_or_nowhere(api):
    conversation = await start(api)

    first = await post(api, conversation, user("one"), expected_seq=0)
    late = await post(api, conversation, user("two"), expected_seq=0)
    early = await post(api, conversation, {"messages": [user("two")]}, expected_seq=2)
    second = await post(api, conversation, {"messages": [user("two")]}, expected_seq=1)

    assert (first.status_code, first.json()["seq"]) == (201, 1)
    for refused in (late, early):
        problem = refused.json()
        assert (refused.status_code, problem["code"], problem["last_seq"]) == (
            412,
            "seq_mismatch",
            1,
        )
        assert refused.headers["content-type"] == "application/problem+json"
        assert problem["title"] == "Precondition failed"
    assert (second.status_code, second.json()["data"][0]["seq"]) == (201, 2)
    assert [message["content"] for message in await log_of(api, conversation)] == ["one", "two"]


async def test_a_full_repeat_wins_over_the_position_that_it_expects(api):
    conversation = await start(api)
    batch = {"messages": [user("a", external_id="a"), user("b", external_id="b")]}

    first = await post(api, conversation, batch, expected_seq=0)
    again = await post(api, conversation, batch, expected_seq=0)
    more = await post(
        api, conversation, {"messages": [*batch["messages"], user("c")]}, expected_seq=0
    )

    assert (again.status_code, again.json()) == (201, first.json())
    assert (more.status_code, more.json()["last_seq"]) == (412, 2)


@pytest.mark.parametrize("expected", ["-1", "x", "1.5", "", "9" * 5000])
async def test_an_expected_position_that_is_none_is_refused(api, expected):
    conversation = await start(api)

    answer = await post(api, conversation, user(), expected_seq=expected)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["expected_seq"]


async def test_of_many_who_expect_the_same_position_one_appends(api):
    conversation = await start(api)

    answers = await asyncio.gather(
        *(post(api, conversation, user(str(number)), expected_seq=0) for number in range(12))
    )

    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 11
    assert {answer.json()["last_seq"] for answer in answers if answer.status_code == 412} == {1}
    assert len(await log_of(api, conversation)) == 1


# Many at once


async def test_positions_are_contiguous_under_a_hundred_writers_that_repeat_each_other(api):
    conversation = await start(api)
    chance = random.Random(7)
    named = [user(f"text {number}", external_id=f"e{number}") for number in range(60)]
    batches = [
        [*chance.sample(named, chance.randint(1, 4)), *([user("free")] * (number % 2))]
        for number in range(100)
    ]
    for batch in batches:
        chance.shuffle(batch)

    answers = await asyncio.gather(
        *(post(api, conversation, {"messages": batch}) for batch in batches)
    )

    assert {answer.status_code for answer in answers} == {201}
    used = {message["content"] for batch in batches for message in batch} - {"free"}
    head = await head_of(api, conversation)
    log = [*await log_of(api, conversation, limit=100), *await later(api, conversation)]
    assert [message["seq"] for message in log] == list(range(1, len(used) + 50 + 1))
    assert (head["last_seq"], head["message_count"]) == (len(log), len(log))
    written = {message["id"]: message for message in log}
    for batch, answer in zip(batches, answers, strict=True):
        shown = answer.json()["data"]
        assert [message["content"] for message in shown] == [each["content"] for each in batch]
        assert all(written[message["id"]] == message for message in shown)


async def later(api, conversation):
    """What stands behind the first hundred messages."""
    path = f"/conversations/{conversation['id']}/messages"
    page = (await api.get(path, params={"limit": 100})).json()
    if not page["has_more"]:
        return []
    return (await api.get(path, params={"limit": 100, "after": page["next_cursor"]})).json()["data"]


async def hide(tenant, table, *shown):
    """Delete messages or tool calls, as a deletion does: they keep their rows."""
    async with write_session(tenant.ref) as session:
        for each in shown:
            await session.execute(
                text(f"UPDATE {table} SET deleted_at = now() WHERE id = CAST(:id AS uuid)"),
                {"id": each["id"].partition("_")[2]},
            )


# What is deleted


async def test_a_deleted_message_is_hidden_from_every_read_and_keeps_its_position(api, tenant):
    conversation = await start(api, messages=[user("one"), calling("a"), user("three")])
    path = f"/conversations/{conversation['id']}"
    first, second, third = conversation["messages"]

    await hide(tenant, "messages", second)
    await hide(tenant, "tool_calls", *second["tool_calls"])

    assert await log_of(api, conversation) == [first, third]
    assert await log_of(api, conversation, order="desc", limit=1) == [third]
    assert (await api.get(f"{path}/messages/{second['id']}")).status_code == 404
    assert await calls_of(api, conversation) == []
    report = await api.post(f"{path}/tool-calls/a/result", json={"output": "x"})
    assert (report.status_code, report.json()["code"]) == (404, "tool_call_not_found")
    assert await append(api, conversation, output("a"), status=422) == "unknown_tool_call"
    assert [message["seq"] for message in await append(api, conversation, user())] == [4]


async def test_a_deleted_tool_call_is_hidden_within_its_message(api, tenant):
    conversation = await start(api, messages=[calling("a", "b")])
    (message,) = conversation["messages"]
    gone, kept = message["tool_calls"]

    await hide(tenant, "tool_calls", gone)

    (shown,) = await log_of(api, conversation)
    assert shown["tool_calls"] == [kept]
    path = f"/conversations/{conversation['id']}/messages/{message['id']}"
    assert (await api.get(path)).json() == shown
    assert [call["call_id"] for call in await calls_of(api, conversation)] == ["b"]
