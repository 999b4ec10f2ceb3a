"""Tool calls."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import or_, select, tuple_, update

from conversations import schemas
from conversations.schemas import CALL_PREFIX, MESSAGE_PREFIX
from conversations.statements import (
    CALL_COLUMNS,
    CALL_IS_KEPT,
    CALLS,
    CONVERSATIONS,
    IS_KEPT,
    IS_OPEN,
    MESSAGES,
    in_conversation,
)
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import show_id


class FoundCall(NamedTuple):
    """A tool call, its output message's text and content, and its conversation's status."""

    call: schemas.PlacedToolCall
    output_text: str | None
    output_content: list[Any] | None
    conversation_status: str


async def list_tool_calls(
    session: ReadSession,
    conversation_id: UUID,
    *,
    open_only: bool,
    after: tuple[int, int],
    limit: int,
) -> list[schemas.PlacedToolCall] | None:
    """Up to `limit` tool calls beyond a position of message and index, in the log's order.

    Returns None if there is no such conversation.
    """
    position = tuple_(MESSAGES.c.seq, CALLS.c.index)
    page = (
        select(*CALL_COLUMNS, MESSAGES.c.seq)
        .join(MESSAGES, MESSAGES.c.id == CALLS.c.message_id)
        .where(CALLS.c.conversation_id == conversation_id, CALL_IS_KEPT, position > after)
        .order_by(*position.clauses)
        .limit(limit)
    )
    if open_only:
        page = page.where(IS_OPEN)
    rows = (await session.execute(in_conversation(page, conversation_id, "seq", "index"))).all()
    if not rows:
        return None
    return [show_placed_call(row) for row in rows if row.id is not None]


async def find_tool_call(
    session: ReadSession, conversation_id: UUID, call_id: str
) -> FoundCall | None:
    """A tool call by its provider's id, unless it or its conversation is unknown or deleted."""
    output = MESSAGES.alias("output")
    query = (
        select(
            *CALL_COLUMNS,
            MESSAGES.c.seq,
            output.c.text.label("output_text"),
            output.c.content.label("output_content"),
            CONVERSATIONS.c.status.label("conversation_status"),
        )
        .join(MESSAGES, MESSAGES.c.id == CALLS.c.message_id)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == CALLS.c.conversation_id)
        .outerjoin(output, output.c.id == CALLS.c.output_message_id)
        .where(
            CALLS.c.conversation_id == conversation_id,
            CALLS.c.call_id == call_id,
            CALL_IS_KEPT,
            IS_KEPT,
        )
    )
    row = (await session.execute(query)).first()
    if row is None:
        return None
    return FoundCall(
        show_placed_call(row), row.output_text, row.output_content, row.conversation_status
    )


async def start_call(
    session: WriteSession,
    conversation_id: UUID,
    call_id: str,
    *,
    allowed: Collection[str],
    now: datetime,
) -> schemas.PlacedToolCall | None:
    """Begin another attempt; as `change_call`."""
    changes = {"status": "running", "attempts": CALLS.c.attempts + 1}
    return await change_call(session, conversation_id, call_id, changes, allowed=allowed, now=now)


async def change_call(
    session: WriteSession,
    conversation_id: UUID,
    call_id: str,
    changes: Mapping[str, Any],
    *,
    allowed: Collection[str],
    now: datetime,
) -> schemas.PlacedToolCall | None:
    """Change a tool call whose status is one of `allowed` and whose deadline lies ahead.

    None, and nothing is changed, if there is no such call in an active conversation.
    """
    statement = (
        update(CALLS)
        .where(
            CALLS.c.conversation_id == conversation_id,
            CALLS.c.call_id == call_id,
            CALLS.c.status.in_(allowed),
            or_(CALLS.c.deadline.is_(None), CALLS.c.deadline > now),
            CALL_IS_KEPT,
            CALLS.c.message_id == MESSAGES.c.id,
            CALLS.c.conversation_id == CONVERSATIONS.c.id,
            CONVERSATIONS.c.status == "active",
            IS_KEPT,
        )
        .values(updated_at=now, **changes)
        .returning(*CALL_COLUMNS, MESSAGES.c.seq)
    )
    row = (await session.execute(statement)).first()
    return show_placed_call(row) if row is not None else None


def show_placed_call(row: Any) -> schemas.PlacedToolCall:
    output = row.output_message_id
    return {
        "id": show_id(CALL_PREFIX, row.id),
        "call_id": row.call_id,
        "name": row.name,
        "arguments": row.arguments,
        "status": row.status,
        "error": row.error,
        "attempts": row.attempts,
        "deadline": row.deadline,
        "decided_by": row.decided_by,
        "decided_at": row.decided_at,
        "reason": row.reason,
        "output_message_id": show_id(MESSAGE_PREFIX, output) if output is not None else None,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "message_id": show_id(MESSAGE_PREFIX, row.message_id),
        "seq": row.seq,
        "index": row.index,
    }
