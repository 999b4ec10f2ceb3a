"""Messages that are there already, known by their `external_id`."""

from collections.abc import Mapping, Sequence
from typing import Any

from conversations import errors, schemas
from conversations.service.batch import dump_content
from conversations.service.keys import given_call_id

# What makes two messages the same, besides their tool calls.
_COMPARED = ("role", "content", "call_id", "model", "token_count", "usage", "cost")
_CALL_COMPARED = ("call_id", "name", "arguments")


def pick_new(
    new: Sequence[schemas.NewMessage], kept: Mapping[str, schemas.Message | None]
) -> list[schemas.NewMessage]:
    """Those that are to be written: neither kept nor a repetition of an earlier one of them.

    kept: by external id; None for one that has been deleted, which nothing repeats.
    Raises ExternalIdTaken (409) if one differs from that which has its id.
    """
    fresh: list[schemas.NewMessage] = []
    # What has each id: a message of the conversation, or one of these.
    known: dict[str, Any] = {**kept}
    for message in new:
        if message.external_id is None or message.external_id not in known:
            fresh.append(message)
            if message.external_id is not None:
                known[message.external_id] = _show(message)
            continue
        earlier = known[message.external_id]
        if earlier is None or not _is_same(_narrow(_show(message)), _narrow(earlier)):
            raise errors.ExternalIdTaken
    return fresh


def _show(new: schemas.NewMessage) -> dict[str, Any]:
    """A message as it would be shown, as far as it says so itself."""
    return {
        "role": new.role,
        "content": dump_content(new.content),
        "call_id": new.call_id,
        "model": new.model,
        "token_count": new.token_count,
        "usage": schemas.show_usage(new.usage.model_dump()) if new.usage is not None else None,
        "cost": schemas.show_cost(new.cost),
        "tool_calls": [call.model_dump() for call in new.tool_calls],
    }


def _narrow(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What is compared."""
    calls = [{name: call[name] for name in _CALL_COMPARED} for call in shown["tool_calls"]]
    compared = {name: shown[name] for name in _COMPARED}
    return {**compared, "call_id": given_call_id(shown["call_id"]), "tool_calls": calls}


def _is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; 1 and 1.0 are, 1 and true aren't."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
