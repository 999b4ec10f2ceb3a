"""Chat histories of LangChain."""

import pytest
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.runnables.history import RunnableWithMessageHistory
from tenantry_client import NotFound
from tenantry_client.langchain import TenantryChatMessageHistory

CALL = {"id": "call_1", "name": "get_weather", "args": {"city": "Oslo"}, "type": "tool_call"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
TURN = [
    SystemMessage("Answer briefly.", id="mine-1"),
    HumanMessage([{"type": "text", "text": "What is it?"}, IMAGE], id="mine-2"),
    AIMessage(
        "",
        tool_calls=[CALL],
        id="run-3",
        response_metadata={"model_name": "model-1"},
        usage_metadata={
            "input_tokens": 9,
            "output_tokens": 4,
            "total_tokens": 13,
            "input_token_details": {"cache_read": 5},
            "output_token_details": {"reasoning": 2},
        },
    ),
    ToolMessage("12 °C", tool_call_id="call_1", id="mine-4"),
    AIMessage("Twelve degrees.", id="run-5"),
]


@pytest.fixture
def history(client, async_client):
    conversation = client.conversations.create(user_id="user-7", title="Oslo")
    return TenantryChatMessageHistory(conversation.id, client, async_client)


async def test_messages_come_back_as_they_were(history):
    assert isinstance(history, BaseChatMessageHistory)
    history.add_messages(TURN[:2])
    await history.aadd_messages(TURN[2:])

    assert history.messages == await history.aget_messages() == TURN
    history.add_messages(TURN[-1:])  # The same once more, by its id.
    assert history.messages == TURN


def test_messages_without_ids_get_one_and_alike_ones_stay_two(history):
    history.add_user_message("Hi")
    history.add_user_message("Hi")
    history.add_message(ChatMessage(role="developer", content="Be kind."))
    found = history.messages

    assert [(each.type, each.content) for each in found] == [
        ("human", "Hi"),
        ("human", "Hi"),
        ("system", "Be kind."),
    ]
    assert len({each.id for each in found}) == 3


def test_a_long_history_goes_in_batches(history):
    given = [HumanMessage(str(number), id=f"n-{number}") for number in range(230)]
    history.add_messages(given)
    assert history.messages == given


def test_nothing_is_written_of_what_holds_a_message_that_cannot_be_kept(history):
    with pytest.raises(ValueError, match="function"):
        history.add_messages([HumanMessage("Hi"), FunctionMessage("x", name="f")])
    assert history.messages == []


def test_parts_that_others_have_written_are_given_as_they_are(history, client):
    parts = [
        {"type": "text", "text": "Where is this?"},
        {"type": "image", "url": "https://example.com/oslo.png"},
        {"type": "json", "value": [1, 2]},
    ]
    client.messages.append(history.conversation_id, {"role": "user", "content": parts})
    (message,) = history.messages
    assert message.content[0] == parts[0]
    assert message.content[1]["url"] == parts[1]["url"]
    assert message.content[2] == parts[2]


def test_an_output_that_the_service_wrote_is_an_error(history, client):
    history.add_messages([AIMessage("", tool_calls=[CALL])])
    client.tool_calls.cancel(history.conversation_id, "call_1")
    _, output = history.messages
    assert (output.tool_call_id, output.status) == ("call_1", "error")
    assert history.messages[0].tool_calls == [CALL]


async def test_clearing_goes_on_in_a_conversation_alike(history, client):
    first = history.conversation_id
    history.add_user_message("Hi")
    history.clear()
    second = history.conversation_id
    assert history.messages == []
    await history.aclear()

    assert len({first, second, history.conversation_id}) == 3
    for gone in (first, second):
        with pytest.raises(NotFound):
            client.conversations.get(gone)
    found = client.conversations.get(history.conversation_id)
    assert (found.user_id, found.title) == ("user-7", "Oslo")


async def test_it_serves_a_runnable(client, async_client):
    conversation = client.conversations.create()
    chain = RunnableWithMessageHistory(
        FakeListChatModel(responses=["One", "Two"]),
        lambda session_id: TenantryChatMessageHistory(session_id, client, async_client),
    )
    config = {"configurable": {"session_id": conversation.id}}
    chain.invoke([HumanMessage("First")], config)
    await chain.ainvoke([HumanMessage("Second")], config)

    history = TenantryChatMessageHistory(conversation.id, client)
    assert [each.content for each in history.messages] == ["First", "One", "Second", "Two"]


async def test_a_history_says_which_client_it_lacks(client, async_client):
    with pytest.raises(ValueError, match="`client`"):
        _ = TenantryChatMessageHistory("conv_1", async_client=async_client).messages
    with pytest.raises(ValueError, match="`async_client`"):
        await TenantryChatMessageHistory("conv_1", client).aget_messages()
