"""Conversations."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import orjson
from sqlalchemy import func, insert, or_, select, update

from conversations import schemas
from conversations.schemas import CONVERSATION_PREFIX, show_cost_sum
from conversations.statements import (
    CONVERSATION_COLUMNS,
    CONVERSATIONS,
    IS_EXPIRED,
    IS_KEPT,
    change_of_reindex_seq,
    conversation_statement,
    reindex_statement,
    sidebar_statement,
)
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import show_id


async def insert_conversation(session: WriteSession, values: Mapping[str, Any]) -> None:
    """values: by column name, all that have no default in the table."""
    await session.execute(insert(CONVERSATIONS), dict(values))


async def find_conversation(
    session: ReadSession, conversation_id: UUID
) -> schemas.Conversation | None:
    """The conversation, unless it is unknown or deleted."""
    rows = await session.fetch(conversation_statement(), conversation_id=conversation_id)
    return _show_conversation(rows[0]) if rows else None


async def list_conversations(
    session: ReadSession,
    filters: Mapping[str, Any],
    *,
    descending: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[schemas.Conversation]:
    """Up to `limit` conversations by last activity.

    filters: `user_id`, `agent_id`, `status`, `metadata` (contained), `active_after` and
    `active_before` (both excluded), where not None; `unread`, where true.
    """
    given = {name: value for name, value in filters.items() if value not in (None, False)}
    values: dict[str, Any] = {**given, "limit": limit}
    if after is not None:
        values["after_time"], values["after_id"] = after
    statement = sidebar_statement(
        frozenset(given), descending=descending, goes_on=after is not None
    )
    # The metadata is JSON already, and goes into the answer as it is.
    return [
        {**_show_conversation(row), "metadata": cast(Any, orjson.Fragment(row["metadata"]))}
        for row in await session.fetch(statement, **values)
    ]


async def update_conversation(
    session: WriteSession, conversation_id: UUID, changes: Mapping[str, Any]
) -> schemas.Conversation | None:
    """Change a conversation that isn't deleted. Its version goes up.

    With another language, its messages are to be indexed anew. None if there is no such
    conversation, or if `read_seq` would be beyond its last message.
    """
    statement = (
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.id == conversation_id, IS_KEPT)
        .values(version=CONVERSATIONS.c.version + 1, **changes)
        .returning(*CONVERSATION_COLUMNS)
    )
    if "language" in changes:
        statement = statement.values(reindex_seq=change_of_reindex_seq(changes["language"]))
    if "read_seq" in changes:
        statement = statement.where(CONVERSATIONS.c.last_seq >= changes["read_seq"])
    row = (await session.execute(statement)).mappings().first()
    return _show_conversation(row) if row is not None else None


async def reindex_messages(
    session: WriteSession, conversation_id: UUID | None, positions: int
) -> int | None:
    """Index so many messages anew, of a conversation or, with None, of one that nobody is at.

    Returns how many were changed, None if there is nothing to do.
    """
    target = {} if conversation_id is None else {"target": conversation_id}
    statement = reindex_statement(anywhere=conversation_id is None)
    rows = await session.fetch(statement, positions=positions, **target)
    return rows[0]["changed"] if rows else None


async def restore_conversation(
    session: WriteSession, conversation_id: UUID, *, now: datetime, deleted_after: datetime
) -> schemas.Conversation | None:
    """Show a conversation again that was deleted after a moment, or is under legal hold.

    None if there is no such one, or its retention is over: its erasure may have begun.
    """
    c = CONVERSATIONS.c
    statement = (
        update(CONVERSATIONS)
        .where(
            c.id == conversation_id,
            c.deleted_at.is_not(None),
            or_(c.deleted_at > deleted_after, c.legal_hold),
            or_(c.retain_until.is_(None), ~IS_EXPIRED),
        )
        .values(deleted_at=None, version=c.version + 1, updated_at=now)
        .returning(*CONVERSATION_COLUMNS)
    )
    row = (await session.execute(statement)).mappings().first()
    return _show_conversation(row) if row is not None else None


async def count_usage(session: ReadSession) -> dict[str, int]:
    """The number of conversations and of their messages, deleted ones excepted."""
    query = select(
        func.count().label("conversations"),
        func.coalesce(func.sum(CONVERSATIONS.c.message_count), 0).label("messages"),
    ).where(IS_KEPT)
    row = (await session.execute(query)).one()
    return {"conversations": row.conversations, "messages": int(row.messages)}


def _show_conversation(row: Any) -> schemas.Conversation:
    return {
        "id": show_id(CONVERSATION_PREFIX, row["id"]),
        "user_id": row["user_id"],
        "agent_id": row["agent_id"],
        "title": row["title"],
        "language": row["language"],
        "status": row["status"],
        "metadata": row["metadata"],
        "expires_at": row["retain_until"],
        "legal_hold": row["legal_hold"],
        "parent_id": show_id(CONVERSATION_PREFIX, row["parent_id"]) if row["parent_id"] else None,
        "fork_seq": row["fork_seq"],
        "preview": row["preview"],
        "last_seq": row["last_seq"],
        "read_seq": row["read_seq"],
        "unread_count": max(row["last_seq"] - row["read_seq"], 0),
        "version": row["version"],
        "message_count": row["message_count"],
        "tool_call_count": row["tool_call_count"],
        "token_count": row["token_count"],
        "usage": {
            "input_tokens": row["input_tokens"],
            "output_tokens": row["output_tokens"],
            "cached_tokens": row["cached_tokens"],
            "reasoning_tokens": row["reasoning_tokens"],
        },
        "cost": show_cost_sum(row["cost"]),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "last_activity_at": row["last_activity_at"],
    }
