"""Rows as the lines of our own format; `schemas.records` reads them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from conversations.schemas import (
    ATTACHMENT_PREFIX,
    CALL_PREFIX,
    CONVERSATION_PREFIX,
    FEEDBACK_PREFIX,
    FORMAT_NAME,
    FORMAT_VERSION,
    MESSAGE_PREFIX,
    SUMMARY_PREFIX,
    show_cost,
    show_usage,
)
from tenants.ids import show_id

Row = Mapping[str, Any]


def write_line(record: Mapping[str, Any]) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def header() -> bytes:
    return write_line(
        {
            "type": "header",
            "format": FORMAT_NAME,
            "version": FORMAT_VERSION,
            "exported_at": datetime.now(UTC),
        }
    )


def end(counts: Mapping[str, int]) -> bytes:
    return write_line({"type": "end", "counts": counts})


def conversation(row: Row) -> bytes:
    kept = ("user_id", "agent_id", "title", "language", "status", "metadata")
    return write_line(
        {
            "type": "conversation",
            "id": show_id(CONVERSATION_PREFIX, row["id"]),
            **{name: row[name] for name in kept},
            "parent_id": _shown(CONVERSATION_PREFIX, row["parent_id"]),
            "fork_seq": row["fork_seq"],
            "read_seq": row["read_seq"],
            "expires_at": row["retain_until"],
            "legal_hold": row["legal_hold"],
            "last_seq": row["last_seq"],
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "last_activity_at": row["last_activity_at"],
        }
    )


def message(row: Row, calls: Sequence[Row]) -> bytes:
    """A hidden message is a line too, with nothing but its place: positions have no gaps."""
    record: dict[str, Any] = {
        "type": "message",
        "conversation_id": show_id(CONVERSATION_PREFIX, row["conversation_id"]),
        "id": show_id(MESSAGE_PREFIX, row["id"]),
        "seq": row["seq"],
        "role": row["role"],
    }
    if row["deleted_at"] is not None:
        record["deleted_at"] = row["deleted_at"]
        if calls:
            record["tool_calls"] = [_hidden_call(call, row["deleted_at"]) for call in calls]
        return write_line(record)
    kept = ("language", "call_id", "model", "token_count")
    return write_line(
        {
            **record,
            "kind": row["kind"],
            "status": row["status"],
            "content": row["text"] if row["content"] is None else row["content"],
            "text": None if row["content"] is None else row["text"],
            **{name: row[name] for name in kept},
            "usage": show_usage(row),
            "cost": show_cost(row["cost"]),
            "external_id": row["external_id"],
            "extra": _extra(row),
            "tool_calls": [_call(each) for each in calls],
            "created_at": row["created_at"],
        }
    )


def summary(row: Row) -> bytes:
    kept = ("from_seq", "to_seq", "text", "model", "token_count", "created_at")
    return _belonging("summary", SUMMARY_PREFIX, row, {name: row[name] for name in kept})


def feedback(row: Row) -> bytes:
    kept = ("seq", "author", "rating", "comment", "created_at", "updated_at")
    message_id = show_id(MESSAGE_PREFIX, row["message_id"])
    fields = {"message_id": message_id, **{name: row[name] for name in kept}}
    return _belonging("feedback", FEEDBACK_PREFIX, row, fields)


def attachment(row: Row) -> bytes:
    kept = ("user_id", "name", "media_type", "size", "created_at")
    fields = {**{name: row[name] for name in kept}, "sha256": row["sha256"].hex()}
    return _belonging("attachment", ATTACHMENT_PREFIX, row, fields)


def _extra(row: Row) -> dict[str, Any] | None:
    """Without a content that was deleted alone, which lies there from then on."""
    extra: dict[str, Any] = row["extra"] or {}
    # Items of other types have no content, and any field.
    if row["kind"] == "message" and row["text"] is None and row["content"] is None:
        extra = {name: value for name, value in extra.items() if name != "hidden"}
    return extra or None


def _call(row: Row) -> dict[str, Any]:
    if row["deleted_at"] is not None:
        return _hidden_call(row, row["deleted_at"])
    kept = (
        "call_id",
        "name",
        "arguments",
        "status",
        "error",
        "attempts",
        "deadline",
        "decided_by",
        "decided_at",
        "reason",
        "external_id",
        "extra",
        "created_at",
        "updated_at",
    )
    return {
        "id": show_id(CALL_PREFIX, row["id"]),
        **{name: row[name] for name in kept},
        "output_message_id": _shown(MESSAGE_PREFIX, row["output_message_id"]),
    }


def _hidden_call(row: Row, deleted_at: datetime) -> dict[str, Any]:
    """What a message that answers the call still needs of it."""
    return {
        "id": show_id(CALL_PREFIX, row["id"]),
        "call_id": row["call_id"],
        "status": row["status"],
        "deleted_at": row["deleted_at"] or deleted_at,
    }


def _belonging(kind: str, prefix: str, row: Row, fields: Mapping[str, Any]) -> bytes:
    return write_line(
        {
            "type": kind,
            "conversation_id": _shown(CONVERSATION_PREFIX, row["conversation_id"]),
            "id": show_id(prefix, row["id"]),
            **fields,
        }
    )


def _shown(prefix: str, key: UUID | None) -> str | None:
    return None if key is None else show_id(prefix, key)
