"""Following events over lines that break."""

import asyncio

import pytest
from tenantry_client import AsyncTenantry, NotFound

HELLO = {"role": "user", "content": "Hello"}
# Unicode has more ends of lines than a stream of lines does.
ODD = "one\u2028two\u2029three\x85four\x0b\x0c\x1cfive\r\nsix"


async def take(stream, count):
    found = []
    async with asyncio.timeout(30):
        async for event in stream:
            found.append(event)
            if len(found) == count:
                return found
    return found


async def test_events_come_once_and_in_order_over_a_line_that_breaks(
    async_client, breaking_line, tenant
):
    conversation = await async_client.conversations.create(user_id="follower")

    async def write():
        for _ in range(10):
            await async_client.messages.append_all(conversation.id, [HELLO] * 2)
            await asyncio.sleep(0.12)

    async with (
        breaking_line(0.3) as (url, connections),
        AsyncTenantry(url, tenant.key) as follower,
    ):
        writing = asyncio.create_task(write())
        events = await take(follower.conversations.events(conversation.id, after=0), 20)
        await writing

    assert [event.message.seq for event in events] == list(range(1, 21))
    assert len(connections) >= 2


async def test_a_stream_that_broke_before_its_first_event_misses_nothing(
    async_client, breaking_line, tenant
):
    """What `ready` said is where it goes on, also if nothing came before the line broke."""
    conversation = await async_client.conversations.create(messages=[HELLO])
    async with (
        breaking_line(0.3) as (url, connections),
        AsyncTenantry(url, tenant.key) as follower,
    ):
        stream = follower.conversations.events(conversation.id)
        reading = asyncio.create_task(take(stream, 1))
        while stream.last_id is None:
            await asyncio.sleep(0.01)
        while not connections[-1].is_closing():
            await asyncio.sleep(0.01)
        appended = await async_client.messages.append(conversation.id, HELLO)
        (event,) = await reading

    assert event.message.id == appended.id


async def test_another_stream_goes_on_where_one_has_ended(async_client):
    conversation = await async_client.conversations.create(messages=[HELLO] * 5)
    stream = async_client.conversations.events(conversation.id, after=0)
    first = await take(stream, 2)
    rest = await take(async_client.conversations.events(conversation.id, stream.last_id), 3)

    assert [event.message.seq for event in first + rest] == [1, 2, 3, 4, 5]


async def test_text_with_odd_separators_arrives_whole(async_client):
    made = await async_client.conversations.create(messages=[{"role": "user", "content": ODD}])
    (event,) = await take(async_client.conversations.events(made.id, after=0), 1)
    records = [record async for record in async_client.conversations.export(made.id)]

    assert event.message.content == ODD
    assert [each["content"] for each in records if each["type"] == "message"] == [ODD]


async def test_a_stream_has_drafts_and_ends_when_its_conversation_is_deleted(async_client):
    conversation = await async_client.conversations.create()
    stream = async_client.conversations.events(conversation.id)
    reading = asyncio.create_task(take(stream, 3))
    while stream.last_id is None:
        await asyncio.sleep(0.01)
    await async_client.conversations.send_draft(conversation.id, "draft_1", "Li", 0)
    await async_client.messages.append(conversation.id, HELLO)
    await asyncio.sleep(0.5)
    await async_client.conversations.delete(conversation.id)

    events = await reading
    assert sorted(event.event for event in events) == ["deleted", "draft", "message"]
    with pytest.raises(NotFound):
        await take(async_client.conversations.events(conversation.id), 1)


async def test_all_conversations_of_a_user_are_followed(async_client):
    stream = async_client.users.events("user/7 ü")
    reading = asyncio.create_task(take(stream, 2))
    while stream.last_id is None:
        await asyncio.sleep(0.01)
    made = [
        await async_client.conversations.create(user_id="user/7 ü", messages=[HELLO])
        for _ in range(2)
    ]
    events = await reading

    assert {event.message.conversation_id for event in events} == {each.id for each in made}


def test_a_synchronous_stream_does_the_same(client):
    made = client.conversations.create(messages=[HELLO] * 3)
    seen = []
    for event in client.conversations.events(made.id, after=1):
        seen.append(event.message.seq)
        if len(seen) == 2:
            break
    assert seen == [2, 3]
