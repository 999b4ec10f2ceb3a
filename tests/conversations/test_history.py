"""Whatever a log holds, what a model reads of it is valid."""

import copy
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.service.history import make_valid
from tests.conversations.test_router import log_of, start

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NO_RESULT = "The tool call has no result."


def message(seq, role, content="x", call_id=None, calls=()):
    return {
        "id": f"msg_{seq}",
        "conversation_id": "conv_1",
        "seq": seq,
        "role": role,
        "status": "completed",
        "content": content,
        "call_id": call_id,
        "model": "m" if role == "assistant" else None,
        "token_count": 3,
        "tool_calls": [
            {"id": f"call_{name}", "call_id": name, "name": "n", "output_message_id": output}
            for name, output in calls
        ],
        "created_at": NOW,
    }


def asking(seq, *calls, content=None):
    """calls: ids, or pairs of an id and its output's."""
    pairs = [each if isinstance(each, tuple) else (each, None) for each in calls]
    return message(seq, "assistant", content, calls=pairs)


def output(seq, call_id, content="done"):
    return message(seq, "tool", content, call_id)


def brief(history):
    """What each message is: role and content, or the call that it answers."""
    return [
        f"{each['call_id']}: {each['content']}" if each["role"] == "tool" else each["role"]
        for each in history
    ]


def assert_valid(history):
    """As providers check it: behind an assistant's calls come their outputs, and nowhere else."""
    waiting = []
    for each in history:
        if each["role"] == "tool":
            assert each["call_id"] in waiting
            waiting.remove(each["call_id"])
        else:
            assert waiting == []
            assert each["content"] is not None or each["tool_calls"]
            waiting = [call["call_id"] for call in each["tool_calls"]]
    assert waiting == []


class TestRules:
    def test_a_valid_history_stays_as_it_is(self):
        history = [
            message(1, "system"),
            message(2, "user"),
            asking(3, ("a", "msg_4"), ("b", "msg_5")),
            output(4, "a"),
            output(5, "b"),
            message(6, "assistant"),
        ]

        assert make_valid(history) == history

    def test_nothing_is_nothing(self):
        assert make_valid([]) == []

    def test_an_open_call_gets_an_output_that_is_marked(self):
        asked = asking(2, "a")

        _, _, made, _ = make_valid([message(1, "user"), asked, message(3, "user")])

        assert made == {
            **output(2, "a", NO_RESULT),
            **dict.fromkeys(("external_id", "token_count", "usage", "cost")),
            "synthetic": True,
        }

    def test_of_parallel_calls_only_the_open_ones_do(self):
        history = make_valid([asking(1, "a", "b", "c"), output(2, "b"), message(3, "user")])

        assert brief(history) == [
            *("assistant", f"a: {NO_RESULT}", "b: done", f"c: {NO_RESULT}", "user")
        ]

    def test_outputs_stand_in_the_order_of_the_calls(self):
        history = make_valid([asking(1, "a", "b"), output(2, "b"), output(3, "a")])

        assert brief(history) == ["assistant", "a: done", "b: done"]

    def test_a_late_output_moves_up_to_its_call(self):
        late = [asking(1, "a"), message(2, "user"), asking(3, "b"), output(4, "b"), output(5, "a")]

        assert brief(make_valid(late)) == ["assistant", "a: done", "user", "assistant", "b: done"]

    def test_an_output_without_its_call_is_left_out(self):
        assert brief(make_valid([output(1, "gone"), message(2, "user"), output(3, "x")])) == [
            "user"
        ]

    def test_a_tool_message_that_names_no_call_is_left_out(self):
        assert make_valid([message(1, "tool")]) == []

    def test_an_output_before_its_call_goes_behind_it(self):
        assert brief(make_valid([output(1, "a"), asking(2, "a")])) == ["assistant", "a: done"]

    def test_of_two_outputs_the_one_that_the_call_names_stays(self):
        twice = [asking(1, ("a", "msg_3")), output(2, "a", "wrong"), output(3, "a", "right")]

        assert brief(make_valid(twice)) == ["assistant", "a: right"]

    def test_of_two_outputs_that_no_call_names_the_first_stays(self):
        twice = [asking(1, "a"), output(2, "a", "first"), output(3, "a", "second")]

        assert brief(make_valid(twice)) == ["assistant", "a: first"]

    def test_calls_of_the_same_id_share_their_outputs_out(self):
        again = [asking(1, "a"), output(2, "a", "one"), asking(3, "a"), output(4, "a", "two")]

        assert brief(make_valid(again)) == ["assistant", "a: one", "assistant", "a: two"]

    def test_a_part_of_a_log_is_valid_by_itself(self):
        log = [asking(1, "a"), output(2, "a"), asking(3, "b"), output(4, "b")]

        assert brief(make_valid(log[1:3])) == ["assistant", f"b: {NO_RESULT}"]

    def test_what_a_deleted_call_leaves_of_its_message_is_left_out_if_it_is_nothing(self):
        left = [asking(1), output(2, "a"), asking(3, content="Let me see."), message(4, "user", "")]

        assert [each["seq"] for each in make_valid(left)] == [3, 4]

    def test_what_is_given_is_not_changed(self):
        log = [asking(1, "a", "b"), output(2, "b"), output(3, "x")]
        before = copy.deepcopy(log)

        make_valid(log)

        assert log == before


NAMES = st.sampled_from("abcd")
ANY_MESSAGE = st.one_of(
    st.builds(lambda role: ("say", role), st.sampled_from(["system", "user", "assistant"])),
    st.builds(lambda names: ("ask", names), st.lists(NAMES, max_size=4, unique=True)),
    st.builds(lambda name: ("answer", name), NAMES),
)


@given(st.lists(ANY_MESSAGE, max_size=25))
def test_whatever_a_log_holds_the_history_is_valid(steps):
    log = [
        message(seq, what)
        if kind == "say"
        else asking(seq, *what)
        if kind == "ask"
        else output(seq, what)
        for seq, (kind, what) in enumerate(steps, start=1)
    ]

    history = make_valid(log)

    assert_valid(history)
    assert make_valid(history) == history
    # What was said stays, in its order.
    plain = [each["seq"] for each in history if each["role"] != "tool"]
    kept = [e["seq"] for e in log if e["role"] != "tool" and (e["content"] or e["tool_calls"])]
    assert plain == kept


@pytest.mark.parametrize("end", ["deny", "cancel", "open"])
async def test_what_the_api_shows_can_be_made_valid(api, end):
    asks = {
        "role": "assistant",
        "tool_calls": [{"call_id": "a", "name": "n", "requires_approval": True}],
    }
    conversation = await start(api, messages=[{"role": "user", "content": "Hi"}, asks])
    path = f"/conversations/{conversation['id']}/tool-calls/a"
    if end != "open":
        body = {"by": "x"} if end == "deny" else {}
        assert (await api.post(f"{path}/{end}", json=body)).status_code == 200

    log = await log_of(api, conversation)
    history = make_valid(log)

    assert_valid(history)
    assert history[-1]["synthetic"] is True
    assert (history == log) == (end != "open")
