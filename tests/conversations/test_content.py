"""Content in parts, usage and cost: what is taken, what is refused, what comes back."""

import pytest
from pydantic import ValidationError

from conversations.models import LANGUAGES
from conversations.schemas import NewMessage, base
from conversations.settings import get_settings
from tests.conversations.test_router import append, calling, head_of, log_of, start, user

SETTINGS = get_settings()
ATTACHMENT = "att_" + "0123456789abcdef" * 2
URL = "https://example.com/a.png"


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file: its tests keep to conversations of their own."""
    return await make_tenant()


PARTS = {
    "text": {"type": "text", "text": "Look"},
    "image": {"type": "image", "url": URL},
    "image with detail": {"type": "image", "url": URL, "detail": "high"},
    "attached image": {"type": "image", "attachment_id": ATTACHMENT},
    "file": {"type": "file", "url": "HTTP://example.com/ä?q=1#x"},
    "attached file": {
        "type": "file",
        "attachment_id": ATTACHMENT,
        "name": "Reise — Plan.pdf",
        "media_type": "text/plain; charset=utf-8",
    },
    "json": {"type": "json", "value": {"a": [1, 2.5, None, True, {"type": "text"}], "": {}}},
    "null": {"type": "json", "value": None},
    "number": {"type": "json", "value": 0},
}


async def upload(api):
    form = {"file": ("a.txt", b"Oslo", "text/plain")}
    return (await api.post("/attachments", files=form)).json()["id"]


async def test_an_attachment_that_is_not_there_is_refused(api):
    conversation = await start(api)
    named = user([{"type": "image", "attachment_id": ATTACHMENT}])

    answer = await api.post(f"/conversations/{conversation['id']}/messages", json=named)

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_attachment")
    assert await log_of(api, conversation) == []


async def test_an_output_names_no_attachment_that_is_not_there(api):
    conversation = await start(api, messages=[calling("a")])
    output = [{"type": "file", "attachment_id": ATTACHMENT}]
    path = f"/conversations/{conversation['id']}/tool-calls/a/result"

    answer = await api.post(path, json={"output": output})

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_attachment")
    assert len(await log_of(api, conversation)) == 1


async def test_a_repeat_gets_the_original_though_its_attachment_has_gone(api):
    conversation = await start(api)
    attachment = await upload(api)
    named = user([{"type": "image", "attachment_id": attachment}], external_id="x")
    first = await append(api, conversation, named)
    assert (await api.delete(f"/attachments/{attachment}")).status_code == 204

    assert await append(api, conversation, named) == first
    new = {**named, "external_id": "y"}
    assert await append(api, conversation, new, status=422) == "unknown_attachment"


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
async def test_a_part_of_every_type_comes_back_as_it_was_sent(api, part):
    conversation = await start(api)
    if "attachment_id" in part:
        part = {**part, "attachment_id": await upload(api)}

    (message,) = await append(api, conversation, user([part]))

    assert message["content"] == [part]
    assert await log_of(api, conversation) == [message]


async def test_what_is_null_in_a_part_is_as_if_it_had_been_left_out(api):
    conversation = await start(api)
    part = {"type": "image", "url": URL, "attachment_id": None, "detail": None}

    (message,) = await append(api, conversation, user([part]))

    assert message["content"] == [{"type": "image", "url": URL}]
    assert await log_of(api, conversation) == [message]


async def test_parts_keep_their_order_and_the_text_of_the_readable_ones_is_the_preview(api):
    conversation = await start(api, messages=[user("before")])
    order = [PARTS["json"], PARTS["text"], PARTS["image"], {"type": "text", "text": "here"}]

    (message,) = await append(api, conversation, user(order))

    assert message["content"] == order
    assert (await head_of(api, conversation))["preview"] == "Look\nhere"
    await append(api, conversation, user([PARTS["image"]]))
    assert (await head_of(api, conversation))["preview"] == "Look\nhere"


async def test_an_output_may_have_parts_of_every_type_and_be_repeated(api):
    conversation = await start(api, messages=[calling("a")])
    path = f"/conversations/{conversation['id']}/tool-calls/a/result"
    parts = [part for part in PARTS.values() if "attachment_id" not in part]
    result = {"output": [*parts, {"type": "file", "attachment_id": await upload(api)}]}

    first, again = [await api.post(path, json=result) for _ in range(2)]

    assert (first.status_code, again.json()) == (200, first.json())
    assert (await log_of(api, conversation))[1]["content"] == result["output"]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (5, "content"),
        ({"type": "text", "text": "x"}, "content"),
        ([], "content"),
        (["x"], "content.0"),
        ([{"type": "video", "url": URL}], "content.0"),
        ([{"text": "x"}], "content.0"),
        ([{"type": "text"}], "content.0.text"),
        ([PARTS["text"], {"type": "text", "text": "x", "url": URL}], "content.1.url"),
        ([{"type": "image"}], "content.0"),
        ([{"type": "image", "url": URL, "attachment_id": ATTACHMENT}], "content.0"),
        ([{"type": "image", "url": URL, "detail": "best"}], "content.0.detail"),
        ([{"type": "image", "url": URL, "name": "x"}], "content.0.name"),
        ([{"type": "file", "url": URL, "name": ""}], "content.0.name"),
        ([{"type": "file", "url": URL, "name": "x" * 256}], "content.0.name"),
        ([{"type": "file", "url": URL, "media_type": "pdf"}], "content.0.media_type"),
        ([{"type": "json"}], "content.0.value"),
        ([{"type": "json", "value": 1, "text": "x"}], "content.0.text"),
    ],
)
async def test_content_of_another_shape_is_refused_and_named(api, content, field):
    conversation = await start(api)
    path = f"/conversations/{conversation['id']}/messages"

    one = await api.post(path, json=user(content))
    many = await api.post(path, json={"messages": [user(), user(content)]})

    assert (one.status_code, many.status_code) == (422, 422)
    assert [error["field"] for error in one.json()["errors"]] == [field]
    assert [error["field"] for error in many.json()["errors"]] == [f"messages.1.{field}"]
    assert await log_of(api, conversation) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/x",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://?q",
        "https://example.com/a b",
        "https://example.com/a\nb",
        "https://example.com/\x01",
        " https://example.com",
        "https://example.com\n",
        "https://example.com/" + "x" * SETTINGS.max_url_characters,
    ],
)
def test_only_links_of_the_web_are_taken(url):
    with pytest.raises(ValidationError):
        NewMessage(role="user", content=[{"type": "image", "url": url}])


@pytest.mark.parametrize("attachment_id", ["", "att_", "att_x", ATTACHMENT + "0", "msg" + "0" * 32])
def test_only_what_can_be_an_attachment_is_taken(attachment_id):
    with pytest.raises(ValidationError):
        NewMessage(role="user", content=[{"type": "file", "attachment_id": attachment_id}])


def test_parts_are_bounded_in_number_and_their_json_in_size():
    number, size = SETTINGS.max_content_parts, SETTINGS.max_part_json_bytes
    fitting = {"type": "json", "value": "x" * (size - 2)}

    assert len(NewMessage(role="user", content=[fitting] * number).content) == number
    with pytest.raises(ValidationError, match=f"at most {number}"):
        NewMessage(role="user", content=[fitting] * (number + 1))
    with pytest.raises(ValidationError, match=f"may have {size} bytes"):
        NewMessage(role="user", content=[{"type": "json", "value": "x" * (size - 1)}])


# Usage and cost


USAGE = {"input_tokens": 10, "output_tokens": 7, "cached_tokens": 4, "reasoning_tokens": 0}


async def test_usage_and_cost_are_kept_with_the_message_and_added_up(api):
    conversation = await start(api)
    nothing = dict.fromkeys(USAGE)

    first, second, third = await append(
        api,
        conversation,
        calling("a", "b", usage=USAGE, cost="0.1", token_count=3),
        calling("c", usage={"input_tokens": 1}, cost=0.2),
        user(usage={}),
    )

    assert (first["usage"], first["cost"]) == (USAGE, "0.1")
    assert (second["usage"], second["cost"]) == ({**nothing, "input_tokens": 1}, "0.2")
    assert (third["usage"], third["cost"], third["external_id"]) == (None, None, None)
    assert await log_of(api, conversation) == [first, second, third]
    head = await head_of(api, conversation)
    assert head["usage"] == {**USAGE, "input_tokens": 11}
    assert head["cost"] == "0.3"  # Not 0.30000000000000004.
    assert (head["tool_call_count"], head["token_count"], head["message_count"]) == (3, 3, 3)


async def test_a_new_conversation_has_sums_of_nothing(api):
    started = await start(api)

    assert started["usage"] == dict.fromkeys(USAGE, 0)
    assert (started["cost"], started["tool_call_count"]) == ("0", 0)
    assert (started["read_seq"], started["unread_count"]) == (0, 0)
    assert (started["language"], started["parent_id"], started["fork_seq"]) == (None, None, None)


async def test_sums_grow_from_append_to_append_and_are_exact(api):
    conversation = await start(api)
    for _ in range(10):
        await append(api, conversation, user(cost="0.0000000001"), user(cost="1234567.1"))

    assert (await head_of(api, conversation))["cost"] == "12345671.000000001"


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        ("0", "0"),
        ("0.0", "0"),
        ("00.50", "0.5"),
        ("9999999999.9999999999", "9999999999.9999999999"),
        ("100", "100"),
        (0, "0"),
        (-0.0, "0"),
        (7, "7"),
        (0.1, "0.1"),
        (0.0021, "0.0021"),
        (1e-10, "0.0000000001"),
        (1e9, "1000000000"),
        (123456.789012345, "123456.789012345"),
    ],
)
async def test_a_cost_is_the_decimal_that_was_written(api, cost, shown):
    conversation = await start(api)

    (message,) = await append(api, conversation, user(cost=cost))

    assert message["cost"] == shown
    assert await log_of(api, conversation) == [message]
    assert (await head_of(api, conversation))["cost"] == shown


@pytest.mark.parametrize(
    "cost",
    [
        *(
            "-1",
            "-0",
            "+1",
            "1.",
            ".1",
            "1e-3",
            "1,5",
            "",
            " 1",
            "1\n",
            "NaN",
            "Infinity",
            "x",
            "\u0661",
        ),
        *("0.00000000001", "10000000000", "1_000", "0x1"),
        *(-1, -0.5, 10**10, 1e10, 1e300, 1e-11, 5e-324, 0.12345678901234567, 2**63 - 1),
        *(True, [], {}, [1]),
    ],
)
async def test_what_is_no_such_decimal_is_refused(api, cost):
    conversation = await start(api)

    answer = await api.post(f"/conversations/{conversation['id']}/messages", json=user(cost=cost))

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["cost"]


async def test_costs_that_no_longer_fit_their_sum_are_refused(api):
    conversation = await start(api)
    await append(api, conversation, user(cost="9999999999"))

    assert await append(api, conversation, user(cost="1"), status=422) == "invalid_input"
    assert (await head_of(api, conversation))["cost"] == "9999999999"


@pytest.mark.parametrize(
    ("usage", "field"),
    [
        (5, "usage"),
        ({"input_tokens": -1}, "usage.input_tokens"),
        ({"output_tokens": 1.5}, "usage.output_tokens"),
        ({"cached_tokens": "1"}, "usage.cached_tokens"),
        ({"reasoning_tokens": 2**31}, "usage.reasoning_tokens"),
        ({"total_tokens": 1}, "usage.total_tokens"),
    ],
)
async def test_usage_of_another_shape_is_refused_and_named(api, usage, field):
    conversation = await start(api)

    answer = await api.post(f"/conversations/{conversation['id']}/messages", json=user(usage=usage))

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_the_languages_of_the_api_are_those_of_the_tables():
    assert set(base.Language.__args__) == set(LANGUAGES)
