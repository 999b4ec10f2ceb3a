"""Reads and persists the conversation log.

Each function is one statement, one round trip. Statements take their rows as JSON, so that a
batch of one and a batch of a hundred messages are the same statement to the server, and stay
prepared there. Rows leave in the shape in which the API shows them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    SmallInteger,
    Table,
    Text,
    Uuid,
    asc,
    bindparam,
    cast,
    column,
    desc,
    exc,
    func,
    insert,
    literal_column,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB, aggregate_order_by

from conversations import errors, schemas
from conversations.models import OPEN_CALL_STATUSES, Conversation, Message, ToolCall
from tenants.db.base import Timestamp
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import show_id

CONVERSATION_PREFIX, MESSAGE_PREFIX, CALL_PREFIX = "conv", "msg", "call"

_conversations: Table = Conversation.metadata.tables["conversations"]
_messages: Table = Message.metadata.tables["messages"]
_calls: Table = ToolCall.metadata.tables["tool_calls"]

_CONVERSATION_COLUMNS = [
    _conversations.c[name]
    for name in (
        "id",
        "user_id",
        "agent_id",
        "title",
        "status",
        "metadata",
        "preview",
        "last_seq",
        "version",
        "message_count",
        "token_count",
        "created_at",
        "updated_at",
        "last_activity_at",
    )
]
_IS_KEPT = _conversations.c.status != "deleted"
_IS_OPEN = _calls.c.status.in_(OPEN_CALL_STATUSES)


async def insert_conversation(session: WriteSession, values: Mapping[str, Any]) -> None:
    """values: by column name, all that have no default in the table."""
    await session.execute(insert(_conversations), dict(values))


async def find_conversation(
    session: ReadSession, conversation_id: UUID
) -> schemas.Conversation | None:
    """The conversation, unless it is unknown or deleted."""
    query = select(*_CONVERSATION_COLUMNS).where(_conversations.c.id == conversation_id, _IS_KEPT)
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
    position = tuple_(_conversations.c.last_activity_at, _conversations.c.id)
    query = select(*_CONVERSATION_COLUMNS).where(_IS_KEPT)
    for name in ("user_id", "agent_id", "status"):
        if filters[name] is not None:
            query = query.where(_conversations.c[name] == filters[name])
    if filters["metadata"] is not None:
        query = query.where(_conversations.c.metadata.contains(filters["metadata"]))
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
        update(_conversations)
        .where(_conversations.c.id == conversation_id, _IS_KEPT)
        .values(version=_conversations.c.version + 1, **changes)
        .returning(*_CONVERSATION_COLUMNS)
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
    messages, calls, answers: rows of the record sets below. now: the time of the append.
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
        result = await session.execute(_append_statement(bool(calls), bool(answers)), parameters)
    except exc.IntegrityError as error:
        if _constraint(error) == "tool_calls_conversation_id_call_id_key":
            raise errors.CallIdTaken from error
        raise
    row = result.first()
    if row is None:
        return None
    if answers and (row.answered or 0) < len(answers):
        await _raise_unanswerable(session, conversation_id, [row["call_id"] for row in answers])
    base: int = row.base
    return base


async def list_messages(
    session: ReadSession, conversation_id: UUID, *, descending: bool, after: int, limit: int
) -> list[schemas.Message] | None:
    """Up to `limit` messages beyond a position, with their tool calls.

    Returns None if there is no such conversation.
    """
    parameters = {"conversation_id": conversation_id, "after": after, "limit": limit}
    rows = (await session.execute(_page_statement(descending), parameters)).all()
    if not rows:
        return None
    # A conversation without messages there still gives its one, empty, row.
    return [_show_message(row) for row in rows if row.id is not None]


async def find_message(
    session: ReadSession, conversation_id: UUID, message_id: UUID
) -> schemas.Message | None:
    """The message with its tool calls, unless it or its conversation is unknown or deleted."""
    query = (
        select(*_message_columns())
        .join(_conversations, _conversations.c.id == _messages.c.conversation_id)
        .where(
            _messages.c.id == message_id, _messages.c.conversation_id == conversation_id, _IS_KEPT
        )
    )
    row = (await session.execute(query)).first()
    return _show_message(row) if row is not None else None


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
    position = tuple_(_messages.c.seq, _calls.c.index)
    page = (
        select(*_CALL_COLUMNS, _messages.c.seq)
        .join(_messages, _messages.c.id == _calls.c.message_id)
        .where(_calls.c.conversation_id == conversation_id, position > after)
        .order_by(*position.clauses)
        .limit(limit)
    )
    if open_only:
        page = page.where(_IS_OPEN)
    rows = (await session.execute(_in_conversation(page, conversation_id, "seq", "index"))).all()
    if not rows:
        return None
    return [_show_placed_call(row) for row in rows if row.id is not None]


async def find_tool_call(
    session: ReadSession, conversation_id: UUID, call_id: str
) -> tuple[schemas.PlacedToolCall, tuple[str | None, list[Any] | None]] | None:
    """A tool call by its provider's id, and the text and content of its output message."""
    output = _messages.alias("output")
    query = (
        select(
            *_CALL_COLUMNS,
            _messages.c.seq,
            output.c.text.label("output_text"),
            output.c.content.label("output_content"),
        )
        .join(_messages, _messages.c.id == _calls.c.message_id)
        .join(_conversations, _conversations.c.id == _calls.c.conversation_id)
        .outerjoin(output, output.c.id == _calls.c.output_message_id)
        .where(_calls.c.conversation_id == conversation_id, _calls.c.call_id == call_id, _IS_KEPT)
    )
    row = (await session.execute(query)).first()
    if row is None:
        return None
    return _show_placed_call(row), (row.output_text, row.output_content)


_CALL_COLUMNS = [
    _calls.c[name]
    for name in (
        "id",
        "call_id",
        "name",
        "arguments",
        "status",
        "error",
        "output_message_id",
        "message_id",
        "index",
    )
]


@cache
def _append_statement(with_calls: bool, with_answers: bool) -> Any:
    # No name of a column: SQLAlchemy takes such a parameter for a value to set.
    added = bindparam("added", type_=BigInteger)
    conversation_id = bindparam("target", type_=Uuid)
    now = bindparam("at", type_=Timestamp)
    c = _conversations.c
    head = (
        update(_conversations)
        .where(c.id == conversation_id, c.status == "active")
        .values(
            last_seq=c.last_seq + added,
            version=c.version + 1,
            message_count=c.message_count + added,
            token_count=c.token_count + bindparam("new_tokens", type_=BigInteger),
            preview=func.coalesce(bindparam("new_preview", type_=Text), c.preview),
            last_activity_at=func.greatest(c.last_activity_at, now),
        )
        .returning((c.last_seq - added).label("base"))
        .cte("head")
    )
    new = _record_set(
        "message_rows",
        id=Uuid,
        position=Integer,
        role=Text,
        content=JSONB,
        text=Text,
        call_id=Text,
        model=Text,
        token_count=Integer,
    )
    copied = ["id", "role", "content", "text", "call_id", "model", "token_count"]
    new_messages = (
        insert(_messages)
        .from_select(
            ["conversation_id", "created_at", "seq", *copied],
            select(
                conversation_id,
                now,
                head.c.base + new.c.position,
                *(new.c[name] for name in copied),
            ).select_from(head.join(new, true())),
            include_defaults=False,
        )
        .cte("new_messages")
    )
    statement = select(head.c.base).add_cte(new_messages)
    if with_calls:
        statement = statement.add_cte(_insert_calls(head, conversation_id, now))
    if with_answers:
        answered = _close_calls(head, conversation_id, now)
        statement = statement.add_columns(
            select(func.count()).select_from(answered).scalar_subquery().label("answered")
        )
    return statement


def _insert_calls(head: Any, conversation_id: Any, now: Any) -> Any:
    new = _record_set(
        "call_rows",
        id=Uuid,
        message_id=Uuid,
        index=SmallInteger,
        call_id=Text,
        name=Text,
        arguments=JSONB,
        status=Text,
        output_message_id=Uuid,
    )
    return (
        insert(_calls)
        .from_select(
            ["conversation_id", "created_at", "updated_at", *new.c.keys()],
            select(conversation_id, now, now, *new.c).select_from(head.join(new, true())),
            include_defaults=False,
        )
        .cte("new_calls")
    )


def _close_calls(head: Any, conversation_id: Any, now: Any) -> Any:
    answer = _record_set("answer_rows", call_id=Text, message_id=Uuid, status=Text, error=Text)
    return (
        update(_calls)
        .where(
            _calls.c.conversation_id == conversation_id,
            _calls.c.call_id == answer.c.call_id,
            _IS_OPEN,
            # Nothing is closed unless the head was there to append to.
            select(head.c.base).exists(),
        )
        .values(
            status=answer.c.status,
            error=answer.c.error,
            output_message_id=answer.c.message_id,
            updated_at=now,
        )
        .returning(_calls.c.id)
        .cte("answered")
    )


def _record_set(name: str, /, **columns: Any) -> Any:
    """The rows of a JSON array of objects that is bound as `name`."""
    rows = func.json_to_recordset(bindparam(name, type_=JSON))
    typed = [column(key, kind) for key, kind in columns.items()]
    return rows.table_valued(*typed).render_derived(name=name, with_types=True)


@cache
def _page_statement(descending: bool) -> Select[Any]:
    seq, after = _messages.c.seq, bindparam("after", type_=BigInteger)
    page = (
        select(*_message_columns())
        .where(
            _messages.c.conversation_id == bindparam("conversation_id", type_=Uuid),
            seq < after if descending else seq > after,
        )
        .order_by(seq.desc() if descending else seq.asc())
        .limit(bindparam("limit", type_=BigInteger))
    )
    return _in_conversation(
        page, bindparam("conversation_id", type_=Uuid), "seq", descending=descending
    )


def _in_conversation(
    page: Select[Any], conversation_id: Any, *order: str, descending: bool = False
) -> Select[Any]:
    """A page inside a conversation: no row if there is no such conversation.

    With one statement the answer for a missing conversation and for an empty page come from the
    same moment.
    """
    items = page.subquery("page")
    direction = desc if descending else asc
    return (
        select(*items.c)
        .select_from(_conversations.outerjoin(items, true()))
        .where(_conversations.c.id == conversation_id, _IS_KEPT)
        .order_by(*(direction(items.c[name]) for name in order))
    )


def _message_columns() -> list[ColumnElement[Any]]:
    """A message's columns, and its tool calls as one JSON array."""
    call = func.json_build_object(
        *(
            part
            for name, value in {
                "id": _shown(CALL_PREFIX, _calls.c.id),
                "call_id": _calls.c.call_id,
                "name": _calls.c.name,
                "arguments": _calls.c.arguments,
                "status": _calls.c.status,
                "error": _calls.c.error,
                "output_message_id": _shown(MESSAGE_PREFIX, _calls.c.output_message_id),
            }.items()
            for part in (literal_column(f"'{name}'"), value)
        )
    )
    calls = (
        select(func.json_agg(aggregate_order_by(call, _calls.c.index), type_=JSON))
        .where(_calls.c.message_id == _messages.c.id)
        .scalar_subquery()
        .label("tool_calls")
    )
    names = (
        "id",
        "conversation_id",
        "seq",
        "role",
        "status",
        "content",
        "text",
        "call_id",
        "model",
        "token_count",
        "created_at",
    )
    return [*(_messages.c[name] for name in names), calls]


def _shown(prefix: str, uuid: ColumnElement[Any]) -> ColumnElement[Any]:
    """`tenants.ids.show_id` in SQL; NULL stays NULL."""
    return literal_column(f"'{prefix}_'").op("||")(func.replace(cast(uuid, Text), "-", ""))


async def _raise_unanswerable(
    session: ReadSession, conversation_id: UUID, call_ids: list[str]
) -> None:
    """Raises UnknownToolCall (422), or ToolCallCompleted (409) if the conversation has them all."""
    query = select(func.count()).where(
        _calls.c.conversation_id == conversation_id,
        _calls.c.call_id == func.any(bindparam("wanted", call_ids, type_=ARRAY(Text))),
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
    return {
        "id": show_id(MESSAGE_PREFIX, row.id),
        "conversation_id": show_id(CONVERSATION_PREFIX, row.conversation_id),
        "seq": row.seq,
        "role": row.role,
        "status": row.status,
        "content": row.text if row.content is None else row.content,
        "call_id": row.call_id,
        "model": row.model,
        "token_count": row.token_count,
        "tool_calls": row.tool_calls or [],
        "created_at": row.created_at,
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
