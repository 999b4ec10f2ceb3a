"""Messages, with their tool calls."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ARRAY, Text, bindparam, exc, func, select

from conversations import errors, schemas
from conversations.models import CLOSED_CALL_STATUSES
from conversations.schemas import CONVERSATION_PREFIX, MESSAGE_PREFIX
from conversations.statements import (
    CALL_IS_KEPT,
    CALLS,
    TOTALS,
    append_statement,
    lock_statement,
    message_statement,
    page_statement,
    repeats_statement,
)
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import show_id

_TAKEN = {
    "tool_calls_conversation_id_call_id_key": errors.CallIdTaken,
    "messages_external_id_key": errors.ExternalIdTaken,
    "tool_calls_external_id_key": errors.ExternalIdTaken,
}


async def lock_head(session: WriteSession, conversation_id: UUID) -> int | None:
    """The position of the newest message, which stays so until the transaction ends.

    Returns None if there is no such conversation.
    """
    rows = await session.fetch(lock_statement(), target=conversation_id)
    return rows[0]["last_seq"] if rows else None


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


async def append_messages(
    session: WriteSession,
    conversation_id: UUID,
    messages: Sequence[Mapping[str, Any]],
    calls: Sequence[Mapping[str, Any]],
    answers: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
    preview: str | None,
    totals: Mapping[str, int | Decimal],
) -> int | None:
    """Append messages with their tool calls, and close the calls that they answer.

    One statement: it locks the conversation's row, takes the next positions from it, and
    inserts. So positions are contiguous however many append at once.
    messages, calls, answers: rows as `append_statement` declares them. now: the time of the append.
    preview: the newest text, None to keep the old one. totals: what they add to each of `TOTALS`.
    Returns the position before the first message, or None, having written nothing, if there is
    no active conversation. Raises CallIdTaken, ExternalIdTaken, ToolCallCompleted (409),
    UnknownToolCall (422).
    """
    parameters: dict[str, Any] = {
        "target": conversation_id,
        "added": len(messages),
        "at": now,
        "new_preview": preview,
        **{f"new_{name}": totals[name] for name in TOTALS},
        "message_rows": messages,
    }
    if calls:
        parameters["call_rows"] = calls
    if answers:
        parameters["answer_rows"] = answers
    try:
        rows = await session.fetch(append_statement(bool(calls), bool(answers)), **parameters)
    except exc.IntegrityError as error:
        taken = _TAKEN.get(_constraint(error) or "")
        if taken is None:
            raise
        raise taken from error
    if not rows:
        return None
    if answers and (rows[0]["answered"] or 0) < len(answers):
        await _raise_unanswerable(session, conversation_id, [row["call_id"] for row in answers])
    base: int = rows[0]["base"]
    return base


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


async def _raise_unanswerable(
    session: ReadSession, conversation_id: UUID, call_ids: list[str]
) -> None:
    """Raises ToolCallAwaitsApproval (409) if one of them does; else UnknownToolCall (422), or
    ToolCallCompleted (409) if the conversation has them all."""
    query = select(CALLS.c.status).where(
        CALLS.c.conversation_id == conversation_id,
        CALLS.c.call_id == func.any(bindparam("wanted", call_ids, type_=ARRAY(Text))),
        CALL_IS_KEPT,
    )
    statuses = list((await session.execute(query)).scalars())
    if "awaiting_approval" in statuses:
        raise errors.ToolCallAwaitsApproval
    # One that is open now came with this append, after the message that names it.
    known = sum(status in CLOSED_CALL_STATUSES for status in statuses)
    raise errors.ToolCallCompleted if known == len(call_ids) else errors.UnknownToolCall


def _constraint(error: exc.IntegrityError) -> str | None:
    cause = error.orig.__cause__ if error.orig is not None else None
    return getattr(cause, "constraint_name", None)


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
