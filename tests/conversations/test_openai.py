"""The OpenAI wire, request by request; test_openai_sdk.py tries it with the clients themselves."""

import asyncio
from datetime import timedelta
from typing import get_args

import pytest
from openai.types.conversations import ConversationItem
from sqlalchemy import text, update

from conversations.models import AnsweredRequest
from conversations.statements import CONVERSATIONS
from tenants import lifecycle
from tenants.db.unit_of_work import read_session, write_session
from tenants.ids import find_id, new_id
from tenants.testing import TESTER
from tests.conversations.openai_items import ARGUMENTS, ITEMS

RETRY = {"x-stainless-retry-count": "1"}
FIRST = {"x-stainless-retry-count": "0"}


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file: its tests keep to conversations of their own."""
    return await make_tenant()


async def start(wire, **body):
    answer = await wire.post("/conversations", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def append(wire, path, *items, **options):
    answer = await wire.post(path, json={"items": list(items)}, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def read(wire, path, **query):
    answer = await wire.get(path, params={"order": "asc", "limit": 100, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def walk(wire, path, **query):
    """All items, page after page."""
    items, after = [], {}
    while True:
        page = (await wire.get(path, params={**query, **after})).json()
        items += page["data"]
        ids = [item["id"] for item in page["data"]]
        ends = (page["first_id"], page["last_id"])
        assert ends == ((ids[0], ids[-1]) if ids else (None, None))
        if not page["has_more"]:
            return items
        assert len(page["data"]) == query["limit"]
        after = {"after": page["last_id"]}


def error_of(answer):
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "request_id"}
    assert answer.headers["x-request-id"] == error["request_id"]
    return answer.status_code, error["code"]


def say(content="Hi", **more):
    return {"role": "user", "content": content, **more}


def call(call_id, **more):
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}", **more}


def output(call_id, content="found", **more):
    return {"type": "function_call_output", "call_id": call_id, "output": content, **more}


def native(path):
    return f"/conversations/{path.split('/')[2]}"


# What is given back


def test_the_items_have_every_type_that_the_sdk_reads():
    (union, *_) = get_args(ConversationItem)
    known = {
        name for kind in get_args(union) for name in get_args(kind.model_fields["type"].annotation)
    }

    assert len(known) == 29
    assert known <= {item["type"] for item in ITEMS}


async def test_every_item_comes_back_as_it_came(wire, path):
    made = [
        item
        for position in range(0, len(ITEMS), 20)
        for item in await append(wire, path, *ITEMS[position : position + 20])
    ]

    assert [{**item, "id": None} for item in made] == [{**item, "id": None} for item in ITEMS]
    assert await read(wire, path) == made
    assert len({item["id"] for item in made}) == len(ITEMS)
    for item in made:
        assert (await wire.get(f"{path}/{item['id']}")).json() == item


async def test_our_ids_begin_as_the_type_has_it(wire, path):
    made = await append(
        wire,
        path,
        say(),
        call("c"),
        output("c"),
        {"type": "reasoning", "summary": []},
        {"type": "x"},
    )

    assert [item["id"].partition("_")[0] for item in made] == ["msg", "fc", "fco", "rs", "item"]


async def test_a_text_comes_back_as_a_part_and_a_missing_status_as_completed(wire, path):
    made = await append(
        wire, path, say("Hi"), {"role": "assistant", "content": "Ho"}, call("c"), output("c")
    )

    assert made[0]["content"] == [{"type": "input_text", "text": "Hi"}]
    assert made[1]["content"] == [{"type": "output_text", "text": "Ho", "annotations": []}]
    assert {item["status"] for item in made} == {"completed"}
    assert await read(wire, path) == made


@pytest.mark.parametrize(
    "arguments", [ARGUMENTS, "", "[1]", "{", '{"a":"\\u0000"}', "null", "1e999"]
)
async def test_arguments_come_back_to_the_byte_whatever_a_model_wrote(wire, api, path, arguments):
    (made,) = await append(wire, path, call("c", arguments=arguments))

    assert made["arguments"] == arguments
    assert (await read(wire, path))[0]["arguments"] == arguments
    (message,) = (await api.get(f"{native(path)}/messages")).json()["data"]
    assert message["tool_calls"][0]["call_id"] == "c"


async def test_conversations_start_with_items_or_without_a_body(wire):
    conversation = await start(wire, items=[say(), call("c")], metadata={"a": "b"})
    shown = (await wire.get(f"/conversations/{conversation}")).json()
    bare = await wire.post("/conversations")

    assert shown["metadata"] == {"a": "b"}
    assert isinstance(shown["created_at"], int)
    assert len(await read(wire, f"/conversations/{conversation}/items")) == 2
    assert (bare.status_code, bare.json()["metadata"]) == (200, {})
    assert await start(wire, items=None, metadata=None)


async def test_metadata_are_replaced_as_a_whole(wire, path):
    one = native(path)
    for metadata in ({"a": "b", "": "x"}, {"c": "d" * 512}, {str(n): "é" * 512 for n in range(16)}):
        answer = await wire.post(one, json={"metadata": metadata})
        assert answer.json()["metadata"] == metadata
    assert (await wire.post(one, json={"metadata": None})).json()["metadata"] == {}


async def test_a_deleted_conversation_is_gone_on_both_wires(wire, api, path):
    one = native(path)
    answer = await wire.delete(one)

    assert answer.json() == {"id": one[15:], "object": "conversation.deleted", "deleted": True}
    for gone in (wire.get(one), wire.delete(one), wire.get(path), api.get(one)):
        assert (await gone).status_code == 404
    assert error_of(await wire.post(path, json={"items": [say()]})) == (
        404,
        "conversation_not_found",
    )


# One log, two ways to see it


async def test_what_is_written_natively_is_read_here(wire, api, path):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "content": "Hm.",
            "tool_calls": [
                {"call_id": "c1", "name": "f", "arguments": {"of": "é"}},
                {"call_id": "c2", "name": "g"},
            ],
        },
        {"role": "tool", "call_id": "c2", "content": "two"},
        {"role": "tool", "call_id": "c1", "content": [{"type": "text", "text": "one"}]},
        {"role": "assistant", "tool_calls": [{"call_id": "c3", "name": "f"}]},
    ]
    made = (await api.post(f"{native(path)}/messages", json={"messages": messages})).json()["data"]

    items = await read(wire, path)
    assert [{**item, "id": None, "status": None} for item in items] == [
        {"id": None, "status": None, **item}
        for item in (
            {
                "type": "message",
                "role": "system",
                "content": [{"type": "input_text", "text": "Be brief."}],
            },
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": each} for each in "ab"],
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Hm.", "annotations": []}],
            },
            call("c1", arguments='{"of":"é"}'),
            call("c2", name="g"),
            output("c2", "two"),
            output("c1", [{"type": "input_text", "text": "one"}]),
            call("c3"),
        )
    ]
    assert items[0]["id"] == made[0]["id"]
    for item in items:
        assert (await wire.get(f"{path}/{item['id']}")).json() == item


async def test_what_is_written_here_is_read_natively(wire, api, path):
    await append(
        wire,
        path,
        say([{"type": "input_text", "text": "Look"}], status="incomplete"),
        say(
            [
                {"type": "input_text", "text": "at"},
                {"type": "input_image", "detail": "low", "image_url": "https://example.com/a.png"},
                {"type": "input_file", "file_id": "file-1"},
            ]
        ),
        call("c", arguments='{"a": 1}'),
        {"type": "reasoning", "summary": []},
        output("c"),
        output("unknown"),
    )

    messages = (await api.get(f"{native(path)}/messages")).json()["data"]
    kinds = [(message["seq"], message["role"], message["kind"]) for message in messages]
    assert kinds == [
        (1, "user", "message"),
        (2, "user", "message"),
        (3, "assistant", "message"),
        (4, "assistant", "reasoning"),
        (5, "tool", "message"),
        (6, "tool", "function_call_output"),
    ]
    assert (messages[0]["content"], messages[0]["status"]) == ("Look", "incomplete")
    assert messages[1]["content"] == [
        {"type": "text", "text": "at"},
        {"type": "image", "url": "https://example.com/a.png", "detail": "low"},
        {"type": "json", "value": {"type": "input_file", "file_id": "file-1"}},
    ]
    (made,) = messages[2]["tool_calls"]
    assert (made["arguments"], made["status"]) == ({"a": 1}, "succeeded")
    assert (messages[2]["content"], messages[3]["content"]) == (None, None)
    assert (messages[4]["call_id"], messages[4]["content"]) == ("c", "found")
    assert (messages[5]["call_id"], messages[5]["content"]) == (None, None)
    head = (await api.get(native(path))).json()
    assert (head["preview"], head["message_count"]) == ("found", 6)


async def test_a_native_result_closes_a_call_of_this_wire(wire, api, path):
    await append(wire, path, call("c"))
    answer = await api.post(f"{native(path)}/tool-calls/c/result", json={"error": "no network"})

    assert answer.json()["status"] == "failed"
    assert (await read(wire, path))[1]["output"] == "no network"


async def test_what_fits_no_tool_call_is_kept_and_leaves_those_that_are_there(wire, api, path):
    sent = [
        call("c"),
        call("c", name="again"),
        output("c", "first"),
        output("c", "second"),
        output("never"),
        call("with space"),
        call("d", arguments={"no": "text"}),
        call("e", name=""),
        {"type": "function_call_output", "output": "whose?"},
        call("f"),
        output("f", {"no": "list"}),
    ]
    made = [(await append(wire, path, item))[0] for item in sent[:4]]
    made += await append(wire, path, *sent[4:])

    assert [{**item, "id": None, "status": None} for item in made] == [
        {**item, "id": None, "status": None} for item in sent
    ]
    assert await read(wire, path) == made
    calls = (await api.get(f"{native(path)}/tool-calls")).json()["data"]
    assert [(each["call_id"], each["name"], each["status"]) for each in calls] == [
        ("c", "f", "succeeded"),
        ("f", "f", "requested"),
    ]


async def test_twenty_writers_of_the_same_call_keep_one_and_lose_nothing(wire, api, path):
    await asyncio.gather(
        *(append(wire, path, call("c", name=f"n{n}"), output("c", str(n))) for n in range(8))
    )

    items = await read(wire, path)
    assert sorted(item["name"] for item in items[::2]) == [f"n{n}" for n in range(8)]
    for one, other in zip(items[::2], items[1::2], strict=True):
        assert one["name"] == f"n{other['output']}"
    (kept,) = (await api.get(f"{native(path)}/tool-calls")).json()["data"]
    assert kept["status"] == "succeeded"


# Pages


@pytest.mark.parametrize("limit", range(1, 12))
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_are_exact_across_messages_and_their_calls(wire, api, tenant, limit, order):
    path = f"/conversations/{await start(wire)}/items"
    messages = [
        {"role": "user", "content": "1"},
        {
            "role": "assistant",
            "content": "2",
            "tool_calls": [{"call_id": f"a{n}", "name": "f"} for n in range(3)],
        },
        {"role": "assistant", "tool_calls": [{"call_id": f"b{n}", "name": "f"} for n in range(4)]},
        {"role": "user", "content": ""},
    ]
    await api.post(f"{native(path)}/messages", json={"messages": messages})
    items = await read(wire, path)
    assert len(items) == 10

    walked = await walk(wire, path, limit=limit, order=order)

    assert walked == (items if order == "asc" else items[::-1])


async def test_the_newest_come_first_and_a_page_has_twenty(wire, path):
    made = await append(wire, path, *(say(str(n)) for n in range(20)))
    assert (await wire.get(path)).json()["has_more"] is False
    made += await append(wire, path, say("20"))

    page = (await wire.get(path)).json()
    assert page["object"] == "list"
    assert page["data"] == made[:0:-1]
    assert page["has_more"] is True


async def test_an_empty_page_has_no_ends(wire, path):
    empty = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert (await wire.get(path)).json() == empty
    (made,) = await append(wire, path, say())
    assert (await wire.get(path, params={"after": made["id"]})).json() == empty


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_page_goes_on_after_an_item_that_was_deleted(wire, path, order):
    made = await append(
        wire, path, say("0"), call("c", id="given"), output("c"), say("3"), say("4")
    )
    for item in made[1:4]:
        assert (await wire.delete(f"{path}/{item['id']}")).status_code == 200

    for position in (1, 2, 3):
        found = await read(wire, path, after=made[position]["id"], order=order, limit=1)
        assert found == [made[4] if order == "asc" else made[0]]


async def test_after_an_item_that_is_not_there_is_refused(wire, path):
    elsewhere = f"/conversations/{await start(wire)}/items"
    (other,) = await append(wire, elsewhere, say(id="given"))
    for after in ("given", other["id"], f"msg_{new_id().hex}", "nonsense", ""):
        answer = await wire.get(path, params={"after": after})
        assert error_of(answer) == (400, "invalid_cursor")


async def test_whatever_is_to_be_included_is_accepted(wire, path):
    include = {"include[]": ["message.output_text.logprobs", "reasoning.encrypted_content"]}
    (made,) = await append(wire, path, say(), params=include)

    assert await read(wire, path, **include) == [made]
    assert (await wire.get(f"{path}/{made['id']}", params=include)).json() == made


# Ids


async def test_an_id_is_kept_and_unique_in_its_conversation_alone(wire, path):
    sent = [
        say(id="mine:0"),
        call("c", id="fc?1&x=%"),
        output("c", id="o#2"),
        {"type": "x", "id": "x+3"},
    ]
    made = await append(wire, path, *sent)
    elsewhere = f"/conversations/{await start(wire)}/items"

    assert [item["id"] for item in made] == [item["id"] for item in sent]
    assert [item["id"] for item in await append(wire, elsewhere, *sent)] == [
        item["id"] for item in sent
    ]
    for item in sent:
        answer = await wire.post(path, json={"items": [say("new"), say(id=item["id"])]})
        assert error_of(answer) == (409, "external_id_taken")
        assert answer.headers["x-should-retry"] == "false"
    assert await read(wire, path) == made


async def test_an_id_of_ours_is_taken_too(wire, api, path):
    made = await append(wire, path, say(), call("c"))
    for item in made:
        assert error_of(await wire.post(path, json={"items": [item]})) == (409, "external_id_taken")
    twice = await wire.post(path, json={"items": [say(id="twice"), call("d", id="twice")]})
    assert error_of(twice) == (409, "external_id_taken")
    assert await read(wire, path) == made
    # Somewhere else it is as good as any.
    elsewhere = f"/conversations/{await start(wire)}/items"
    copies = await append(wire, elsewhere, *made)
    assert copies == made
    assert await read(wire, path) == made


async def test_what_was_deleted_may_be_written_again(wire, api, path):
    sent = [
        say("q", id="m"),
        call("c", id="fc"),
        output("c", id="o"),
        {"type": "reasoning", "id": "r"},
    ]
    first = await append(wire, path, say("before"), *sent)
    for _ in range(2):
        for item in reversed(await read(wire, path, after=first[0]["id"])):
            assert (await wire.delete(f"{path}/{item['id']}")).status_code == 200
        assert await read(wire, path) == first[:1]
        await append(wire, path, *sent)

    assert await read(wire, path) == first
    (made,) = (await api.get(f"{native(path)}/tool-calls")).json()["data"]
    assert (made["call_id"], made["status"]) == ("c", "succeeded")
    head = (await api.get(native(path))).json()
    assert (head["message_count"], head["last_seq"], head["preview"]) == (5, 13, "found")


@pytest.mark.parametrize("given", ["", "a/b", "a b", "é", "x" * 256, 7, ["x"]])
async def test_an_id_that_no_path_can_name_is_refused(wire, path, given):
    answer = await wire.post(path, json={"items": [say(id=given)]})

    assert error_of(answer) == (400, "invalid_input")
    assert answer.json()["error"]["param"] == "items[0]"


# Deleting


async def test_a_deleted_item_is_hidden_on_both_wires(wire, api, path):
    made = await append(wire, path, say("stays"), say("goes"))
    answer = await wire.delete(f"{path}/{made[1]['id']}")

    assert answer.json()["object"] == "conversation"
    assert await read(wire, path) == made[:1]
    for gone in (wire.get, wire.delete):
        assert error_of(await gone(f"{path}/{made[1]['id']}")) == (404, "item_not_found")
    (message,) = (await api.get(f"{native(path)}/messages")).json()["data"]
    assert message["content"] == "stays"
    assert (await api.get(f"{native(path)}/messages/{made[1]['id']}")).status_code == 404
    head = (await api.get(native(path))).json()
    assert (head["message_count"], head["preview"], head["last_seq"]) == (1, "stays", 2)
    await append(wire, path, say("next"))
    seqs = [each["seq"] for each in (await api.get(f"{native(path)}/messages")).json()["data"]]
    assert seqs == [1, 3]


async def test_a_call_whose_output_is_deleted_waits_again(wire, api, path):
    made = await append(wire, path, call("c"), output("c"))
    await wire.delete(f"{path}/{made[1]['id']}")

    (kept,) = (await api.get(f"{native(path)}/tool-calls", params={"open": True})).json()["data"]
    assert kept["output_message_id"] is None
    await append(wire, path, output("c", "again"))
    (kept,) = (await api.get(f"{native(path)}/tool-calls")).json()["data"]
    assert kept["status"] == "succeeded"


@pytest.mark.parametrize(
    ("verbs", "status"),
    [
        (["deny"], "awaiting_approval"),
        (["cancel"], "awaiting_approval"),
        (["approve", "cancel"], "requested"),
    ],
)
async def test_a_call_whose_output_is_deleted_is_not_approved_by_that(
    wire, api, path, verbs, status
):
    call = {"call_id": "c", "name": "f", "requires_approval": True}
    await api.post(f"{native(path)}/messages", json={"role": "assistant", "tool_calls": [call]})
    for verb in verbs:
        body = {} if verb == "cancel" else {"by": "me"}
        await api.post(f"{native(path)}/tool-calls/c/{verb}", json=body)
    asked, output = await read(wire, path)
    assert "requires_approval" not in asked

    await wire.delete(f"{path}/{output['id']}")

    kept = (await api.get(f"{native(path)}/tool-calls/c")).json()
    assert kept["status"] == status
    assert kept["decided_by"] == (None if status == "awaiting_approval" else "me")


async def test_the_items_of_a_native_message_are_deleted_one_by_one(wire, api, path):
    message = {
        "role": "assistant",
        "content": "Secret",
        "tool_calls": [{"call_id": f"c{n}", "name": "f"} for n in range(2)],
    }
    await api.post(f"{native(path)}/messages", json=message)
    items = await read(wire, path)
    messages, calls = f"{native(path)}/messages", f"{native(path)}/tool-calls"

    await wire.delete(f"{path}/{items[0]['id']}")
    assert await read(wire, path) == items[1:]
    (shown,) = (await api.get(messages)).json()["data"]
    assert (shown["content"], len(shown["tool_calls"])) == (None, 2)
    assert (await api.get(native(path))).json()["preview"] is None

    await wire.delete(f"{path}/{items[1]['id']}")
    assert await read(wire, path) == items[2:]
    assert [each["call_id"] for each in (await api.get(calls)).json()["data"]] == ["c1"]
    assert (await api.post(f"{calls}/c0/result", json={"output": "x"})).status_code == 404

    await wire.delete(f"{path}/{items[2]['id']}")
    assert await read(wire, path) == []
    assert (await api.get(messages)).json()["data"] == []
    assert (await api.get(calls)).json()["data"] == []
    assert (await api.get(native(path))).json()["message_count"] == 0


async def test_two_who_delete_one_item_at_once_do_it_once(wire, api, path):
    made = await append(wire, path, *(say(str(n)) for n in range(3)))
    answers = await asyncio.gather(*(wire.delete(f"{path}/{made[1]['id']}") for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 4
    assert (await api.get(native(path))).json()["message_count"] == 2


# Errors


@pytest.mark.parametrize(
    "body",
    [
        {"items": []},
        {"items": [say()] * 21},
        {"items": [say(), {"type": "message"}]},
        {"items": [{"content": "no type"}]},
        {"items": [{"type": ""}]},
        {"items": [{"type": "x" * 65}]},
        {"items": [{"type": 7}]},
        {"items": ["text"]},
        {"items": [say(None)]},
        {"items": [say(7)]},
        {"items": [say(["text"])]},
        {"items": [say([{"text": "no type"}])]},
        {"items": [say(role="king")]},
        {"items": [say(role=["user"])]},
        {"items": [say("x" * 1_000_001)]},
        {"items": [output("c", "x" * 1_000_001)]},
        {"items": [say("\0")]},
        {"items": [say()], "colour": "red"},
        {"item": say()},
        {},
        [],
        None,
    ],
)
async def test_items_that_can_not_be_kept_are_refused(wire, path, body):
    assert error_of(await wire.post(path, json=body)) == (400, "invalid_input")
    assert await read(wire, path) == []


@pytest.mark.parametrize(
    "metadata",
    [
        {str(n): "x" for n in range(17)},
        {"k" * 65: "x"},
        {"k": "x" * 513},
        {"k": 1},
        {"k": None},
        {"k": {}},
        [],
        "x",
    ],
)
async def test_metadata_beyond_the_limits_are_refused(wire, path, metadata):
    for where in ("/conversations", native(path)):
        answer = await wire.post(where, json={"metadata": metadata})
        assert error_of(answer) == (400, "invalid_input")


async def test_other_errors_have_the_shape_and_their_status(wire, client, path):
    as_json = {"content-type": "application/json"}
    answers = {
        (400, "malformed_json"): await wire.post(path, content=b'{"items"', headers=as_json),
        (415, "unsupported_media_type"): await wire.post(path, content=b"{}"),
        (405, "method_not_allowed"): await wire.put(path),
        (404, "conversation_not_found"): await wire.get("/conversations/conv_x"),
        (404, "item_not_found"): await wire.get(f"{path}/nothing"),
        (401, "unauthenticated"): await client.get(f"/openai/v1{path}"),
        (404, "not_found"): await wire.get("/responses"),
    }
    for query in ("limit=0", "limit=101", "order=up", "limit=x", "colour=red"):
        assert error_of(await wire.get(f"{path}?{query}")) == (400, "invalid_input")
    for expected, answer in answers.items():
        assert error_of(answer) == expected
        kind = "authentication_error" if expected[0] == 401 else "invalid_request_error"
        assert answer.json()["error"]["type"] == kind


async def test_an_archived_conversation_takes_nothing_and_says_so_once(wire, api, path):
    await api.post(f"{native(path)}/archive")
    answer = await wire.post(path, json={"items": [say()]}, headers=RETRY)

    assert error_of(answer) == (409, "conversation_archived")
    assert answer.headers["x-should-retry"] == "false"


# Retries


async def test_a_retry_is_answered_with_what_the_first_attempt_wrote(wire, path):
    sent = [say("ok"), call("c"), output("c"), {"type": "reasoning", "summary": []}]
    first = await append(wire, path, *sent, headers=FIRST)

    for count in ("1", "2"):
        headers = {"x-stainless-retry-count": count}
        assert await append(wire, path, *sent, headers=headers) == first
    assert await read(wire, path) == first


async def test_a_retry_whose_first_attempt_wrote_nothing_writes(wire, path):
    made = await append(wire, path, say(), headers=RETRY)
    assert await append(wire, path, say(), headers=RETRY) == made
    assert await read(wire, path) == made


async def test_two_appends_that_are_both_meant_are_two(wire, path):
    for headers in (FIRST, FIRST, {}, {}):
        await append(wire, path, say("ok"), headers=headers)
    assert len(await read(wire, path)) == 4


@pytest.mark.parametrize("count", ["", "-1", "x", "0", "00", "1.5", "²"])
async def test_what_is_no_count_is_no_retry(wire, path, count):
    headers = {"x-stainless-retry-count": count.encode()}
    for _ in range(2):
        await append(wire, path, say(), headers=headers)
    assert len(await read(wire, path)) == 2


async def test_a_retry_of_a_client_that_did_not_say_so_before_is_no_retry(wire, path):
    await append(wire, path, say())
    await append(wire, path, say(), headers=RETRY)
    assert len(await read(wire, path)) == 2


async def test_a_retry_after_somebody_else_has_written_is_not_taken_for_one(wire, api, path):
    await append(wire, path, say("ok"), headers=FIRST)
    await api.post(f"{native(path)}/messages", json={"role": "user", "content": "between"})
    await append(wire, path, say("ok"), headers=RETRY)
    assert len(await read(wire, path)) == 3


async def test_a_retry_whose_items_have_been_deleted_writes(wire, path):
    made = await append(wire, path, say("a"), say("b"), headers=FIRST)
    await wire.delete(f"{path}/{made[0]['id']}")
    await append(wire, path, say("a"), say("b"), headers=RETRY)
    assert len(await read(wire, path)) == 3


async def test_another_body_conversation_or_key_is_another_request(wire, tenant, path):
    await append(wire, path, say("ok"), headers=FIRST)
    elsewhere = f"/conversations/{await start(wire)}/items"
    key = await lifecycle.issue_key(tenant.slug, "Another", ["read", "write"], by=TESTER)

    await append(wire, elsewhere, say("ok"), headers=RETRY)
    assert len(await read(wire, path)) == 1
    another = {**RETRY, "Authorization": f"Bearer {key.text}"}
    await append(wire, path, say("ok"), headers=another)
    assert len(await read(wire, path)) == 2
    await append(wire, path, say("OK"), headers=RETRY)
    assert len(await read(wire, path)) == 3
    assert len(await read(wire, elsewhere)) == 1


async def test_a_retry_that_comes_late_is_a_new_request(wire, tenant, path):
    await append(wire, path, say("ok"), headers=FIRST)
    table = AnsweredRequest.metadata.tables["answered_requests"]
    async with write_session(tenant.ref) as session:
        key = find_id("conv", path.split("/")[2])
        await session.execute(
            update(table)
            .where(table.c.conversation_id == key)
            .values(created_at=table.c.created_at - timedelta(seconds=61))
        )
    await append(wire, path, say("ok"), headers=RETRY)
    assert len(await read(wire, path)) == 2


async def test_conversations_are_never_taken_for_retries(wire):
    body = {"items": [say("ok")]}
    answers = [await wire.post("/conversations", json=body, headers=RETRY) for _ in range(3)]
    assert len({answer.json()["id"] for answer in answers}) == 3


async def test_a_retry_waits_for_the_attempt_that_is_under_way(wire, tenant, path):
    key = find_id("conv", path.split("/")[2])
    async with write_session(tenant.ref) as session:
        await session.execute(
            update(CONVERSATIONS).where(CONVERSATIONS.c.id == key).values(title="held")
        )
        first = asyncio.create_task(append(wire, path, say("ok"), headers=FIRST))
        await asyncio.sleep(0.2)
        retry = asyncio.create_task(append(wire, path, say("ok"), headers=RETRY))
        await asyncio.sleep(0.2)
        assert not first.done()
        assert not retry.done()

    assert await first == await retry == await read(wire, path)


async def test_a_conversation_has_one_record_of_its_writes_and_no_content(wire, tenant, path):
    for number in range(3):
        await append(wire, path, say(f"secret {number}"), headers=FIRST)
    key = find_id("conv", path.split("/")[2])
    async with read_session(tenant.ref) as session:
        query = text("SELECT body FROM answered_requests WHERE conversation_id = :key")
        rows = (await session.execute(query, {"key": key})).all()
    (newest,) = await read(wire, path, order="desc", limit=1)
    assert rows == [(find_id("msg", newest["id"]).bytes,)]
