import asyncio

import pytest

from conversations import errors, service
from conversations.schemas import CallResult, NewConversation, NewMessage, NewToolCall
from tenants.db.unit_of_work import read_session, write_session
from tenants.errors import TransactionConflict

CALLING = NewMessage(role="assistant", tool_calls=[NewToolCall(call_id="a", name="n")])


@pytest.fixture
async def conversation_id(tenant):
    async with write_session(tenant.ref) as session:
        started = await service.start_conversation(session, NewConversation(messages=[CALLING]))
    return started["id"]


async def test_a_result_that_meets_another_uncommitted_one_asks_to_be_repeated(
    tenant, conversation_id
):
    result = CallResult(output="x")

    async def report_second():
        async with write_session(tenant.ref) as session:
            await service.report_result(session, conversation_id, "a", result)

    async with write_session(tenant.ref) as session:
        await service.report_result(session, conversation_id, "a", result)
        second = asyncio.create_task(report_second())
        await asyncio.sleep(0.1)
        assert not second.done()  # It waits for the head.

    with pytest.raises(TransactionConflict):
        await second


async def test_an_append_that_fails_after_its_statement_leaves_nothing(tenant, conversation_id):
    fine = NewMessage(role="user", content="x")
    unknown = NewMessage(role="tool", call_id="nowhere", content="x")

    with pytest.raises(errors.UnknownToolCall):
        async with write_session(tenant.ref) as session:
            await service.append_messages(session, conversation_id, [fine, unknown])

    async with read_session(tenant.ref) as session:
        assert (await service.get_conversation(session, conversation_id))["last_seq"] == 1


async def test_two_appends_in_one_transaction_continue_each_other(tenant, conversation_id):
    def message(text):
        return [NewMessage(role="user", content=text)]

    async with write_session(tenant.ref) as session:
        first = await service.append_messages(session, conversation_id, message("one"))
        second = await service.append_messages(session, conversation_id, message("two"))

    assert [first[0]["seq"], second[0]["seq"]] == [2, 3]


@pytest.mark.parametrize("text", ["x" * 199 + "é", "x" * 200 + "y", "👩🏽‍💻" * 100])
async def test_the_preview_is_the_beginning_of_the_newest_text(tenant, conversation_id, text):
    batch = [
        NewMessage(role="user", content="older"),
        NewMessage(role="user", content=text),
        CALLING.model_copy(update={"tool_calls": [NewToolCall(call_id="b", name="n")]}),
    ]

    async with write_session(tenant.ref) as session:
        await service.append_messages(session, conversation_id, batch)
        conversation = await service.get_conversation(session, conversation_id)

    assert conversation["preview"] == text[: service.PREVIEW_CHARACTERS]
