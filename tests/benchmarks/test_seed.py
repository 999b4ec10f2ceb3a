"""Rows that are filled in by SQL look to the API as if clients had sent them."""

import base64

import orjson
import pytest

from benchmarks import seed
from benchmarks.messages import word
from benchmarks.own.long import move
from benchmarks.stage import connect_as_owner
from tenants.ids import show_id


@pytest.fixture
async def owner():
    connection = await connect_as_owner()
    yield connection
    await connection.close()


async def test_conversations_have_their_messages_and_calls(api, tenant, owner):
    made = await seed.fill(owner, tenant.ref.schema, conversations=3, messages=4, calls=2)
    await seed.settle(owner, tenant.ref.schema)
    listed = (await api.get("/conversations")).json()["data"]
    assert [each["id"] for each in listed] == [show_id("conv", key) for key in made]
    for conversation in listed:
        page = (await api.get(f"/conversations/{conversation['id']}/messages")).json()
        assert [message["seq"] for message in page["data"]] == [1, 2, 3, 4]
        assert [len(message["tool_calls"]) for message in page["data"]] == [2, 2, 2, 2]
        assert conversation["last_seq"] == conversation["message_count"] == 4
        assert conversation["tool_call_count"] == 8


async def test_what_was_filled_can_be_appended_to(api, tenant, owner):
    (key,) = await seed.fill(owner, tenant.ref.schema, conversations=1, messages=2)
    answer = await api.post(
        f"/conversations/{show_id('conv', key)}/messages", json={"role": "user", "content": "Hi"}
    )
    assert (answer.status_code, answer.json()["seq"]) == (201, 3)


async def test_the_same_call_gives_the_same_ids_and_another_others(tenant, make_tenant, owner):
    other = await make_tenant()
    first = await seed.fill(owner, tenant.ref.schema, conversations=2, messages=1)
    assert await seed.fill(owner, other.ref.schema, conversations=2, messages=1) == first
    more = await seed.fill(owner, tenant.ref.schema, conversations=2, messages=1, first=3)
    assert not set(more) & set(first)


async def test_searches_find_the_words_that_are_drawn(api, tenant, owner):
    await seed.fill(owner, tenant.ref.schema, conversations=200, messages=1)
    page = (await api.get("/search", params={"q": word(123)})).json()
    assert page["data"]
    # Forty of four hundred words are in a message: a tenth of them has this one.
    assert len((await api.get("/search", params={"q": word(7), "limit": 100})).json()["data"]) >= 5


async def test_a_cursor_can_be_moved_to_any_position(api, tenant, owner):
    (key,) = await seed.fill(owner, tenant.ref.schema, conversations=1, messages=40, words=3)
    path = f"/conversations/{show_id('conv', key)}/messages"
    cursor = (await api.get(path, params={"limit": 5})).json()["next_cursor"]
    page = (await api.get(path, params={"limit": 5, "after": move(cursor, 5, 30)})).json()
    assert [message["seq"] for message in page["data"]] == [31, 32, 33, 34, 35]


def test_a_cursor_that_holds_no_position_is_noticed():
    cursor = base64.urlsafe_b64encode(orjson.dumps(["digest", 7])).rstrip(b"=").decode()
    with pytest.raises(RuntimeError, match="no position"):
        move(cursor, 5, 30)
