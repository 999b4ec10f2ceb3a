"""What an export reads: rows as they are, in pages by key."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from conversations.statements import export
from tenants.db.unit_of_work import ReadSession

Row = Mapping[str, Any]
Key = tuple[UUID, UUID]
FIRST_KEY: Key = (UUID(int=0), UUID(int=0))


async def list_heads(
    session: ReadSession,
    conversation_id: UUID | None,
    user_id: str | None,
    after: UUID | None,
    limit: int,
) -> list[Row]:
    """Conversations by id, hidden ones excepted: one, or a user's, or all."""
    return await _fetch(session, export.heads_page(conversation_id, user_id, after, limit))


async def read_messages(
    session: ReadSession, lasts: dict[UUID, int], after: int, max_rows: int, max_bytes: int
) -> list[tuple[Row, list[Row]]]:
    """Messages with their tool calls, by conversation and position; hidden ones among them.

    lasts: the last position to read by conversation. after: the position beyond which to read.
    max_rows: for each conversation. max_bytes: of all together; one message is always given.
    """
    messages = await _fetch(session, export.messages_page(lasts, after, max_rows, max_bytes))
    calls: dict[UUID, list[Row]] = {}
    asking = [row["id"] for row in messages if row["role"] == "assistant"]
    if asking:
        for call in await _fetch(session, export.calls_of(asking)):
            calls.setdefault(call["message_id"], []).append(call)
    return [(row, calls.get(row["id"], [])) for row in messages]


async def read_summaries(
    session: ReadSession, conversations: Sequence[UUID], after: Key, limit: int
) -> list[Row]:
    """Beyond a key of conversation and row, as with what follows."""
    return await _fetch(session, export.summaries_page(conversations, after, limit))


async def read_feedback(
    session: ReadSession, conversations: Sequence[UUID], after: Key, limit: int
) -> list[Row]:
    """With the `seq` of the message that each is about."""
    return await _fetch(session, export.feedback_page(conversations, after, limit))


async def read_attachments(
    session: ReadSession, conversations: Sequence[UUID], after: Key, limit: int
) -> list[Row]:
    return await _fetch(session, export.attachments_page(conversations, after, limit))


async def read_loose_attachments(
    session: ReadSession, user_id: str | None, after: UUID | None, limit: int
) -> list[Row]:
    """Those that belong to no conversation, by id: a user's, or all."""
    return await _fetch(session, export.loose_attachments_page(user_id, after, limit))


async def _fetch(session: ReadSession, statement: Any) -> list[Row]:
    rows: Any = (await session.execute(statement)).mappings()
    return list(rows)
