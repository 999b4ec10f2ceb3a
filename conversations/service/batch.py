"""What an append is made of: rows, with outputs paired to calls."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypedDict

from conversations import errors, schemas
from tenants.ids import new_id

_NO_USAGE = dict.fromkeys(schemas.TOKEN_KINDS)


class Batch(TypedDict):
    """Rows for `repository.append_messages`."""

    messages: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    answers: list[dict[str, Any]]


def build_batch(new: Sequence[schemas.NewMessage]) -> Batch:
    """Give ids to messages and calls, and pair the outputs with calls of the same batch.

    Raises ToolCallCompleted (409) if two messages answer the same call, ToolCallAwaitsApproval
    (409) if one answers a call of the batch that has yet to be approved.
    """
    batch: Batch = {"messages": [], "calls": [], "answers": []}
    open_calls: dict[str, dict[str, Any]] = {}
    answered: set[str] = set()
    for position, message in enumerate(new, start=1):
        row = _row(message, position)
        batch["messages"].append(row)
        if message.call_id is not None:
            if message.call_id in answered:
                raise errors.ToolCallCompleted
            answered.add(message.call_id)
            if call := open_calls.get(message.call_id):
                if call["status"] == "awaiting_approval":
                    raise errors.ToolCallAwaitsApproval
                call.update(status="succeeded", output_message_id=row["id"])
            else:
                batch["answers"].append(
                    {
                        "call_id": message.call_id,
                        "message_id": row["id"],
                        "status": "succeeded",
                        "error": None,
                    }
                )
        for index, new_call in enumerate(message.tool_calls):
            open_calls[new_call.call_id] = {
                "id": new_id(),
                "message_id": row["id"],
                "index": index,
                "call_id": new_call.call_id,
                "name": new_call.name,
                "arguments": new_call.arguments,
                "status": "awaiting_approval" if new_call.requires_approval else "requested",
                "deadline": _deadline(new_call),
                "output_message_id": None,
                "extra": {"requires_approval": True} if new_call.requires_approval else None,
            }
            batch["calls"].append(open_calls[new_call.call_id])
    return batch


def sum_up(batch: Batch) -> dict[str, int | Decimal]:
    """What a batch adds to each sum of its conversation."""
    messages = batch["messages"]
    return {
        **{
            kind: sum([row[kind] or 0 for row in messages])
            for kind in ("token_count", *schemas.TOKEN_KINDS)
        },
        "tool_call_count": len(batch["calls"]),
        "cost": sum([Decimal(row["cost"]) for row in messages if row["cost"]], Decimal(0)),
    }


def list_attachments(batch: Batch) -> set[str]:
    """The attachments that a batch's messages name."""
    return {
        part["attachment_id"]
        for row in batch["messages"]
        for part in row["content"] or ()
        if part["type"] in ("image", "file") and "attachment_id" in part
    }


def dump_content(content: str | Sequence[schemas.Part] | None) -> Any:
    """Content as it is shown and kept: what was left out, or null, is left out."""
    if content is None or isinstance(content, str):
        return content
    return [
        # The value of a part of JSON is the one that may be null.
        {name: value for name, value in part if value is not None or name == "value"}
        for part in content
    ]


def _row(message: schemas.NewMessage, position: int) -> dict[str, Any]:
    content, usage = message.content, message.usage
    is_text = content is None or isinstance(content, str)
    return {
        "id": new_id(),
        "position": position,
        "role": message.role,
        "content": None if is_text else dump_content(content),
        "text": content if is_text else _read_text(content),
        "call_id": message.call_id,
        "external_id": message.external_id,
        "model": message.model,
        "token_count": message.token_count,
        **(usage.model_dump() if usage is not None else _NO_USAGE),
        "cost": schemas.show_cost(message.cost),
    }


def _read_text(parts: Any) -> str | None:
    """What can be read of content in parts, None if there is nothing to read."""
    texts = [part.text for part in parts if isinstance(part, schemas.TextPart)]
    return "\n".join(texts) if texts else None


def _deadline(call: schemas.NewToolCall) -> datetime | None:
    if call.timeout_seconds is None:
        return call.deadline
    return datetime.now(UTC) + timedelta(seconds=call.timeout_seconds)
