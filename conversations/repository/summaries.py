"""Summaries."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import asc, delete, desc, exists, insert, literal, select, tuple_

from conversations import schemas
from conversations.schemas import CONVERSATION_PREFIX, SUMMARY_PREFIX
from conversations.statements import (
    CONVERSATIONS,
    IS_KEPT,
    SUMMARIES,
    SUMMARY_COLUMNS,
    in_conversation,
)
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import show_id


async def insert_summary(session: WriteSession, values: Mapping[str, Any]) -> bool:
    """Insert a summary if its conversation reaches to its `to_seq`; whether it did.

    values: by column name, all of them.
    """
    columns = {name: literal(value, SUMMARIES.c[name].type) for name, value in values.items()}
    source = select(*columns.values()).where(
        exists().where(
            CONVERSATIONS.c.id == values["conversation_id"],
            CONVERSATIONS.c.last_seq >= values["to_seq"],
            IS_KEPT,
        )
    )
    statement = insert(SUMMARIES).from_select(list(columns), source, include_defaults=False)
    return (await session.execute(statement.returning(SUMMARIES.c.id))).first() is not None


async def list_summaries(
    session: ReadSession,
    conversation_id: UUID,
    *,
    descending: bool,
    after: tuple[int, UUID] | None,
    limit: int,
) -> list[schemas.Summary] | None:
    """Up to `limit` summaries by how far they reach. None if there is no such conversation."""
    position = tuple_(SUMMARIES.c.to_seq, SUMMARIES.c.id)
    direction = desc if descending else asc
    page = (
        select(*SUMMARY_COLUMNS)
        .where(SUMMARIES.c.conversation_id == conversation_id)
        .order_by(*(direction(part) for part in position.clauses))
        .limit(limit)
    )
    if after is not None:
        page = page.where(position < after if descending else position > after)
    whole = in_conversation(page, conversation_id, "to_seq", "id", descending=descending)
    rows = (await session.execute(whole)).all()
    if not rows:
        return None
    return [show_summary(row._mapping) for row in rows if row.id is not None]


async def delete_summary(session: WriteSession, conversation_id: UUID, summary_id: UUID) -> bool:
    """Whether there was such a summary in a conversation that isn't deleted."""
    statement = (
        delete(SUMMARIES)
        .where(
            SUMMARIES.c.id == summary_id,
            SUMMARIES.c.conversation_id == conversation_id,
            exists().where(CONVERSATIONS.c.id == conversation_id, IS_KEPT),
        )
        .returning(SUMMARIES.c.id)
    )
    return (await session.execute(statement)).first() is not None


def show_summary(row: Mapping[str, Any]) -> schemas.Summary:
    return {
        "id": show_id(SUMMARY_PREFIX, row["id"]),
        "conversation_id": show_id(CONVERSATION_PREFIX, row["conversation_id"]),
        "from_seq": row["from_seq"],
        "to_seq": row["to_seq"],
        "text": row["text"],
        "model": row["model"],
        "token_count": row["token_count"],
        "created_at": row["created_at"],
    }
