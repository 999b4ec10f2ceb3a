"""Sessions of the OpenAI Agents SDK."""

import asyncio

import pytest
from agents import Agent, ModelResponse, RunConfig, Runner, SessionSettings, Usage, function_tool
from agents.memory import Session
from agents.models.interface import Model
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
from tenantry_client import AsyncTenantry, NotFound
from tenantry_client.openai_agents import TenantrySession

from tests.conversations.openai_items import ITEMS


@pytest.fixture
def session(async_client):
    return TenantrySession(async_client)


def say(text, role="user"):
    kind = "output_text" if role == "assistant" else "input_text"
    part = {"type": kind, "text": text}
    if role == "assistant":
        part["annotations"] = []
    return {"type": "message", "role": role, "status": "completed", "content": [part]}


def without_ids(items):
    return [{name: value for name, value in item.items() if name != "id"} for item in items]


async def test_every_type_of_item_comes_back_as_it_was(session):
    await session.add_items(ITEMS)
    assert isinstance(session, Session)
    assert without_ids(await session.get_items()) == without_ids(ITEMS)


async def test_items_are_added_read_popped_and_cleared(session, async_client):
    assert await session.get_items() == []
    assert await session.pop_item() is None
    with pytest.raises(ValueError, match="no conversation"):
        _ = session.session_id
    await session.add_items([])
    items = [say(str(number)) for number in range(45)]
    await session.add_items(items)

    assert without_ids(await session.get_items()) == items
    assert without_ids(await session.get_items(limit=3)) == items[-3:]
    assert await session.get_items(limit=0) == []
    popped = [await session.pop_item() for _ in range(2)]
    assert without_ids(popped) == items[:42:-1]
    await session.add_items(popped[::-1])  # As a runner does that takes a turn back.
    assert without_ids(await session.get_items()) == items
    again = TenantrySession(
        async_client, session.session_id, session_settings=SessionSettings(limit=2)
    )
    assert without_ids(await again.get_items()) == items[-2:]

    first = session.session_id
    await session.clear_session()
    assert await session.get_items() == []
    with pytest.raises(NotFound):
        await async_client.conversations.get(first)
    await session.add_items([say("new")])
    assert session.session_id != first


async def test_more_than_a_page_of_items_is_read(session):
    items = [say(str(number)) for number in range(130)]
    await session.add_items(items)
    assert without_ids(await session.get_items()) == items
    assert without_ids(await session.get_items(limit=120)) == items[10:]


async def test_items_are_there_natively(session, async_client):
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a" : 1}'}
    output = {"type": "function_call_output", "call_id": "c", "output": "rain"}
    await session.add_items([say("Hi"), call, output])
    messages = [each async for each in async_client.messages.list(session.session_id)]

    assert [each.role for each in messages] == ["user", "assistant", "tool"]
    assert messages[1].tool_calls[0].arguments == {"a": 1}
    assert messages[1].tool_calls[0].status == "succeeded"


@pytest.mark.parametrize("count", [5, 50])
async def test_items_whose_answers_are_lost_are_written_once(proxy, tenant, count):
    items = [say(str(number)) for number in range(count)]
    async with AsyncTenantry(proxy.base_url, tenant.key) as client:
        session = TenantrySession(client)
        proxy.cut_answers(2)
        await session.add_items(items)
        assert proxy.cuts == 2
        assert without_ids(await session.get_items()) == items


async def test_writers_who_begin_together_begin_one_conversation(session):
    await asyncio.gather(*(session.add_items([say(str(number))]) for number in range(8)))
    assert len(await session.get_items()) == 8


class Scripted(Model):
    """A model that says what it is told to, and keeps what it was given."""

    def __init__(self, *outputs):
        self.outputs = list(outputs)
        self.inputs = []

    async def get_response(self, system_instructions, input, *_, **__):  # noqa: A002
        self.inputs.append(input)
        return ModelResponse(output=[self.outputs.pop(0)], usage=Usage(), response_id=None)

    def stream_response(self, *_, **__):
        raise AssertionError("nobody streams here")


def answer(text):
    return ResponseOutputMessage(
        id=f"msg_{text}",
        type="message",
        role="assistant",
        status="completed",
        content=[ResponseOutputText(type="output_text", text=text, annotations=[])],
    )


async def test_a_runner_remembers_over_turns(session):
    @function_tool
    def get_weather(city: str) -> str:
        return f"Rain in {city}"

    asking = ResponseFunctionToolCall(
        type="function_call", call_id="call_1", name="get_weather", arguments='{"city": "Oslo"}'
    )
    model = Scripted(asking, answer("rain"), answer("again"))
    agent = Agent(name="Guide", model=model, tools=[get_weather])
    quiet = RunConfig(tracing_disabled=True)

    first = await Runner.run(agent, "How is Oslo?", session=session, run_config=quiet)
    second = await Runner.run(agent, "And now?", session=session, run_config=quiet)

    assert (first.final_output, second.final_output) == ("rain", "again")
    items = await session.get_items()
    assert [item.get("role") or item["type"] for item in items] == [
        "user",
        "function_call",
        "function_call_output",
        "assistant",
        "user",
        "assistant",
    ]
    assert [item.get("type") for item in model.inputs[-1]][1:3] == [
        "function_call",
        "function_call_output",
    ]
    assert len(model.inputs[-1]) == 5
