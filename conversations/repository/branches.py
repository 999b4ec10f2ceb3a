"""Forks, and the tree that they make."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from conversations import schemas
from conversations.schemas import CONVERSATION_PREFIX
from conversations.statements import branches_statement, fork_statement, reconnect_statement
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import show_id


@dataclass(frozen=True)
class Tree:
    """path: from the conversation up to the first of all, with whether each one isn't deleted.
    branches: those that branch off."""

    path: list[tuple[schemas.Branch, bool]]
    branches: list[schemas.Branch]


async def copy_conversation(
    session: WriteSession,
    conversation_id: UUID,
    copy_id: UUID,
    at_seq: int,
    own: Mapping[str, Any],
    *,
    answered: str | None,
    now: datetime,
    preview_characters: int,
) -> bool:
    """Copy a conversation with its messages, calls and summaries up to a position, in one
    statement; whether there is one that reaches so far.

    own: what the copy doesn't take over, by column. answered: the `call_id` of a call that is
    about to get an output there.
    """
    statement = fork_statement(
        conversation_id,
        copy_id,
        at_seq,
        own,
        answered=answered,
        now=now,
        preview_characters=preview_characters,
    )
    return (await session.execute(statement)).first() is not None


async def list_branches(
    session: ReadSession, conversation_id: UUID, *, after: tuple[int, UUID] | None, limit: int
) -> Tree | None:
    """The way up, and up to `limit` conversations that branch off, by where they do.

    Returns None if there is no such conversation.
    """
    statement = branches_statement(conversation_id, after=after, limit=limit)
    rows = (await session.execute(statement)).all()
    path = [(_show_branch(row), bool(row.is_kept)) for row in rows if row.depth is not None]
    if not path:
        return None
    return Tree(path, [_show_branch(row) for row in rows if row.depth is None])


async def reconnect_branches(session: WriteSession, conversation_id: UUID) -> None:
    """Before a conversation is erased: what branched off from it branches off from the one before.

    So the tree holds together, and with whose content a branch began stays known.
    """
    await session.execute(reconnect_statement(conversation_id))


def _show_branch(row: Row[Any]) -> schemas.Branch:
    return {
        "id": show_id(CONVERSATION_PREFIX, row.id),
        "title": row.title,
        "fork_seq": row.fork_seq,
        "created_at": row.created_at,
    }
