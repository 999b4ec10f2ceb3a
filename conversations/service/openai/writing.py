"""From items to the rows of an append."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conversations import errors, schemas
from conversations.models import MESSAGE_STATUSES, ROLES
from conversations.schemas.openai import FOREIGN_ROLES
from conversations.service.batch import Batch, build_batch
from conversations.service.openai.content import split_content
from tenants.errors import ApplicationError
from tenants.strict_json import parse_json

# Whose an item is that names no role; those that end in `output` are a tool's.
_ROLE_OF = {"mcp_approval_response": "user", "additional_tools": "developer"}


@dataclass
class Calls:
    """The tool calls that a batch may answer or collide with.

    taken: every `call_id` that the conversation has. open: those that wait for an output.
    """

    taken: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)


def build_items(items: Sequence[dict[str, Any]], calls: Calls) -> Batch:
    """Rows for an append, one message for each item.

    A call whose `call_id` is taken, or an output of a call that isn't open, is kept as any other
    type is: what is a tool call to the log stays consistent, and the wire keeps what it was sent.
    """
    drafts = [_draft(item, calls) for item in items]
    batch = build_batch([message for message, _, _ in drafts])
    more_of_calls = {}
    for row, (_, more, more_of_call) in zip(batch["messages"], drafts, strict=True):
        row |= more
        more_of_calls[row["id"]] = more_of_call
    for call in batch["calls"]:
        call |= more_of_calls[call["message_id"]]
    return batch


def item_kind(item: Mapping[str, Any]) -> str:
    kind: str = item.get("type") or "message"
    return kind


Draft = tuple[schemas.NewMessage, dict[str, Any], dict[str, Any]]


def _draft(item: dict[str, Any], calls: Calls) -> Draft:
    """The message, and what its row and that of its tool call have besides."""
    kind, status = item_kind(item), item.get("status")
    common = {
        "kind": "message",
        "status": status if status in MESSAGE_STATUSES else "completed",
        "external_id": None,
        "extra": None,
    }
    if kind == "message":
        message, more = _draft_message(item)
    elif kind == "function_call" and (call := _read_call(item)) and call.call_id not in calls.taken:
        calls.taken.add(call.call_id)
        calls.open.add(call.call_id)
        extra = _without(item, "id", "type", "call_id", "name")
        message = _new("assistant", tool_calls=[call])
        return message, common, {"external_id": item.get("id"), "extra": extra}
    elif kind == "function_call_output" and _closes(item, calls):
        calls.open.remove(item["call_id"])
        message, more = _draft_output(item)
    else:
        role = item.get("role", _ROLE_OF.get(kind, "tool" if kind.endswith("output") else None))
        message = _new(role if role in ROLES else "assistant")
        more = {"kind": kind, "extra": _without(item, "id")}
    return message, {**common, **more, "external_id": item.get("id")}, {}


def _draft_message(item: dict[str, Any]) -> tuple[schemas.NewMessage, dict[str, Any]]:
    text, content, rests = split_content(item["content"])
    extra = _without(item, "id", "type", "role", "content")
    role = FOREIGN_ROLES.get(item["role"])
    if role is not None:
        extra["role"] = item["role"]
    if rests is not None:
        extra["content"] = rests
    return _new(role or item["role"]), {"text": text, "content": content, "extra": extra}


def _draft_output(item: dict[str, Any]) -> tuple[schemas.NewMessage, dict[str, Any]]:
    text, content, rests = split_content(item["output"])
    extra = _without(item, "id", "type", "call_id", "output")
    if rests is not None:
        extra["output"] = rests
    message = _new("tool", call_id=item["call_id"])
    return message, {"text": text, "content": content, "extra": extra}


def _closes(item: dict[str, Any], calls: Calls) -> bool:
    """Whether it is an output of an open call, with content that the log can hold."""
    output = item.get("output")
    parts = [] if isinstance(output, str) else output
    readable = isinstance(parts, list) and all(
        isinstance(part, dict) and isinstance(part.get("type"), str) for part in parts
    )
    return readable and isinstance(item.get("call_id"), str) and item["call_id"] in calls.open


def _read_call(item: dict[str, Any]) -> schemas.NewToolCall | None:
    """The tool call in an item, None if it is none that the log could hold.

    Its arguments are empty where they are no JSON object: a model may have written anything.
    """
    arguments = item.get("arguments")
    if not isinstance(arguments, str):
        return None
    try:
        parsed = parse_json(arguments.encode())
    except ApplicationError:
        parsed = None
    try:
        return schemas.NewToolCall(
            call_id=item.get("call_id"),  # type: ignore[arg-type]  # Checked by doing it.
            name=item.get("name"),  # type: ignore[arg-type]
            arguments=parsed if isinstance(parsed, dict) else {},
        )
    except ValueError:
        return None


def _new(role: Any, **values: Any) -> schemas.NewMessage:
    # Unchecked: an item may be what no native message is.
    return schemas.NewMessage.model_construct(role=role, **values)


def _without(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in names}


def check_ids(items: Sequence[dict[str, Any]], taken: Iterable[str | None]) -> None:
    """Raises ExternalIdTaken (409) for an id that the conversation has, or that comes twice."""
    taken = {each for each in taken if each is not None}
    for item in items:
        item_id = item.get("id")
        if item_id in taken:
            raise errors.ExternalIdTaken(f"The conversation has an item `{item_id}` already.")
        if item_id is not None:
            taken.add(item_id)
