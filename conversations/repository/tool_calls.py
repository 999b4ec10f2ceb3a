"""Tool calls."""

from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_

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
from tenants.db.unit_of_work import ReadSession
from tenants.ids import show_id


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
    return [_show_placed_call(row) for row in rows if row.id is not None]


async def find_tool_call(
    session: ReadSession, conversation_id: UUID, call_id: str
) -> tuple[schemas.PlacedToolCall, tuple[str | None, list[Any] | None]] | None:
    """A tool call by its provider's id, and the text and content of its output message."""
    output = MESSAGES.alias("output")
    query = (
        select(
            *CALL_COLUMNS,
            MESSAGES.c.seq,
            output.c.text.label("output_text"),
            output.c.content.label("output_content"),
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
    return _show_placed_call(row), (row.output_text, row.output_content)


def _show_placed_call(row: Any) -> schemas.PlacedToolCall:
    output = row.output_message_id
    return {
        "id": show_id(CALL_PREFIX, row.id),
        "call_id": row.call_id,
        "name": row.name,
        "arguments": row.arguments,
        "status": row.status,
        "error": row.error,
        "output_message_id": show_id(MESSAGE_PREFIX, output) if output is not None else None,
        "message_id": show_id(MESSAGE_PREFIX, row.message_id),
        "seq": row.seq,
        "index": row.index,
    }
