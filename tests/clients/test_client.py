"""The Python client, against a server, and over a line that is cut."""

import asyncio
import importlib.util
import subprocess
import sys
from contextlib import aclosing, asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from tenantry_client import (
    AsyncTenantry,
    Conflict,
    ConnectionFailed,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    PreconditionFailed,
    Tenantry,
)
from tenantry_client.langchain import TenantryChatMessageHistory
from tenantry_client.openai_agents import TenantrySession

from project.dev.settings import ROOT
from tests.conversations.cutting_proxy import CuttingProxy
from tests.project.processes import running_serve

HELLO = {"role": "user", "content": "Hello"}
ASKING = {
    "role": "assistant",
    "tool_calls": [{"call_id": "call_1", "name": "get_weather", "arguments": {"city": "Oslo"}}],
}


@pytest.fixture(scope="module")
def service():
    with running_serve() as service:
        yield service


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    return await make_tenant()


@pytest.fixture(scope="module")
def client(service, tenant):
    with Tenantry(service.base_url, tenant.key) as client:
        yield client


@pytest.fixture
async def async_client(service, tenant):
    async with AsyncTenantry(service.base_url, tenant.key) as client:
        yield client


@pytest.fixture
def proxy(service):
    with CuttingProxy(service.base_url) as proxy:
        yield proxy


def test_the_synchronous_client_is_made_from_the_asynchronous_one():
    path = ROOT / "clients" / "python" / "generate_sync.py"
    spec = importlib.util.spec_from_file_location("generate_sync", path)
    generate_sync = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate_sync)
    made = generate_sync.make_files()

    assert {path: path.read_text() for path in made} == made, "run clients/python/generate_sync.py"


def test_it_needs_neither_django_nor_sqlalchemy():
    script = (
        "import sys, tenantry_client; "
        "print(sorted({'django', 'sqlalchemy', 'orjson', 'agents'} & set(sys.modules)))"
    )
    source = ROOT / "clients" / "python" / "src"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=source, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_a_conversation_lives_and_dies(client):
    made = client.conversations.create(user_id="user-7", title="Oslo", messages=[HELLO])
    assert [message.content for message in made.messages] == ["Hello"]
    assert client.conversations.update(made.id, read_seq=1).unread_count == 0
    appended = client.messages.append(made.id, {"role": "assistant", "content": "Hi"})
    assert client.messages.get(made.id, appended.id) == appended
    assert [each.id for each in client.conversations.list(user_id="user-7")] == [made.id]
    branch = client.conversations.fork(made.id, 1)
    assert (branch.parent_id, branch.fork_seq) == (made.id, 1)
    context = client.conversations.context(made.id, format="openai-chat")
    assert len(context.request["messages"]) == 2
    assert client.conversations.check(made.id).ok
    assert list(client.conversations.export(made.id))[-1]["type"] == "end"
    (hit,) = client.everything.search("hi")
    assert hit.message_id == appended.id

    client.conversations.delete(made.id)
    with pytest.raises(NotFound) as refusal:
        client.conversations.get(made.id)
    assert (refusal.value.code, bool(refusal.value.request_id)) == ("conversation_not_found", True)
    assert client.conversations.restore(made.id).id == made.id
    assert client.users.erase("user-7").status == "completed"


def test_a_list_is_walked_page_by_page(client):
    conversation = client.conversations.create()
    for start in (0, 100):
        batch = [{**HELLO, "content": str(start + number)} for number in range(75)]
        client.messages.append_all(conversation.id, batch)

    pages = client.messages.list(conversation.id, limit=40)

    assert [message.seq for message in pages] == list(range(1, 151))
    first = pages.first()
    assert (len(first.data), first.has_more) == (40, True)


def test_a_tool_call_goes_through_its_life(client):
    conversation = client.conversations.create()
    asking = {**ASKING, "tool_calls": [{**ASKING["tool_calls"][0], "requires_approval": True}]}
    client.messages.append(conversation.id, asking)

    with pytest.raises(Conflict) as refusal:
        client.tool_calls.start(conversation.id, "call_1")
    assert refusal.value.code == "tool_call_awaits_approval"
    client.tool_calls.approve(conversation.id, "call_1", by="user-7")
    client.tool_calls.start(conversation.id, "call_1")
    assert client.tool_calls.report_output(conversation.id, "call_1", "12 °C").status == "succeeded"
    assert list(client.tool_calls.list(conversation.id, open_only=True)) == []


def test_files_go_up_and_come_down(client):
    attachment = client.attachments.upload("a.txt", b"Oslo", "text/plain", user_id="user-9")
    assert client.attachments.download(attachment.id) == b"Oslo"
    client.attachments.delete(attachment.id)
    with pytest.raises(NotFound):
        client.attachments.get(attachment.id)


def test_what_is_refused_says_why(client, service):
    conversation = client.conversations.create(messages=[HELLO])
    with pytest.raises(PreconditionFailed) as refusal:
        client.messages.append(conversation.id, HELLO, expected_seq=5)
    assert refusal.value.last_seq == 1
    with pytest.raises(InvalidRequest) as refusal:
        client.messages.append(conversation.id, {"role": "nobody"})
    assert refusal.value.errors[0][0] == "role"
    with Tenantry(service.base_url, "tnt_wrong") as stranger, pytest.raises(NotAuthenticated):
        stranger.conversations.get(conversation.id)


@pytest.mark.parametrize("count", [1, 2])
def test_an_append_whose_answer_is_lost_is_written_once(client, proxy, tenant, count):
    conversation = client.conversations.create()
    with Tenantry(proxy.base_url, tenant.key) as cut_client:
        proxy.cut_answers(count)
        message = cut_client.messages.append(conversation.id, HELLO)

    assert proxy.cuts == count
    assert [each.id for each in client.messages.list(conversation.id)] == [message.id]


def test_a_service_that_cannot_be_reached_is_an_error(tenant):
    with (
        Tenantry("http://127.0.0.1:1", tenant.key, max_retries=1) as client,
        pytest.raises(ConnectionFailed),
    ):
        client.conversations.create()


@asynccontextmanager
async def breaking_line(url, seconds):
    """Passes bytes on to a server, and cuts each connection after a while."""
    parts, connections = urlsplit(url), []

    async def serve(reader, writer):
        connections.append(writer)
        answers, requests = await asyncio.open_connection(parts.hostname, parts.port)
        passing = [
            asyncio.create_task(pass_on(*each)) for each in ((reader, requests), (answers, writer))
        ]
        await asyncio.wait(passing, timeout=seconds)
        for each in (*passing, requests, writer):
            each.cancel() if isinstance(each, asyncio.Task) else each.close()

    async def pass_on(source, target):
        with suppress(OSError):
            while part := await source.read(65_536):
                target.write(part)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
    server.close()


async def test_events_come_once_and_in_order_over_a_line_that_breaks(async_client, service, tenant):
    conversation = await async_client.conversations.create()
    seen = []

    async def write():
        for _ in range(10):
            await async_client.messages.append_all(conversation.id, [HELLO] * 2)
            await asyncio.sleep(0.15)

    async with (
        breaking_line(service.base_url, 0.3) as (url, connections),
        AsyncTenantry(url, tenant.key) as follower,
    ):
        writing = asyncio.create_task(write())
        async with asyncio.timeout(30):
            async for event in follower.conversations.events(conversation.id, after=0):
                seen.append(event.message.seq)
                if len(seen) == 20:
                    break
        await writing

    assert seen == list(range(1, 21))
    assert len(connections) >= 2


async def test_a_history_of_langchain_comes_back(client, async_client):
    conversation = client.conversations.create()
    history = TenantryChatMessageHistory(conversation.id, client, async_client)
    call = {"id": "call_1", "name": "get_weather", "args": {"city": "Oslo"}, "type": "tool_call"}
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    given = [
        SystemMessage("Answer briefly."),
        HumanMessage([{"type": "text", "text": "What is it?"}, image]),
        AIMessage("", tool_calls=[call]),
        ToolMessage("12 °C", tool_call_id="call_1"),
        AIMessage("Twelve degrees."),
    ]

    history.add_messages(given[:2])
    await history.aadd_messages(given[2:])

    for found in (history.messages, await history.aget_messages()):
        assert [(each.type, each.content) for each in found] == [
            (each.type, each.content) for each in given
        ]
        assert found[2].tool_calls == [call]
    history.clear()
    assert history.messages == []


async def test_a_session_of_the_agents_sdk_keeps_its_items(service, tenant):
    session = TenantrySession(service.base_url, tenant.key)
    async with aclosing(session):
        await exercise(session)


async def exercise(session):
    await session.add_items([HELLO, {"role": "assistant", "content": "Hi"}])

    assert [item["role"] for item in await session.get_items()] == ["user", "assistant"]
    assert (await session.pop_item())["role"] == "assistant"
    assert len(await session.get_items()) == 1
