"""The official `openai` SDK, and the sessions of `openai-agents`, against a server."""

import asyncio
import contextlib
import threading

import openai
import pytest
from agents import OpenAIConversationsSession
from openai import AsyncOpenAI, OpenAI

from tests.conversations.cutting_proxy import CuttingProxy
from tests.conversations.openai_items import ITEMS
from tests.project.processes import running_serve


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """The SDK tries again without waiting for long."""
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.05)


@pytest.fixture(scope="module")
def service():
    with running_serve() as service:
        yield service


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    return await make_tenant()


@pytest.fixture(scope="module")
def client(service, tenant):
    with OpenAI(base_url=f"{service.base_url}/openai/v1", api_key=tenant.key) as client:
        yield client


@pytest.fixture
async def async_client(service, tenant):
    async with AsyncOpenAI(base_url=f"{service.base_url}/openai/v1", api_key=tenant.key) as client:
        yield client


@pytest.fixture
def proxy(service):
    """A way to the server that can be cut."""
    with CuttingProxy(service.base_url) as proxy:
        yield proxy


@pytest.fixture
def cut_client(proxy, tenant):
    with OpenAI(base_url=f"{proxy.base_url}/openai/v1", api_key=tenant.key) as client:
        yield client


def say(content="Hi"):
    return {"role": "user", "content": content}


def read(client, conversation_id, **query):
    """What all items say, the oldest first."""
    items = client.conversations.items.list(conversation_id, **{"order": "asc"} | query)
    return [item.content[0].text for item in items]


# Synchronous


def test_a_conversation_lives_and_dies(client):
    made = client.conversations.create(metadata={"topic": "demo"}, items=[say()])
    assert (made.object, made.metadata) == ("conversation", {"topic": "demo"})
    assert client.conversations.retrieve(made.id) == made
    changed = client.conversations.update(made.id, metadata={"topic": "other"})
    assert changed.metadata == {"topic": "other"}
    assert client.conversations.update(made.id, metadata=None).metadata == {}

    listed = client.conversations.items.create(made.id, items=[say("Ho")])
    (item,) = listed.data
    assert (listed.first_id, listed.last_id, listed.has_more) == (item.id, item.id, False)
    found = client.conversations.items.retrieve(
        item.id, conversation_id=made.id, include=["message.output_text.logprobs"]
    )
    assert found == item
    left = client.conversations.items.delete(item.id, conversation_id=made.id)
    assert left.id == made.id
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.retrieve(item.id, conversation_id=made.id)

    assert client.conversations.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError) as refusal:
        client.conversations.retrieve(made.id)
    assert refusal.value.code == "conversation_not_found"
    assert refusal.value.request_id
    assert client.conversations.create().metadata == {}


def test_every_type_of_item_is_read_as_what_it_is(client):
    conversation = client.conversations.create()
    for position in range(0, len(ITEMS), 20):
        client.conversations.items.create(
            conversation.id,
            items=ITEMS[position : position + 20],
            include=["file_search_call.results"],
        )

    items = list(client.conversations.items.list(conversation.id, order="asc"))

    dumped = [
        item.model_dump(mode="json", exclude_unset=True, by_alias=True, warnings=False)
        for item in items
    ]
    assert [{**item, "id": None} for item in dumped] == [{**item, "id": None} for item in ITEMS]


def test_pages_walk_themselves(client):
    conversation = client.conversations.create()
    words = [str(number) for number in range(45)]
    for position in range(0, 45, 20):
        client.conversations.items.create(
            conversation.id, items=[say(word) for word in words[position : position + 20]]
        )

    for limit in (1, 20, 22, 45, 100):
        assert read(client, conversation.id, limit=limit) == words
        assert read(client, conversation.id, limit=limit, order="desc") == words[::-1]
    assert read(client, conversation.id) == words


def test_errors_are_those_of_the_sdk(client, service, tenant):
    conversation = client.conversations.create()
    items = client.conversations.items
    with pytest.raises(openai.BadRequestError) as refusal:
        items.create(conversation.id, items=[say()] * 21)
    assert refusal.value.param == "items"
    with pytest.raises(openai.BadRequestError):
        client.conversations.update(conversation.id, metadata={"k" * 65: "v"})
    with pytest.raises(openai.BadRequestError):
        list(items.list(conversation.id, after="nothing"))
    with pytest.raises(openai.BadRequestError):
        items.create(conversation.id, items=[say("\0")])
    with pytest.raises(openai.APIStatusError) as refusal:
        items.create(conversation.id, items=[say("x" * 5_000_000)])
    assert refusal.value.status_code == 413
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="tnt_nobody").conversations.retrieve(conversation.id)


def test_a_conflict_is_not_repeated(cut_client, proxy):
    conversation = cut_client.conversations.create()
    items = [{**say(), "id": "mine"}]
    cut_client.conversations.items.create(conversation.id, items=items)
    before = proxy.requests

    with pytest.raises(openai.ConflictError) as refusal:
        cut_client.conversations.items.create(conversation.id, items=items)

    assert (refusal.value.code, proxy.requests - before) == ("external_id_taken", 1)


# Cut connections


@pytest.mark.parametrize("cuts", [1, 2])
def test_items_are_not_doubled_when_the_answer_is_lost(cut_client, proxy, client, cuts):
    conversation = cut_client.conversations.create()
    cut_client.conversations.items.create(conversation.id, items=[say("before")])
    proxy.cut_answers(cuts)

    made = cut_client.conversations.items.create(conversation.id, items=[say("a"), say("b")])

    assert proxy.cuts_left == 0
    assert read(client, conversation.id) == ["before", "a", "b"]
    newest = client.conversations.items.list(conversation.id, limit=2).data
    assert [item.id for item in made.data] == [item.id for item in reversed(newest)]


def test_appends_that_are_meant_twice_are_two_with_lost_answers_too(cut_client, proxy, client):
    conversation = cut_client.conversations.create()
    for _ in range(3):
        proxy.cut_answers(1)
        cut_client.conversations.items.create(conversation.id, items=[say("ok")])

    assert read(client, conversation.id) == ["ok"] * 3


def test_a_request_that_was_lost_on_its_way_is_done_once(cut_client, proxy, client):
    conversation = cut_client.conversations.create()
    proxy.cut_requests(1)
    cut_client.conversations.items.create(conversation.id, items=[say("ok")])

    assert read(client, conversation.id) == ["ok"]


def test_two_conversations_are_never_made_one(cut_client, proxy, client):
    others = {client.conversations.create().id for _ in range(2)}
    proxy.cut_answers(1)
    mine = cut_client.conversations.create()
    again = cut_client.conversations.create()

    assert len({mine.id, again.id, *others}) == 4
    client.conversations.items.create(mine.id, items=[say("mine")])
    assert [read(client, each) for each in (again.id, *others)] == [[], [], []]


def test_an_answer_that_comes_too_late_is_not_waited_for_and_nothing_doubled(
    cut_client, proxy, client
):
    conversation = cut_client.conversations.create()
    patient = cut_client.with_options(timeout=0.5)
    proxy.hold_answers(1)

    patient.conversations.items.create(conversation.id, items=[say("ok")])

    assert read(client, conversation.id) == ["ok"]


@pytest.mark.slow
def test_ten_writers_over_a_bad_line_lose_and_double_nothing(proxy, tenant, client):
    """Each to its own conversation; a third of the answers are lost."""
    conversations = [client.conversations.create().id for _ in range(10)]
    proxy.cut_every(3)

    def write(conversation):
        with OpenAI(
            base_url=f"{proxy.base_url}/openai/v1", api_key=tenant.key, max_retries=8
        ) as writer:
            for number in range(20):
                writer.conversations.items.create(conversation, items=[say(str(number // 2))])

    threads = [threading.Thread(target=write, args=(each,)) for each in conversations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert proxy.cuts > 30
    for conversation in conversations:
        assert read(client, conversation) == [str(number // 2) for number in range(20)]


# Asynchronous, and the sessions of agents


async def test_the_asynchronous_client_does_the_same(async_client):
    conversation = await async_client.conversations.create(metadata={"a": "b"})
    made = await async_client.conversations.items.create(conversation.id, items=[say(), say("Ho")])
    listed = [
        item async for item in async_client.conversations.items.list(conversation.id, limit=1)
    ]

    assert listed == made.data[::-1]
    await async_client.conversations.items.delete(made.last_id, conversation_id=conversation.id)
    assert (await async_client.conversations.delete(conversation.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await async_client.conversations.retrieve(conversation.id)


async def test_a_session_adds_reads_pops_and_clears(async_client):
    session = OpenAIConversationsSession(openai_client=async_client)
    turn = [
        say("What's the weather?"),
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a" : 1}'},
        {"type": "function_call_output", "call_id": "c", "output": "rain"},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Rain.", "annotations": []}],
        },
    ]
    await session.add_items(turn)

    items = await session.get_items()
    assert [item["type"] for item in items] == [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "message",
    ]
    assert items[4] == turn[4]
    assert await session.get_items(limit=2) == items[3:]
    popped = [await session.pop_item() for _ in range(4)]
    assert popped == items[:0:-1]
    # As a runner does that takes a turn back and repeats it.
    await session.add_items(popped[::-1])
    assert await session.get_items() == items
    first = session.session_id
    await session.clear_session()
    assert await session.get_items() == []
    assert session.session_id != first


async def test_the_items_of_a_session_go_into_another(async_client):
    one, other = (OpenAIConversationsSession(openai_client=async_client) for _ in range(2))
    await one.add_items([say("a"), say("b")])
    items = await one.get_items()
    await other.add_items(items)

    assert await other.get_items() == items
    await other.pop_item()
    assert await one.get_items() == items


@pytest.mark.slow
async def test_a_thousand_items_are_read_in_both_orders(async_client):
    session = OpenAIConversationsSession(openai_client=async_client)
    await session.add_items([say(str(number)) for number in range(1000)])

    items = await session.get_items()
    assert [item["content"][0]["text"] for item in items] == [str(each) for each in range(1000)]
    listing = async_client.conversations.items.list(session.session_id, limit=100, order="desc")
    newest_first = [item.content[0].text async for item in listing]
    assert newest_first == [str(each) for each in reversed(range(1000))]


@pytest.mark.slow
async def test_a_thousand_items_take_ten_requests_where_pages_are_large(tenant):
    with (
        running_serve(TENANTRY_CONVERSATIONS_OPENAI_PAGE_LIMIT="100") as service,
        CuttingProxy(service.base_url) as proxy,
    ):
        url = f"{proxy.base_url}/openai/v1"
        async with AsyncOpenAI(base_url=url, api_key=tenant.key) as client:
            session = OpenAIConversationsSession(openai_client=client)
            await session.add_items([say(str(number)) for number in range(1000)])
            before = proxy.requests
            assert len(await session.get_items()) == 1000
            assert proxy.requests - before == 10


async def test_writers_of_two_clients_keep_each_batch_together(async_client):
    conversation = await async_client.conversations.create()

    async def write(name):
        for number in range(5):
            await async_client.conversations.items.create(
                conversation.id, items=[say(f"{name} {number} {part}") for part in range(3)]
            )

    await asyncio.gather(*(write(name) for name in "abcd"))

    listing = async_client.conversations.items.list(conversation.id, order="asc", limit=7)
    said = [item.content[0].text async for item in listing]
    assert len(said) == 60
    batches = [said[start : start + 3] for start in range(0, 60, 3)]
    assert all(
        [word.rpartition(" ")[0] for word in batch] == [batch[0].rpartition(" ")[0]] * 3
        for batch in batches
    )
    with contextlib.suppress(openai.NotFoundError):
        await async_client.conversations.delete(conversation.id)
