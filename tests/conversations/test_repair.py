"""Harm that is done by hand is found, and mended."""

import asyncio

import pytest
from sqlalchemy import text

from conversations.service.history import make_valid
from tenants.db.unit_of_work import write_session
from tests.conversations.test_router import (
    append,
    calling,
    head_of,
    log_of,
    output,
    start,
    user,
    walk,
)


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    return await make_tenant()


@pytest.fixture
async def conversation(api):
    """Four messages: a question, two calls of which one is answered, and that answer."""
    return await start(api, messages=[user("Hi"), calling("a", "b"), output("a"), user("And?")])


@pytest.fixture
def harm(tenant, conversation):
    """Run statements in which `:id` is the conversation."""
    key = conversation["id"].removeprefix("conv_")

    async def run(*statements):
        async with write_session(tenant.ref) as session:
            for statement in statements:
                await session.execute(
                    text(statement.replace(":id", "CAST(:id AS uuid)")), {"id": key}
                )

    return run


async def check(api, conversation):
    answer = await api.get(f"/conversations/{conversation['id']}/check")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["ok"] == (found["findings"] == [])
    return found["findings"]


async def repair(api, conversation, *, ok=True):
    answer = await api.post(f"/conversations/{conversation['id']}/repair")
    assert answer.status_code == 200, answer.text
    assert answer.json()["ok"] is ok
    return answer.json()["mended"]


async def assert_sound(api, conversation):
    """All is well, what is read is valid but for open calls, and the log goes on."""
    assert await check(api, conversation) == []
    assert await repair(api, conversation) == []
    head = await head_of(api, conversation)
    (new,) = await append(api, conversation, user("On it goes"))
    assert new["seq"] == head["last_seq"] + 1
    log = await walk(api, f"/conversations/{conversation['id']}/messages", limit=100)
    assert head["message_count"] + 1 == len(log)
    history = make_valid(log)
    assert [m["id"] for m in history if "synthetic" not in m] == [
        m["id"] for m in log if "synthetic" not in m
    ]


HARMS = {
    "an open call is overdue": (
        ["UPDATE tool_calls SET deadline = now() WHERE conversation_id = :id AND call_id = 'b'"],
        {"overdue_call"},
    ),
    "a call that awaits approval is overdue": (
        [
            "UPDATE tool_calls SET deadline = now(), status = 'awaiting_approval' "
            "WHERE conversation_id = :id AND call_id = 'b'"
        ],
        {"overdue_call"},
    ),
    "a call was closed without an output": (
        ["UPDATE tool_calls SET status = 'failed' WHERE conversation_id = :id AND call_id = 'b'"],
        {"call_without_output"},
    ),
    "a call has lost its output": (
        ["UPDATE tool_calls SET output_message_id = NULL WHERE conversation_id = :id"],
        {"call_without_output"},
    ),
    "a call names another message for its output": (
        [
            "UPDATE tool_calls SET output_message_id = message_id "
            "WHERE conversation_id = :id AND call_id = 'a'"
        ],
        {"call_without_output"},
    ),
    "a call was opened again": (
        [
            "UPDATE tool_calls SET status = 'running', output_message_id = NULL "
            "WHERE conversation_id = :id AND call_id = 'a'"
        ],
        {"open_call_with_output"},
    ),
    "an output's call is gone": (
        ["DELETE FROM tool_calls WHERE conversation_id = :id AND call_id = 'a'"],
        {"output_without_call", "wrong_count"},
    ),
    "an output names a call that never was": (
        ["UPDATE messages SET call_id = 'x' WHERE conversation_id = :id AND role = 'tool'"],
        {"output_without_call", "call_without_output"},
    ),
    "a call has two outputs": (
        [
            "UPDATE messages SET role = 'tool', call_id = 'a' "
            "WHERE conversation_id = :id AND seq = 4"
        ],
        {"output_without_call"},
    ),
    "the output is gone": (
        ["DELETE FROM messages WHERE conversation_id = :id AND role = 'tool'"],
        {"call_without_output", "gap_in_seq", "wrong_count"},
    ),
    "the message with the calls is gone": (
        ["DELETE FROM messages WHERE conversation_id = :id AND seq = 2"],
        {"output_without_call", "gap_in_seq", "wrong_count"},
    ),
    "the first message is gone": (
        ["DELETE FROM messages WHERE conversation_id = :id AND seq = 1"],
        {"gap_in_seq", "wrong_count"},
    ),
    "the last message is gone": (
        ["DELETE FROM messages WHERE conversation_id = :id AND seq = 4"],
        {"wrong_count"},
    ),
    "every message is gone": (
        ["DELETE FROM messages WHERE conversation_id = :id"],
        {"wrong_count"},
    ),
    "there is a gap": (
        ["UPDATE messages SET seq = seq + 300 WHERE conversation_id = :id AND seq > 2"],
        {"gap_in_seq", "wrong_count"},
    ),
    "the head lags behind": (
        ["UPDATE conversations SET last_seq = 1, message_count = 9 WHERE id = :id"],
        {"wrong_count"},
    ),
    "the sums are wrong": (
        ["UPDATE conversations SET token_count = 7, output_tokens = 7, cost = 0.5 WHERE id = :id"],
        {"wrong_count"},
    ),
    "the head is ahead": (
        ["UPDATE conversations SET last_seq = 1000000, token_count = 77 WHERE id = :id"],
        {"wrong_count"},
    ),
    "a message was slipped in": (
        [
            "INSERT INTO messages (id, conversation_id, seq, role, text, created_at) "
            "VALUES (gen_random_uuid(), :id, 5, 'user', 'x', now())"
        ],
        {"wrong_count"},
    ),
}


@pytest.mark.parametrize(("statements", "kinds"), HARMS.values(), ids=HARMS)
@pytest.mark.parametrize("archived", [False, True])
async def test_harm_is_found_and_mended(api, conversation, harm, statements, kinds, archived):
    await harm(*statements)
    if archived:
        await api.post(f"/conversations/{conversation['id']}/archive")

    found = await check(api, conversation)
    mended = await repair(api, conversation)

    assert {finding["kind"] for finding in found} == kinds
    assert mended[: len(found)] == found
    if archived:
        path = f"/conversations/{conversation['id']}"
        assert (await head_of(api, conversation))["status"] == "archived"
        await api.patch(path, json={"status": "active"})
    await assert_sound(api, conversation)


async def test_all_harm_at_once_is_mended(api, conversation, harm):
    await append(api, conversation, *(user(str(number)) for number in range(20)))
    await harm(
        "UPDATE tool_calls SET deadline = now() WHERE conversation_id = :id AND call_id = 'b'",
        "DELETE FROM messages WHERE conversation_id = :id AND seq IN (3, 7, 8, 24)",
        "UPDATE messages SET role = 'tool', call_id = 'x' WHERE conversation_id = :id AND seq = 9",
        "UPDATE conversations SET last_seq = 2, message_count = 0 WHERE id = :id",
    )

    mended = await repair(api, conversation)

    assert {finding["kind"] for finding in mended} == {
        *("overdue_call", "call_without_output", "output_without_call", "gap_in_seq"),
        "wrong_count",
    }
    await assert_sound(api, conversation)


async def test_nothing_is_wrong_where_nothing_was_done_by_hand(api, conversation):
    before = await head_of(api, conversation)

    assert await check(api, conversation) == []
    assert await repair(api, conversation) == []
    assert await head_of(api, conversation) == before


async def test_what_another_wire_keeps_is_nothing_to_mend(api):
    """Outputs of its other types, and those that answer none of the conversation's calls."""
    answer = {"type": "function_call_output", "output": "x"}
    ask = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    items = [
        *(
            {**answer, "call_id": "gone"},
            ask,
            {**answer, "call_id": "c"},
            {**answer, "call_id": "c"},
        ),
        {"type": "shell_call_output", "call_id": "s", "output": []},
        {"type": "local_shell_call_output", "output": "{}"},
    ]
    conversation = await start(api)
    url = f"http://localhost/openai/v1/conversations/{conversation['id']}/items"
    written = (await api.post(url, json={"items": items})).json()["data"]

    assert await check(api, conversation) == []
    assert await repair(api, conversation) == []
    kept = (await api.get(url, params={"order": "asc"})).json()["data"]
    assert kept == written
    assert len(kept) == len(items)


async def test_a_finding_says_what_and_where(api, conversation, harm):
    await harm("UPDATE tool_calls SET status = 'failed' WHERE conversation_id = :id")
    await harm("UPDATE messages SET seq = seq + 10 WHERE conversation_id = :id AND seq > 3")

    closed, gap, head = await check(api, conversation)

    assert closed == {
        "kind": "call_without_output",
        "detail": "The call `b` is `failed`, and has no output.",
        "seq": 2,
        "message_id": conversation["messages"][1]["id"],
        "call_id": "b",
    }
    assert (gap["seq"], gap["detail"]) == (4, "The positions 4 to 13 are missing.")
    assert head["detail"] == "`last_seq` is 4, and should be 14."


async def test_findings_of_one_message_stand_in_the_order_of_its_calls(api, conversation, harm):
    call_ids = list("gzdfce")
    await append(api, conversation, calling(*call_ids))
    await harm(
        "UPDATE tool_calls SET deadline = now() WHERE conversation_id = :id AND call_id <> 'a'"
    )
    assert [each["call_id"] for each in await check(api, conversation)] == ["b", *call_ids]


async def test_no_message_moves_when_a_gap_is_filled(api, conversation, harm):
    await harm("DELETE FROM messages WHERE conversation_id = :id AND seq = 1")
    before = await log_of(api, conversation)

    await repair(api, conversation)

    assert await log_of(api, conversation) == before
    assert [message["seq"] for message in before] == [2, 3, 4]


async def test_a_gap_that_is_too_wide_for_one_time_is_filled_bit_by_bit(
    api, conversation, harm, monkeypatch
):
    monkeypatch.setattr("conversations.service.repair._POSITIONS_AT_ONCE", 10)
    await harm("UPDATE messages SET seq = seq + 500 WHERE conversation_id = :id AND seq = 4")

    await repair(api, conversation, ok=False)
    await repair(api, conversation, ok=False)
    await repair(api, conversation)

    await assert_sound(api, conversation)


async def test_more_than_is_found_at_a_time_is_mended(api, harm, conversation):
    names = [f"c{number}" for number in range(250)]
    for start_ in range(0, 250, 50):
        await append(api, conversation, calling(*names[start_ : start_ + 50]))
    await harm("UPDATE tool_calls SET deadline = now() WHERE conversation_id = :id")

    assert len(await check(api, conversation)) == 100
    assert len(await repair(api, conversation)) == 251
    await assert_sound(api, conversation)


async def test_several_repairs_at_once_mend_once(api, conversation, harm):
    await harm("UPDATE tool_calls SET status = 'failed' WHERE conversation_id = :id")

    mended = await asyncio.gather(*(repair(api, conversation) for _ in range(5)))

    assert sorted(map(len, mended)) == [0, 0, 0, 0, 1]
    await assert_sound(api, conversation)


@pytest.mark.parametrize("method", ["GET check", "POST repair"])
async def test_a_conversation_that_is_not_there_is_not_found(api, conversation, method):
    verb, route = method.split()
    await api.delete(f"/conversations/{conversation['id']}")

    for each in (conversation["id"], f"conv_{'0' * 32}", "x"):
        answer = await api.request(verb, f"/conversations/{each}/{route}")
        assert (answer.status_code, answer.json()["code"]) == (404, "conversation_not_found")
