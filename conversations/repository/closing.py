"""Closing tool calls without a result: what is due, and how it is written."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from conversations import schemas
from conversations.repository.tool_calls import show_placed_call
from conversations.statements import (
    CALL_IS_KEPT,
    CALLS,
    CONVERSATIONS,
    IS_OPEN,
    close_statement,
    overdue_statement,
)
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.errors import TransactionConflict


async def close_calls(
    session: WriteSession,
    conversation_id: UUID,
    answers: Sequence[Mapping[str, Any]],
    *,
    allowed: Collection[str],
    active_only: bool,
    now: datetime,
    **changes: Any,
) -> list[schemas.PlacedToolCall]:
    """Give calls their last status, and append the output that says so: all of them or none.

    answers: rows with `position` from 1, `message_id`, `call_id`, `status` and `text`.
    allowed: the statuses that the calls may have. active_only: whether the conversation must be
    open to appends.
    changes: what else the calls get, by column name.
    Returns the calls, none if one may not be closed. Raises TransactionConflict (503) if one was
    changed at this very moment.
    """
    parameters = {
        "target": conversation_id,
        "answer_rows": list(answers),
        "added": len(answers),
        "allowed": list(allowed),
        "at": now,
        **{f"new_{name}": value for name, value in changes.items()},
    }
    statement = close_statement(*changes, active_only=active_only)
    rows = (await session.execute(statement, parameters)).all()
    closed = [show_placed_call(row) for row in rows if row.id is not None]
    if rows and len(closed) < len(answers):
        raise TransactionConflict
    return closed


async def list_overdue(
    session: ReadSession, now: datetime, after: tuple[datetime, UUID], limit: int
) -> list[tuple[datetime, UUID, UUID]]:
    """Deadline, id and conversation of open calls that are overdue, the longest overdue first.

    after: deadline and id of the last one that was listed before.
    """
    rows = await session.fetch(
        overdue_statement(), at=now, after_deadline=after[0], after_id=after[1], limit=limit
    )
    return [(row["deadline"], row["id"], row["conversation_id"]) for row in rows]


async def list_overdue_in(
    session: WriteSession, conversation_id: UUID, now: datetime, limit: int
) -> list[str]:
    """`call_id`s of open calls of a conversation that are overdue."""
    query = (
        select(CALLS.c.call_id)
        .where(
            CALLS.c.conversation_id == conversation_id,
            CALLS.c.deadline <= now,
            IS_OPEN,
            CALL_IS_KEPT,
        )
        .order_by(CALLS.c.deadline, CALLS.c.id)
        .limit(limit)
    )
    return list((await session.execute(query)).scalars())


async def lock_conversation(session: WriteSession, conversation_id: UUID) -> str | None:
    """Keep appends out until the transaction ends. Returns its status, None if there is none."""
    query = (
        select(CONVERSATIONS.c.status)
        .where(CONVERSATIONS.c.id == conversation_id)
        .with_for_update(key_share=True)
    )
    status: str | None = (await session.execute(query)).scalar()
    return status
