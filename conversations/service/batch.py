"""What an append is made of: rows, with outputs paired to calls."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

from conversations import errors, schemas
from tenants.ids import new_id


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
        parts = message.content if isinstance(message.content, list) else None
        row = {
            "id": new_id(),
            "position": position,
            "role": message.role,
            "content": [part.model_dump() for part in parts] if parts is not None else None,
            "text": "\n".join(part.text for part in parts)
            if parts is not None
            else message.content,
            "call_id": message.call_id,
            "model": message.model,
            "token_count": message.token_count,
        }
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
            }
            batch["calls"].append(open_calls[new_call.call_id])
    return batch


def _deadline(call: schemas.NewToolCall) -> datetime | None:
    if call.timeout_seconds is None:
        return call.deadline
    return datetime.now(UTC) + timedelta(seconds=call.timeout_seconds)
