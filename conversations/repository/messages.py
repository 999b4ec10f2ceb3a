"""Messages, with their tool calls."""

from typing import Any
from uuid import UUID

import orjson

from conversations import schemas
from conversations.schemas import CONVERSATION_PREFIX, MESSAGE_PREFIX
from conversations.statements import (
    message_statement,
    page_statement,
    repeats_statement,
)
from tenants.db.unit_of_work import ReadSession
from tenants.ids import show_id


async def find_repeats(
    session: ReadSession, conversation_id: UUID, external_ids: list[str]
) -> dict[str, schemas.Message | None]:
    """The messages that have these ids, by them; None for one that is hidden."""
    rows = await session.fetch(
        repeats_statement(), conversation_id=conversation_id, external_ids=external_ids
    )
    return {
        row["external_id"]: {
            **show_message(row),
            # Not as the JSON that goes out unread: they are compared.
            "tool_calls": orjson.loads(row["tool_calls"] or "[]"),
        }
        if row["deleted_at"] is None
        else None
        for row in rows
    }


async def list_messages(
    session: ReadSession, conversation_id: UUID, *, descending: bool, after: int, limit: int
) -> list[schemas.Message] | None:
    """Up to `limit` messages beyond a position, with their tool calls.

    Returns None if there is no such conversation.
    """
    rows = await session.fetch(
        page_statement(descending), conversation_id=conversation_id, after=after, limit=limit
    )
    if not rows:
        return None
    # A conversation without messages there still gives its one, empty, row.
    return [show_message(row) for row in rows if row["id"] is not None]


async def find_message(
    session: ReadSession, conversation_id: UUID, message_id: UUID
) -> schemas.Message | None:
    """The message with its tool calls, unless it or its conversation is unknown or deleted."""
    rows = await session.fetch(
        message_statement(), conversation_id=conversation_id, message_id=message_id
    )
    return show_message(rows[0]) if rows else None


def show_message(row: Any) -> schemas.Message:
    # The calls are JSON already, and go into the answer as they are.
    calls: Any = orjson.Fragment(row["tool_calls"]) if row["tool_calls"] else []
    message: schemas.Message = {
        "id": show_id(MESSAGE_PREFIX, row["id"]),
        "conversation_id": show_id(CONVERSATION_PREFIX, row["conversation_id"]),
        "seq": row["seq"],
        "role": row["role"],
        "kind": row["kind"],
        "status": row["status"],
        "content": row["text"] if row["content"] is None else row["content"],
        "call_id": row["call_id"],
        "external_id": row["external_id"],
        "model": row["model"],
        "token_count": row["token_count"],
        "usage": schemas.show_usage(row),
        "cost": schemas.show_cost(row["cost"]),
        "tool_calls": calls,
        "created_at": row["created_at"],
    }
    if row["synthetic"]:
        message["synthetic"] = True
    return message
