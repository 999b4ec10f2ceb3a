"""What an import looks at, and what it writes: whole sets of rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import insert

from conversations.statements import CALLS, CONVERSATIONS, MESSAGES, imports
from conversations.statements.export import FEEDBACK, SUMMARIES
from tenants.db.unit_of_work import ReadSession, WriteSession

Rows = list[dict[str, Any]]


class Head(NamedTuple):
    """is_kept: whether reads show the conversation."""

    id: UUID
    last_seq: int
    is_kept: bool


async def lock_imported(session: WriteSession, ids: Sequence[UUID]) -> Head | None:
    """The first of these that is here, hidden or not. Nobody appends to it meanwhile."""
    row = (await session.execute(imports.lock_imported(ids))).first()
    return Head(_plain(row.id), row.last_seq, row.is_kept) if row is not None else None


async def insert_imported(session: WriteSession, values: dict[str, Any]) -> bool:
    """Insert a conversation, unless somebody just did. values: by column name."""
    statement = insert(CONVERSATIONS).on_conflict_do_nothing().returning(CONVERSATIONS.c.id)
    return (await session.execute(statement, values)).first() is not None


async def find_message_ids(
    session: ReadSession, conversation_id: UUID, seqs: Sequence[int]
) -> dict[int, UUID]:
    """The messages at positions, hidden or not."""
    rows = await session.execute(imports.message_ids(conversation_id, seqs))
    return {row.seq: _plain(row.id) for row in rows}


async def insert_messages(session: WriteSession, rows: Rows) -> int:
    """Insert messages, but those that clash with others. Returns how many were inserted.

    rows: all with the same columns, as do those of what follows.
    """
    return await _insert(session, MESSAGES, rows)


async def insert_calls(session: WriteSession, rows: Rows) -> int:
    return await _insert(session, CALLS, rows)


async def insert_summaries(session: WriteSession, rows: Rows) -> int:
    return await _insert(session, SUMMARIES, rows)


async def insert_feedback(session: WriteSession, rows: Rows) -> int:
    return await _insert(session, FEEDBACK, rows)


async def answer_calls(session: WriteSession, conversation_id: UUID, answers: Rows) -> int:
    """Pair calls without output with messages; returns how many were paired.

    answers: `call_id`, `output_message_id`; `status` and `error` for those that are open.
    """
    if not answers:
        return 0
    return len((await session.execute(imports.answer_calls(conversation_id, answers))).all())


async def advance_head(
    session: WriteSession, conversation_id: UUID, values: dict[str, Any]
) -> None:
    """values: as `statements.imports.advance_head` declares them."""
    await session.execute(imports.advance_head(conversation_id, values))


async def link_branches(session: WriteSession, pairs: Rows) -> None:
    """Tie conversations, `child_id`, to those that they branched off, `parent_id`."""
    await session.execute(imports.link_branches(pairs))


def _plain(key: UUID) -> UUID:
    """The driver's own kind of UUID can't go back as JSON."""
    return UUID(bytes=key.bytes)


async def _insert(session: WriteSession, table: Table, rows: Rows) -> int:
    if not rows:
        return 0
    statement = imports.insert_new(table, list(rows[0]), rows)
    return len((await session.execute(statement)).all())
