"""Feedback on messages."""

import asyncio

import pytest

from tests.conversations.test_router import append, ids, read, start, user, walk


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file: its tests keep to conversations of their own."""
    return await make_tenant()


@pytest.fixture
async def conversation(api):
    return await start(api, messages=[user("one"), user("two"), user("three")])


def path_of(conversation, index=0):
    message = conversation["messages"][index]
    return f"/conversations/{conversation['id']}/messages/{message['id']}/feedback"


async def give(api, conversation, author, rating="up", *, index=0, **more):
    body = {"author": author, "rating": rating, **more}
    answer = await api.put(path_of(conversation, index), json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_feedback_is_given_read_and_withdrawn(api, conversation):
    given = await give(api, conversation, "user 7/ü", "down", comment="It rained.\n☔")

    message = conversation["messages"][0]
    assert given == {
        "id": given["id"],
        "conversation_id": conversation["id"],
        "message_id": message["id"],
        "seq": 1,
        "author": "user 7/ü",
        "rating": "down",
        "comment": "It rained.\n☔",
        "created_at": given["created_at"],
        "updated_at": given["created_at"],
    }
    whole = f"/conversations/{conversation['id']}/feedback"
    assert (await read(api, path_of(conversation)))["data"] == [given]
    assert (await read(api, whole))["data"] == [given]

    one = f"{path_of(conversation)}/{given['id']}"
    assert (await api.delete(one)).status_code == 204
    assert (await api.delete(one)).json()["code"] == "feedback_not_found"
    assert (await read(api, path_of(conversation)))["data"] == []
    assert (await read(api, whole))["data"] == []


async def test_a_repeat_takes_the_place_of_what_the_author_said_before(api, conversation):
    first = await give(api, conversation, "a", "down", comment="Hm.")
    other = await give(api, conversation, "b", "up")

    second = await give(api, conversation, "a", None, comment="Well.")
    third = await give(api, conversation, "a", "up")

    assert second["updated_at"] > first["updated_at"]
    assert second == first | {
        "rating": None,
        "comment": "Well.",
        "updated_at": second["updated_at"],
    }
    assert (third["id"], third["rating"], third["comment"]) == (first["id"], "up", None)
    assert (await read(api, path_of(conversation)))["data"] == [third, other]


async def test_of_many_repeats_at_once_one_stays(api, conversation):
    given = await asyncio.gather(
        *(give(api, conversation, "a", comment=str(number)) for number in range(20))
    )

    assert len(set(ids(given))) == 1
    (kept,) = (await read(api, path_of(conversation)))["data"]
    assert kept["comment"] in {str(number) for number in range(20)}


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_feedback_is_walked_in_the_order_of_the_log(api, conversation, limit):
    for author in ("z", "a", "m"):
        for index in (2, 0):
            await give(api, conversation, author, index=index)

    found = await walk(api, f"/conversations/{conversation['id']}/feedback", limit=limit)

    assert [(each["seq"], each["author"]) for each in found] == [
        (seq, author) for seq in (1, 3) for author in ("z", "a", "m")
    ]
    one = await walk(api, path_of(conversation, 2), limit=limit)
    assert one == [each for each in found if each["seq"] == 3]


@pytest.mark.parametrize(
    "body",
    [
        {"author": "a"},
        {"author": "a", "rating": None},
        {"author": "a", "rating": "sideways"},
        {"author": "", "rating": "up"},
        {"author": "a" * 256, "rating": "up"},
        {"author": "a", "rating": "up", "comment": ""},
        {"author": "a", "rating": "up", "comment": "x" * 10_001},
        {"author": "a\0", "rating": "up"},
        {"author": "a", "rating": "up", "seq": 1},
        {"rating": "up"},
    ],
)
async def test_feedback_of_a_wrong_shape_is_refused(api, conversation, body):
    answer = await api.put(path_of(conversation), json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


async def test_feedback_is_found_only_on_its_own_message(api, conversation):
    given = await give(api, conversation, "a")
    other = await start(api, messages=[user()])
    elsewhere = f"/conversations/{other['id']}/messages/{conversation['messages'][0]['id']}"

    answers = [
        await api.get(f"{elsewhere}/feedback"),
        await api.put(f"{elsewhere}/feedback", json={"author": "b", "rating": "up"}),
        await api.delete(f"{elsewhere}/feedback/{given['id']}"),
        await api.delete(f"{path_of(conversation, 1)}/{given['id']}"),
    ]

    codes = [answer.json()["code"] for answer in answers]
    assert codes == ["message_not_found"] * 2 + ["feedback_not_found"] * 2
    assert (await read(api, path_of(conversation)))["data"] == [given]


async def test_feedback_of_a_deleted_conversation_is_hidden(api, conversation):
    given = await give(api, conversation, "a")
    await api.delete(f"/conversations/{conversation['id']}")

    answers = [
        await api.get(path_of(conversation)),
        await api.get(f"/conversations/{conversation['id']}/feedback"),
        await api.put(path_of(conversation), json={"author": "b", "rating": "up"}),
        await api.delete(f"{path_of(conversation)}/{given['id']}"),
    ]
    assert {answer.status_code for answer in answers} == {404}

    await api.post(f"/conversations/{conversation['id']}/restore")
    assert (await read(api, path_of(conversation)))["data"] == [given]


async def test_feedback_is_given_on_an_archived_conversation(api, conversation):
    await api.post(f"/conversations/{conversation['id']}/archive")
    assert await append(api, conversation, user(), status=409) == "conversation_archived"

    assert (await give(api, conversation, "a"))["rating"] == "up"
