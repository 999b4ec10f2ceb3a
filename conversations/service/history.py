"""Histories that a model's provider accepts, out of whatever a log holds."""

from collections import defaultdict
from collections.abc import Sequence

from conversations import schemas
from conversations.service.closing import NO_RESULT


def make_valid(messages: Sequence[schemas.Message]) -> list[schemas.Message]:
    """A history in which each tool call is followed by its output, and each output has its call.

    messages: in the log's order, the whole log or a part of it, with `tool_calls` as lists.
    Deleted ones are not among them.

    Providers want the outputs of a message's calls directly behind it, so one that came later moves
    up, to the place that the call has in its message; what is not an output keeps its order. A call
    without an output, because it is open or its output was deleted or lies outside the part, gets
    one that says so: `synthetic`, with the `id`, `seq` and time of the call's message. Left out are
    outputs without a call, second outputs of the same call, and messages with neither content nor
    calls, which is what deleted calls can leave behind. The messages given are not changed.
    """
    outputs: dict[str, list[schemas.Message]] = defaultdict(list)
    for message in messages:
        if message["role"] == "tool" and message["call_id"] is not None:
            outputs[message["call_id"]].append(message)
    history: list[schemas.Message] = []
    for message in messages:
        if message["role"] == "tool" or (message["content"] is None and not message["tool_calls"]):
            continue
        history.append(message)
        history += [
            _take_output(call, outputs[call["call_id"]]) or _make_output(message, call)
            for call in message["tool_calls"]
        ]
    return history


def _take_output(
    call: schemas.ToolCall, candidates: list[schemas.Message]
) -> schemas.Message | None:
    """The output that the call names, or else the first that names the call; used up by it."""
    for message in candidates:
        if message["id"] == call["output_message_id"]:
            candidates.remove(message)
            return message
    return candidates.pop(0) if candidates else None


def _make_output(message: schemas.Message, call: schemas.ToolCall) -> schemas.Message:
    return {
        **message,
        "role": "tool",
        "status": "completed",
        "content": NO_RESULT,
        "call_id": call["call_id"],
        "external_id": None,
        "model": None,
        "token_count": None,
        "usage": None,
        "cost": None,
        "tool_calls": [],
        "synthetic": True,
    }
