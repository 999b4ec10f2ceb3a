"""What providers take: held against the types of the official SDK, and against their rules."""

import json
import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam
from openai.types.responses import ResponseInputItemParam
from pydantic import TypeAdapter

from conversations.errors import BudgetTooSmall
from conversations.repository import History
from conversations.schemas import ContextQuery, Message, Summary
from conversations.service.context import make_context
from conversations.service.formats import render_anthropic, render_chat, render_responses
from conversations.service.tokens import count_message

CHAT = TypeAdapter(list[ChatCompletionMessageParam])
RESPONSES = TypeAdapter(list[ResponseInputItemParam])
CONVERSATION = f"conv_{'0' * 32}"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGE_FIELDS = dict.fromkeys(Message.__annotations__)


def message(role, content=None, seq=1, call_id=None, calls=(), **more):
    return MESSAGE_FIELDS | {
        "id": f"msg_{seq:032x}",
        "conversation_id": CONVERSATION,
        "seq": seq,
        "role": role,
        "status": "completed",
        "content": content,
        "call_id": call_id,
        "tool_calls": list(calls),
        "created_at": NOW,
        **more,
    }


def call(call_id, name="look_up", status="succeeded", **arguments):
    return {
        "id": f"call_{'0' * 32}",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": status,
        "error": None,
        "output_message_id": None,
    }


TALK = [
    message("system", "Be kind."),
    message("user", "Where is this?"),
    message("assistant", "I'll look.", calls=[call("a", at="Oslo"), call("b", status="failed")]),
    message("tool", "found", call_id="a"),
    message("tool", "lost", call_id="b"),
    message("user", "And?"),
    message("assistant", "In Oslo."),
]
IMAGE = {"type": "image", "url": "https://example.com/a.png", "detail": "low"}
PDF = {"type": "file", "url": "https://example.com/a.pdf", "name": "a.pdf"}
SHEET = {"type": "file", "url": "https://example.com/a.csv", "media_type": "text/csv"}
ATTACHED = {"type": "image", "attachment_id": f"att_{'0' * 32}"}
JSON = {"type": "json", "value": {"ä": [1, None]}}
DATA_IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
DATA_FILE = {"type": "input_file", "file_url": "data:application/pdf;base64,AAAA"}
STRANGE = {"type": "hologram", "depth": 3}
SOUND = {"type": "input_audio", "input_audio": {"data": "A" * 3000, "format": "wav"}}
PARTS = [{"type": "text", "text": "See"}, IMAGE, PDF, SHEET, ATTACHED, JSON, STRANGE]


# Chat Completions


def test_chat():
    assert render_chat(TALK) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Where is this?"},
        {
            "role": "assistant",
            "content": "I'll look.",
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "look_up", "arguments": '{"at":"Oslo"}'},
                },
                {
                    "id": "b",
                    "type": "function",
                    "function": {"name": "look_up", "arguments": "{}"},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "found"},
        {"role": "tool", "tool_call_id": "b", "content": "lost"},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": "In Oslo."},
    ]


def test_chat_shows_a_users_images_and_mentions_what_it_cant_show():
    (shown,) = render_chat([message("user", PARTS)])

    assert shown["content"] == [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "text", "text": "[file a.pdf https://example.com/a.pdf]"},
        {"type": "text", "text": "[file https://example.com/a.csv]"},
        {"type": "text", "text": f"[image att_{'0' * 32}]"},
        {"type": "text", "text": '{"ä":[1,null]}'},
        {"type": "text", "text": '{"type":"hologram","depth":3}'},
    ]


def test_chat_has_text_alone_from_a_tool_and_an_assistant():
    talk = [
        message("assistant", [IMAGE], calls=[call("a")]),
        message("tool", [{"type": "text", "text": "See"}, IMAGE], call_id="a"),
    ]

    asked, found = render_chat(talk)

    assert asked["content"] == "[image https://example.com/a.png]"
    assert found["content"] == "See\n[image https://example.com/a.png]"


def test_chat_takes_bytes_that_are_in_the_url():
    (shown,) = render_chat([message("user", [DATA_IMAGE, DATA_FILE])])

    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    file = {"file_data": "data:application/pdf;base64,AAAA", "filename": "file"}
    assert shown["content"] == [image, {"type": "file", "file": file}]


def test_chat_leaves_out_what_is_empty_but_no_output():
    talk = [message("user", ""), message("assistant", calls=[call("a")])]
    talk += [message("tool", "", call_id="a"), message("assistant", "")]

    asked, found = render_chat(talk)

    assert (asked["content"], found["content"]) == (None, "")


# Responses


def test_responses():
    assert render_responses(TALK) == [
        {"type": "message", "role": "system", "content": "Be kind."},
        {"type": "message", "role": "user", "content": "Where is this?"},
        {"type": "message", "role": "assistant", "content": "I'll look."},
        {
            "type": "function_call",
            "call_id": "a",
            "name": "look_up",
            "arguments": '{"at":"Oslo"}',
        },
        {"type": "function_call", "call_id": "b", "name": "look_up", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "found"},
        {"type": "function_call_output", "call_id": "b", "output": "lost"},
        {"type": "message", "role": "user", "content": "And?"},
        {"type": "message", "role": "assistant", "content": "In Oslo."},
    ]


def test_responses_show_images_and_files_also_of_a_tool():
    asked, _, found = render_responses(
        [
            message("user", PARTS),
            message("assistant", calls=[call("a")]),
            message("tool", [DATA_IMAGE, DATA_FILE], call_id="a"),
        ]
    )

    assert asked["content"] == [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "file_url": "https://example.com/a.csv"},
        {"type": "input_text", "text": f"[image att_{'0' * 32}]"},
        {"type": "input_text", "text": '{"ä":[1,null]}'},
        {"type": "input_text", "text": '{"type":"hologram","depth":3}'},
    ]
    file = {"file_data": "data:application/pdf;base64,AAAA", "filename": "file"}
    assert found["output"] == [
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
        {"type": "input_file", **file},
    ]


# Anthropic


def test_anthropic():
    turns, system = render_anthropic(TALK)

    assert system == [{"type": "text", "text": "Be kind."}]
    assert turns == [
        {"role": "user", "content": [{"type": "text", "text": "Where is this?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I'll look."},
                {"type": "tool_use", "id": "a", "name": "look_up", "input": {"at": "Oslo"}},
                {"type": "tool_use", "id": "b", "name": "look_up", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [{"type": "text", "text": "found"}],
                },
                {
                    "type": "tool_result",
                    "tool_use_id": "b",
                    "content": [{"type": "text", "text": "lost"}],
                    "is_error": True,
                },
                {"type": "text", "text": "And?"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "In Oslo."}]},
    ]


def test_anthropic_reads_images_and_pdfs_by_their_url():
    plain = {"type": "image", "url": "http://example.com/a.png"}
    ((turn,), _) = render_anthropic([message("user", [*PARTS, plain, DATA_IMAGE, DATA_FILE])])

    pdf = {"type": "url", "url": "https://example.com/a.pdf"}
    png = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    assert turn["content"] == [
        {"type": "text", "text": "See"},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "document", "source": pdf, "title": "a.pdf"},
        {"type": "text", "text": "[file https://example.com/a.csv]"},
        {"type": "text", "text": f"[image att_{'0' * 32}]"},
        {"type": "text", "text": '{"ä":[1,null]}'},
        {"type": "text", "text": '{"type":"hologram","depth":3}'},
        {"type": "text", "text": "[image http://example.com/a.png]"},
        {"type": "image", "source": png},
        {"type": "document", "source": png | {"media_type": "application/pdf"}},
    ]


def test_anthropic_gets_a_turn_of_the_user_first_and_no_blank_text():
    talk = [
        message("user", " \n"),
        message("assistant", "Welcome! \n"),
        message("assistant", "  "),
        message("assistant", "How can I help? \n"),
    ]

    turns, system = render_anthropic(talk)

    assert system == []
    assert turns == [
        {"role": "user", "content": [{"type": "text", "text": "[…]"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Welcome! \n"},
                {"type": "text", "text": "How can I help?"},
            ],
        },
    ]


@pytest.mark.parametrize("shape", [render_chat, render_responses, lambda m: render_anthropic(m)[0]])
def test_bytes_that_came_over_the_wire_are_passed_on_or_only_mentioned(shape):
    file = {"type": "input_file", "file_data": DATA_FILE["file_url"], "filename": "a.pdf"}
    whole = {"type": "input_file", "file_data": "AAAA", "filename": "b.pdf"}
    parts = [{"type": "json", "value": each} for each in (DATA_IMAGE, file, whole, SOUND)]

    (shown,) = shape([message("user", [*parts, SOUND])])

    image, pdf, *mentioned = shown["content"]
    assert ("png;base64,AAAA" in str(image)) or ("'data': 'AAAA'" in str(image))
    assert "a.pdf" in str(pdf)
    assert "AAAA" in str(pdf)
    assert [part["text"] for part in mentioned] == [
        "[file b.pdf]",
        "[input_audio]",
        "[input_audio]",
    ]


# Ids and names


@pytest.mark.parametrize("length", [40, 41, 64, 65, 255])
@pytest.mark.parametrize("letters", ["x", "x.y|z:"])
def test_ids_are_no_longer_than_each_provider_takes_and_still_match(letters, length):
    ours = (letters * 255)[:length]
    talk = [message("assistant", calls=[call(ours)]), message("tool", "x", call_id=ours)]

    chat, responses = render_chat(talk), render_responses(talk)
    _, asked, found = render_anthropic(talk)[0]
    ids = {
        40: (chat[0]["tool_calls"][0]["id"], chat[1]["tool_call_id"]),
        64: (responses[0]["call_id"], responses[1]["call_id"]),
    }

    for longest, (its, answered) in ids.items():
        assert its == answered
        assert len(its) <= longest
        assert (its == ours) is (length <= longest)
    (use,), (result,) = asked["content"], found["content"]
    assert use["id"] == result["tool_use_id"]
    assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", use["id"])
    assert (use["id"] == ours) is (letters == "x" and length <= 64)


def test_names_of_tools_have_the_letters_that_providers_take():
    talk = [message("assistant", calls=[call("a", name="wetter.für/" + "x" * 200)])]

    chat, responses = render_chat(talk), render_responses(talk)
    use = render_anthropic(talk)[0][1]["content"][0]

    assert chat[0]["tool_calls"][0]["function"]["name"] == "wetter_f_r_" + "x" * 53
    assert responses[0]["name"] == "wetter_f_r_" + "x" * 53
    assert use["name"] == "wetter_f_r_" + "x" * 117


# Whatever the history


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
parts = st.sampled_from(
    [IMAGE, PDF, SHEET, ATTACHED, JSON, DATA_IMAGE, DATA_FILE, STRANGE]
) | texts.map(lambda text: {"type": "text", "text": text})
contents = texts | st.lists(parts, min_size=1, max_size=4)
counts = st.none() | st.integers(0, 60)
statuses = st.sampled_from(["requested", "succeeded", "failed", "cancelled", "running"])


@st.composite
def histories(draw):
    """The end of a log in which outputs come at once, later, never, or of calls before it."""
    messages, open_calls = [], ["before"] if draw(st.booleans()) else []
    start = draw(st.integers(1, 50))
    for seq in range(start, start + draw(st.integers(0, 12))):
        role = draw(st.sampled_from(["system", "developer", "user", "assistant", "calls", "tool"]))
        common = {"seq": seq, "token_count": draw(counts)}
        if role == "tool" and open_calls:
            call_id = open_calls.pop(draw(st.integers(0, len(open_calls) - 1)))
            messages.append(message("tool", draw(contents), call_id=call_id, **common))
        elif role == "calls":
            size = draw(st.integers(1, 3))
            new = [call(f"{seq}.{index}", status=draw(statuses)) for index in range(size)]
            open_calls += [each["call_id"] for each in new]
            text = draw(st.none() | contents)
            messages.append(message("assistant", text, calls=new, **common))
        elif role != "tool":
            messages.append(message(role, draw(contents), **common))
    first = draw(st.integers(1, start))
    summaries = [
        Summary(
            id=f"sum_{UUID(int=number).hex}",
            conversation_id=CONVERSATION,
            from_seq=draw(st.integers(1, 30)),
            to_seq=draw(st.integers(30, 60)),
            text=draw(texts.filter(str.strip)),
            model=None,
            token_count=draw(counts),
            created_at=NOW,
        )
        for number in range(draw(st.integers(0, 3)))
    ]
    summaries.sort(key=lambda summary: -summary["to_seq"])
    return History(messages, start, first, summaries)


formats = st.sampled_from(["native", "openai-responses", "openai-chat", "anthropic-messages"])


def check_chat(request):
    messages = request["messages"]
    CHAT.validate_python(messages, strict=False)
    expected = []
    for each in messages:
        if each["role"] == "tool":
            assert each["tool_call_id"] == expected.pop(0)
            continue
        assert expected == []
        expected = [each["id"] for each in each.get("tool_calls", [])]
        assert each["content"] or expected
    assert expected == []


def check_responses(request):
    RESPONSES.validate_python(request["input"])
    asked, answered = [], []
    for item in request["input"]:
        if item["type"] == "function_call":
            assert json.loads(item["arguments"]) == {}
            asked.append(item["call_id"])
        elif item["type"] == "function_call_output":
            answered.append(item["call_id"])
        else:
            assert asked == answered
            assert item["content"]
    assert asked == answered
    assert len(set(asked)) == len(asked)


def check_anthropic(request):
    turns = request["messages"]
    assert [turn["role"] for turn in turns] == (["user", "assistant"] * len(turns))[: len(turns)]
    expected = []
    for turn in turns:
        kinds = [block["type"] for block in turn["content"]]
        assert kinds != []
        results = [b["tool_use_id"] for b in turn["content"] if b["type"] == "tool_result"]
        assert results == expected
        assert kinds[: len(results)] == ["tool_result"] * len(results)
        expected = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        assert kinds[len(kinds) - len(expected) :] == ["tool_use"] * len(expected)
    assert expected == []
    blocks = [block for turn in turns for block in turn["content"]]
    blocks += [
        b for block in blocks if block["type"] == "tool_result" for b in block.get("content", [])
    ]
    for block in blocks + request.get("system", []):
        assert block["type"] != "text" or block["text"].strip()
    if turns and turns[-1]["role"] == "assistant" and kinds[-1] != "tool_use":
        assert turns[-1]["content"][-1]["text"] == turns[-1]["content"][-1]["text"].rstrip()


def check_native(request):
    asked = [each["call_id"] for m in request["messages"] for each in m["tool_calls"]]
    answered = [m["call_id"] for m in request["messages"] if m["role"] == "tool"]
    assert asked == answered


CHECKS = {
    "native": check_native,
    "openai-chat": check_chat,
    "openai-responses": check_responses,
    "anthropic-messages": check_anthropic,
}


@settings(deadline=None)
@given(histories(), formats, st.integers(1, 400))
def test_every_context_pairs_calls_with_outputs_and_fits_its_budget(history, shape, budget):
    query = ContextQuery(max_tokens=budget, format=shape)
    try:
        context = make_context(CONVERSATION, history, query)
    except BudgetTooSmall:
        return

    assert context["token_count"] <= budget
    CHECKS[shape](context["request"])
    native = make_context(CONVERSATION, history, ContextQuery(max_tokens=budget))
    kept = native["request"]["messages"]
    instructing = [each for each in history.messages if each["role"] in ("system", "developer")]
    assert [each for each in kept if each["role"] in ("system", "developer")] == instructing
    if shape == "native":
        extra = context["token_count"] - sum(count_message(each)[0] for each in kept)
        assert extra >= 0 if context["summary"] else extra == 0
    if context["unsummarized"] or context["summary"]:
        assert context["truncated"]


@settings(deadline=None)
@given(histories(), st.integers(1, 300), st.integers(0, 100))
def test_a_larger_budget_keeps_no_less(history, budget, more):
    def begin(tokens):
        try:
            context = make_context(CONVERSATION, history, ContextQuery(max_tokens=tokens))
        except BudgetTooSmall:
            return 1000
        return 999 if context["from_seq"] is None else context["from_seq"]

    history = History(history.messages, history.start, history.first_seq, [])
    assert begin(budget + more) <= begin(budget)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("word" * 100, 100), ("漢字" * 50, 100), ("слово" * 20, 63), ("🙂" * 8, 11), ("", 0)],
)
def test_the_estimate_is_what_the_documentation_says(text, tokens):
    assert count_message(message("user", text)) == (tokens + 4, True)
