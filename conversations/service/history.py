"""Histories that a model provider accepts."""

from collections.abc import Sequence

from conversations import schemas


def make_valid(messages: Sequence[schemas.Message]) -> list[schemas.Message]:
    """Each call directly followed by its outputs, none without the other.

    An output whose call isn't among the messages is left out; a call without an output gets one
    that says so.
    """
    outputs = {
        message["call_id"]: message for message in reversed(messages) if message["role"] == "tool"
    }
    valid: list[schemas.Message] = []
    for message in messages:
        if message["role"] == "tool":
            continue
        valid.append(message)
        for call in message["tool_calls"]:
            valid.append(outputs.get(call["call_id"]) or _missing_output(message, call))
    return valid


def _missing_output(message: schemas.Message, call: schemas.ToolCall) -> schemas.Message:
    return {
        **message,
        "role": "tool",
        "content": call["error"] or f"No output: the call is {call['status']}.",
        "call_id": call["call_id"],
        "token_count": None,
        "tool_calls": [],
    }
