"""Imports of what other services write."""

import orjson
import pytest

from tenants.testing import API, connect
from tests.conversations.test_imports import JSON, NO_COUNT, counts, imported, load
from tests.conversations.test_router import log_of, read


@pytest.fixture
async def api(application, empty_tenant):
    """A client of a tenant that has no conversation yet."""
    url = f"http://localhost{API}"
    async with connect(application, base_url=url, tenant=empty_tenant) as client:
        yield client


async def only(api):
    (found,) = (await read(api, "/conversations"))["data"]
    return found, await log_of(api, found, limit=100)


# OpenAI's chat format


def chat(*messages, **more):
    return {"messages": list(messages), **more}


def tool_call(name, call_id="call_1", arguments='{"a": 1}'):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


async def test_a_line_of_openai_chat_becomes_a_conversation(api):
    line = chat(
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Is it"}, {"type": "text", "text": "raining?"}],
        },
        {"role": "assistant", "content": None, "tool_calls": [tool_call("weather")]},
        {"role": "tool", "tool_call_id": "call_1", "content": "12 °C"},
        {"role": "assistant", "content": "No.", "weight": 1},
        {"role": "user", "content": "OK"},
        model="example-1",
        user="ann",
        metadata={"set": "train"},
    )

    report = await load(api, [line], "openai-chat", user_id="ignored", agent_id="support")

    found, messages = await only(api)
    assert report["skipped_lines"] == []
    assert report["complete"] is None
    assert (found["user_id"], found["agent_id"]) == ("ann", "support")
    assert found["metadata"] == {"set": "train"}
    assert (found["last_seq"], found["preview"]) == (6, "OK")
    assert [each["role"] for each in messages] == [each["role"] for each in line["messages"]]
    assert messages[1]["content"] == line["messages"][1]["content"]
    (call,) = messages[2]["tool_calls"]
    assert (call["name"], call["arguments"], call["status"]) == ("weather", {"a": 1}, "succeeded")
    assert call["output_message_id"] == messages[3]["id"]
    assert messages[4]["model"] == "example-1"
    assert messages[3]["model"] is None


async def test_the_same_lines_are_the_same_conversations_however_they_are_written(api):
    first = chat({"role": "user", "content": "one"})
    second = {"messages": [{"content": "two", "role": "user"}]}
    await load(api, [first, second], "openai-chat")

    turned = orjson.dumps(
        [chat({"role": "user", "content": "two"}), first], option=orjson.OPT_INDENT_2
    )
    report = await load(api, turned, "openai-chat", headers=JSON)

    assert counts(report, "conversations") == (0, 2)
    assert counts(report, "messages") == (0, 2)
    assert len((await read(api, "/conversations"))["data"]) == 2


async def test_a_conversation_with_an_id_goes_on_when_it_has_grown(api):
    messages = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    await load(api, [chat(messages[0], id="c7")], "openai-chat")

    report = await load(api, [chat(*messages, id="c7")], "openai-chat")

    assert (counts(report, "conversations"), counts(report, "messages")) == ((0, 1), (1, 1))
    assert [each["content"] for each in (await only(api))[1]] == ["one", "two"]


async def test_parts_and_arguments_of_other_kinds_are_kept_as_they_came(api):
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    line = chat(
        {"role": "user", "content": [sound, image, {"type": "text", "text": "?"}]},
        {"role": "assistant", "tool_calls": [tool_call("n", arguments="{broken")]},
        {"role": "assistant", "refusal": "I can't."},
    )
    await load(api, [line], "openai-chat")

    found, messages = await only(api)
    records = [
        orjson.loads(each)
        for each in (await api.get(f"/conversations/{found['id']}/export")).content.splitlines()
    ]
    assert messages[0]["content"] == [
        {"type": "json", "value": sound},
        {"type": "image", "url": "https://example.com/a.png"},
        {"type": "text", "text": "?"},
    ]
    assert records[2]["text"] == "?"
    assert records[3]["tool_calls"][0]["arguments"] == {}
    assert records[3]["tool_calls"][0]["extra"] == {"openai-chat": {"arguments": "{broken"}}
    assert messages[2]["content"] == "I can't."


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ([], "object"),
        ({}, "messages"),
        (chat(), "messages"),
        (chat("hi"), "message 1"),
        (chat({"role": "function", "name": "f", "content": "x"}), "role"),
        (chat({"role": "user"}), "neither"),
        (chat({"role": "user", "content": 5}), "content"),
        (chat({"role": "user", "content": ["x"]}), "part"),
        (chat({"role": "user", "content": "x" * 1_000_001}), "characters"),
        (chat({"role": "tool", "content": "x"}), "tool_call_id"),
        (chat({"role": "tool", "content": "x", "tool_call_id": "nowhere"}), "isn't there"),
        (chat({"role": "user", "content": "x", "tool_calls": [tool_call("n")]}), "assistant"),
        (chat({"role": "assistant", "tool_calls": [{"id": "1"}]}), "function"),
        (chat({"role": "assistant", "tool_calls": [tool_call("n", "with space")]}), "id"),
        (chat({"role": "assistant", "tool_calls": [tool_call("n"), tool_call("n")]}), "twice"),
        (chat({"role": "assistant", "tool_calls": "x"}), "list"),
        (chat({"role": "user", "content": "x"}, metadata=[1]), "metadata"),
        (chat({"role": "user", "content": "x"}, user=5), "user"),
    ],
)
async def test_a_line_that_can_not_be_kept_whole_stays_out_with_its_reason(api, line, reason):
    report = await load(api, [line, chat({"role": "user", "content": "fine"})], "openai-chat")

    assert [each["line"] for each in report["skipped_lines"]] == [1]
    assert reason in report["skipped_lines"][0]["reason"]
    assert counts(report, "conversations") == (1, 0)


# ChatGPT


def node(name, parent, role="user", text="text", **more):
    content = {"content_type": "text", "parts": [text]}
    message = {"id": name, "author": {"role": role}, "content": content, "create_time": 1.0, **more}
    return {name: {"id": name, "parent": parent, "children": [], "message": message}}


def chatgpt(*nodes, name="c-1", current=None, **more):
    mapping = {"root": {"id": "root", "parent": None, "children": [], "message": None}}
    for each in nodes:
        mapping |= each
    current = current or list(mapping)[-1]
    base = {"title": "Rain", "create_time": 1_700_000_000.25, "update_time": 1_700_000_100}
    return {**base, "conversation_id": name, "mapping": mapping, "current_node": current, **more}


async def load_chatgpt(api, *conversations, **query):
    return await load(api, orjson.dumps(list(conversations)), "chatgpt", headers=JSON, **query)


async def test_the_path_to_the_current_node_is_what_is_imported(api):
    conversation = chatgpt(
        node("sys", "root", "system", ""),
        node("q", "sys", text="Is it raining?", create_time=1_700_000_001),
        node("old", "q", "assistant", "Maybe.", create_time=None),
        node("new", "q", "assistant", "No.", metadata={"model_slug": "m-1"}, create_time=None),
        node("then", "new", text="Thanks", status="in_progress"),
    )

    report = await load_chatgpt(api, conversation, user_id="ann")

    found, messages = await imported(api, "ann")
    assert (report["skipped"], report["lines"]) == (0, 1)
    assert (found["title"], found["status"]) == ("Rain", "active")
    assert found["metadata"] == {"chatgpt_id": "c-1"}
    assert found["created_at"] == "2023-11-14T22:13:20.250000Z"
    assert [each["content"] for each in messages] == ["Is it raining?", "No.", "Thanks"]
    assert messages[1]["model"] == "m-1"
    assert messages[1]["created_at"] == messages[0]["created_at"] == "2023-11-14T22:13:21Z"
    # Its place and not its time says where a message stands.
    assert messages[2]["created_at"] == "1970-01-01T00:00:01Z"
    assert messages[2]["status"] == "incomplete"


async def test_importing_again_adds_nothing_and_a_grown_conversation_goes_on(api):
    nodes = [node("a", "root"), node("b", "a", "assistant")]
    await load_chatgpt(api, chatgpt(*nodes))

    again = await load_chatgpt(api, chatgpt(*nodes))
    grown = await load_chatgpt(api, chatgpt(*nodes, node("c", "b")))
    elsewhere = await load_chatgpt(
        api, chatgpt(*nodes, node("d", "a", "assistant"), node("e", "d"))
    )

    assert (counts(again, "messages"), again["skipped"]) == ((0, 2), 0)
    assert counts(grown, "messages") == (1, 2)
    assert counts(elsewhere, "messages") == (0, 1)
    assert "position 2" in elsewhere["skipped_lines"][0]["reason"]
    assert len((await only(api))[1]) == 3


async def test_tools_are_paired_with_what_called_them(api):
    conversation = chatgpt(
        node("q", "root"),
        node("f", "q", "tool", "a file", author={"role": "tool", "name": "myfiles_browser"}),
        node("call", "f", "assistant", "print(1)", recipient="python"),
        node("out", "call", "tool", "1", author={"role": "tool", "name": "python"}),
        node("more", "out", "tool", "2", author={"role": "tool", "name": "python"}),
        node("json", "more", "assistant", '{"q": "x"}', recipient="browser"),
        node("found", "json", "tool", "y", author={"role": "tool", "name": "browser"}),
        node("end", "found", "assistant", "Done.", recipient="all"),
    )

    report = await load_chatgpt(api, conversation)

    _, messages = await only(api)
    assert report["skipped"] == 0
    assert [each["role"] for each in messages] == [
        *("user", "system", "assistant", "tool", "system", "assistant", "tool", "assistant")
    ]
    calls = [each["tool_calls"][0] for each in messages if each["tool_calls"]]
    assert [(each["name"], each["arguments"]) for each in calls] == [
        ("python", {"input": "print(1)"}),
        ("browser", {"q": "x"}),
    ]
    assert [each["output_message_id"] for each in calls] == [messages[3]["id"], messages[6]["id"]]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ({"content_type": "text", "parts": ["a", "", "b"]}, "a\nb"),
        ({"content_type": "code", "language": "python", "text": "x = 1"}, "x = 1"),
        ({"content_type": "tether_browsing_display", "result": "r", "summary": None}, "r"),
        ({"content_type": "reasoning_recap", "content": "Thought"}, "Thought"),
        (
            {"content_type": "multimodal_text", "parts": [{"asset_pointer": "file:1"}, "see"]},
            [
                {"type": "json", "value": {"asset_pointer": "file:1"}},
                {"type": "text", "text": "see"},
            ],
        ),
        (
            {"content_type": "thoughts", "thoughts": [{"summary": "s"}]},
            [
                {
                    "type": "json",
                    "value": {"content_type": "thoughts", "thoughts": [{"summary": "s"}]},
                }
            ],
        ),
    ],
)
async def test_contents_of_every_type_are_kept(api, content, kept):
    await load_chatgpt(api, chatgpt(node("a", "root", content=content)))

    assert [each["content"] for each in (await only(api))[1]] == [kept]


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        ("x", "mapping"),
        ({"mapping": []}, "mapping"),
        (chatgpt(node("a", "root"), name=None), "conversation_id"),
        (chatgpt(node("a", "root"), name="a/b c"), "conversation_id"),
        (chatgpt(node("a", "gone")), "broken"),
        (chatgpt(node("a", "b"), node("b", "a")), "broken"),
        (chatgpt(node("a", "root"), current="gone"), "broken"),
        ({**chatgpt(node("a", "root")), "current_node": None}, "current_node"),
        ({**chatgpt(node("a", "root")), "current_node": ["a"]}, "broken"),
        (chatgpt(node("a", "root", text="")), "no messages"),
        (chatgpt(node("a", "root", "god")), "author"),
        (chatgpt(node("a", "root", author=None)), "author"),
        (chatgpt(node("a", "root"), node("b", "a", id="a")), "twice"),
    ],
)
async def test_what_is_no_conversation_stays_out_with_its_reason(api, conversation, reason):
    report = await load_chatgpt(api, conversation, chatgpt(node("a", "root"), name="fine"))

    assert [each["line"] for each in report["skipped_lines"]] == [1]
    assert reason in report["skipped_lines"][0]["reason"]
    assert counts(report, "conversations") == (1, 0)


async def test_odd_times_and_titles_are_passed_over(api):
    odd = {"create_time": -5, "update_time": "today", "title": "x" * 501}
    report = await load_chatgpt(
        api,
        chatgpt(node("a", "root", create_time=1e300), **odd),
        chatgpt(node("a", "root", create_time=True), name="c-2", title=None, is_archived=True),
    )

    assert report["skipped"] == 0
    found = (await read(api, "/conversations"))["data"]
    assert {each["title"] for each in found} == {"x" * 500, None}
    assert {each["status"] for each in found} == {"active", "archived"}
    assert report["summaries"] == NO_COUNT
