"""Erasing for good, a batch at a time. What is erased has been claimed: nothing is added to it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, delete, func, select

from conversations.statements import (
    ANSWERED_REQUESTS,
    ATTACHMENTS,
    CALLS,
    CONVERSATIONS,
    FEEDBACK,
    MESSAGES,
    SUMMARIES,
)
from tenants.db.unit_of_work import ReadSession, WriteSession


async def erase_messages(
    session: WriteSession, conversation_id: UUID, limit: int
) -> dict[str, int]:
    """Remove the first `limit` messages with their tool calls and feedback. Returns the counts."""
    batch = (
        select(MESSAGES.c.id)
        .where(MESSAGES.c.conversation_id == conversation_id)
        .order_by(MESSAGES.c.seq)
        .limit(limit)
        .cte("batch")
    )
    removed = {
        "tool_calls": _delete(CALLS, CALLS.c.message_id.in_(select(batch.c.id))),
        "feedback": _delete(FEEDBACK, FEEDBACK.c.message_id.in_(select(batch.c.id))),
        "messages": _delete(MESSAGES, MESSAGES.c.id.in_(select(batch.c.id))),
    }
    return await _count(session, removed)


async def erase_conversation(session: WriteSession, conversation_id: UUID) -> dict[str, int]:
    """Remove a conversation that has no messages and attachments any more. Returns the counts."""
    removed = {
        "summaries": _delete(SUMMARIES, SUMMARIES.c.conversation_id == conversation_id),
        "answers": _delete(
            ANSWERED_REQUESTS, ANSWERED_REQUESTS.c.conversation_id == conversation_id
        ),
        "conversations": _delete(CONVERSATIONS, CONVERSATIONS.c.id == conversation_id),
    }
    return await _count(session, removed)


async def erase_feedback_of(session: WriteSession, author: str, limit: int) -> dict[str, int]:
    """Remove up to `limit` of what an author thinks of messages. Returns the count."""
    batch = (
        select(FEEDBACK.c.id)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == FEEDBACK.c.conversation_id)
        .where(FEEDBACK.c.author == author, ~CONVERSATIONS.c.legal_hold)
        .limit(limit)
    )
    return await _count(session, {"feedback": _delete(FEEDBACK, FEEDBACK.c.id.in_(batch))})


async def list_files_in(
    session: ReadSession, conversation_id: UUID, limit: int
) -> list[tuple[UUID, str]]:
    """Id and name in the storage of up to `limit` of a conversation's attachments."""
    return await _list_files(session, ATTACHMENTS.c.conversation_id == conversation_id, limit)


async def list_files_of(session: ReadSession, user_id: str, limit: int) -> list[tuple[UUID, str]]:
    """The same of a user's attachments, those in conversations under legal hold excepted."""
    held = select(CONVERSATIONS.c.legal_hold).where(
        CONVERSATIONS.c.id == ATTACHMENTS.c.conversation_id
    )
    is_free = func.coalesce(held.scalar_subquery(), False).is_(False)
    return await _list_files(session, (ATTACHMENTS.c.user_id == user_id) & is_free, limit)


async def erase_attachments(session: WriteSession, ids: Sequence[UUID]) -> dict[str, int]:
    """Remove attachments whose bytes are gone. Returns the counts."""
    wanted = bindparam("wanted", list(ids), type_=ARRAY(Uuid))
    gone = (
        delete(ATTACHMENTS)
        .where(ATTACHMENTS.c.id == func.any(wanted))
        .returning(ATTACHMENTS.c.size)
        .cte("gone")
    )
    query = select(func.count(), func.coalesce(func.sum(gone.c.size), 0)).select_from(gone)
    count, size = (await session.execute(query)).one()
    return {"attachments": count, "attachment_bytes": int(size)}


async def _list_files(session: ReadSession, which: Any, limit: int) -> list[tuple[UUID, str]]:
    query = select(ATTACHMENTS.c.id, ATTACHMENTS.c.storage_name).where(which).limit(limit)
    return [(row.id, row.storage_name) for row in await session.execute(query)]


def _delete(table: Any, which: Any) -> Any:
    return (
        delete(table).where(which).returning(table.primary_key.columns[0]).cte(f"gone_{table.name}")
    )


async def _count(session: WriteSession, removed: dict[str, Any]) -> dict[str, int]:
    """Run all of it in one statement. Returns how many rows each part has removed."""
    counts = [
        select(func.count()).select_from(part).scalar_subquery().label(name)
        for name, part in removed.items()
    ]
    row = (await session.execute(select(*counts))).one()
    return dict(row._mapping)
