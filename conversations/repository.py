"""Reads and persists the conversation log.

Each function is one statement, one round trip. Rows leave in the shape in which the API shows
them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    ARRAY,
    Text,
    asc,
    bindparam,
    desc,
    exc,
    func,
    insert,
    select,
    tuple_,
    update,
)

from conversations import errors, schemas
from conversations.schemas import CALL_PREFIX, CONVERSATION_PREFIX, MESSAGE_PREFIX
from conversations.statements import (
    CALL_COLUMNS,
    CALLS,
    CONVERSATION_COLUMNS,
    CONVERSATIONS,
    IS_KEPT,
    IS_OPEN,
    MESSAGES,
    append_statement,
    in_conversation,
    message_statement,
    page_statement,
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
    query = select(*CONVERSATION_COLUMNS).where(CONVERSATIONS.c.id == conversation_id, IS_KEPT)
    row = (await session.execute(query)).first()
    return _show_conversation(row) if row is not None else None


async def list_conversations(
    session: ReadSession,
    filters: Mapping[str, Any],
    *,
    descending: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[schemas.Conversation]:
    """Up to `limit` conversations by last activity.

    filters: `user_id`, `agent_id`, `status` and `metadata` (contained), where not None.
    """
    position = tuple_(CONVERSATIONS.c.last_activity_at, CONVERSATIONS.c.id)
    query = select(*CONVERSATION_COLUMNS).where(IS_KEPT)
    for name in ("user_id", "agent_id", "status"):
        if filters[name] is not None:
            query = query.where(CONVERSATIONS.c[name] == filters[name])
    if filters["metadata"] is not None:
        query = query.where(CONVERSATIONS.c.metadata.contains(filters["metadata"]))
    if after is not None:
        query = query.where(position < after if descending else position > after)
    direction = desc if descending else asc
    order = [direction(part) for part in position.clauses]
    rows = await session.execute(query.order_by(*order).limit(limit))
    return [_show_conversation(row) for row in rows]


async def update_conversation(
    session: WriteSession, conversation_id: UUID, changes: Mapping[str, Any]
) -> schemas.Conversation | None:
    """Change a conversation that isn't deleted; None if there is none. Its version goes up."""
    statement = (
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.id == conversation_id, IS_KEPT)
        .values(version=CONVERSATIONS.c.version + 1, **changes)
        .returning(*CONVERSATION_COLUMNS)
    )
    row = (await session.execute(statement)).first()
    return _show_conversation(row) if row is not None else None


async def append_messages(
    session: WriteSession,
    conversation_id: UUID,
    messages: Sequence[Mapping[str, Any]],
    calls: Sequence[Mapping[str, Any]],
    answers: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
    preview: str | None,
    tokens: int,
) -> int | None:
    """Append messages with their tool calls, and close the calls that they answer.

    One statement: it locks the conversation's row, takes the next positions from it, and
    inserts. So positions are contiguous however many append at once.
    messages, calls, answers: rows as `append_statement` declares them. now: the time of the append.
    preview: the newest text, None to keep the old one. tokens: what they add to the count.
    Returns the position before the first message, or None, having written nothing, if there is
    no active conversation. Raises CallIdTaken, ToolCallCompleted (409), UnknownToolCall (422).
    """
    parameters: dict[str, Any] = {
        "target": conversation_id,
        "added": len(messages),
        "at": now,
        "new_preview": preview,
        "new_tokens": tokens,
        "message_rows": messages,
    }
    if calls:
        parameters["call_rows"] = calls
    if answers:
        parameters["answer_rows"] = answers
    try:
        rows = await session.fetch(append_statement(bool(calls), bool(answers)), **parameters)
    except exc.IntegrityError as error:
        if _constraint(error) == "tool_calls_conversation_id_call_id_key":
            raise errors.CallIdTaken from error
        raise
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
    return [_show_message(row) for row in rows if row["id"] is not None]


async def find_message(
    session: ReadSession, conversation_id: UUID, message_id: UUID
) -> schemas.Message | None:
    """The message with its tool calls, unless it or its conversation is unknown or deleted."""
    rows = await session.fetch(
        message_statement(), conversation_id=conversation_id, message_id=message_id
    )
    return _show_message(rows[0]) if rows else None


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
        .where(CALLS.c.conversation_id == conversation_id, position > after)
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
        .where(CALLS.c.conversation_id == conversation_id, CALLS.c.call_id == call_id, IS_KEPT)
    )
    row = (await session.execute(query)).first()
    if row is None:
        return None
    return _show_placed_call(row), (row.output_text, row.output_content)


async def count_usage(session: ReadSession) -> dict[str, int]:
    """The number of conversations and of their messages, deleted ones excepted."""
    query = select(
        func.count().label("conversations"),
        func.coalesce(func.sum(CONVERSATIONS.c.message_count), 0).label("messages"),
    ).where(IS_KEPT)
    row = (await session.execute(query)).one()
    return {"conversations": row.conversations, "messages": int(row.messages)}


async def _raise_unanswerable(
    session: ReadSession, conversation_id: UUID, call_ids: list[str]
) -> None:
    """Raises UnknownToolCall (422), or ToolCallCompleted (409) if the conversation has them all."""
    query = select(func.count()).where(
        CALLS.c.conversation_id == conversation_id,
        CALLS.c.call_id == func.any(bindparam("wanted", call_ids, type_=ARRAY(Text))),
        # One that is open now came with this append, after the message that names it.
        ~IS_OPEN,
    )
    known = (await session.execute(query)).scalar_one()
    raise errors.ToolCallCompleted if known == len(call_ids) else errors.UnknownToolCall


def _constraint(error: exc.IntegrityError) -> str | None:
    cause = error.orig.__cause__ if error.orig is not None else None
    return getattr(cause, "constraint_name", None)


def _show_conversation(row: Any) -> schemas.Conversation:
    return {
        "id": show_id(CONVERSATION_PREFIX, row.id),
        "user_id": row.user_id,
        "agent_id": row.agent_id,
        "title": row.title,
        "status": row.status,
        "metadata": row.metadata,
        "preview": row.preview,
        "last_seq": row.last_seq,
        "version": row.version,
        "message_count": row.message_count,
        "token_count": row.token_count,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "last_activity_at": row.last_activity_at,
    }


def _show_message(row: Any) -> schemas.Message:
    # The calls are JSON already, and go into the answer as they are.
    calls: Any = orjson.Fragment(row["tool_calls"]) if row["tool_calls"] else []
    return {
        "id": show_id(MESSAGE_PREFIX, row["id"]),
        "conversation_id": show_id(CONVERSATION_PREFIX, row["conversation_id"]),
        "seq": row["seq"],
        "role": row["role"],
        "status": row["status"],
        "content": row["text"] if row["content"] is None else row["content"],
        "call_id": row["call_id"],
        "model": row["model"],
        "token_count": row["token_count"],
        "tool_calls": calls,
        "created_at": row["created_at"],
    }


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
