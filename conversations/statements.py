"""The SQL of the conversation log: its tables, the columns that are shown, the larger statements.

Statements take their rows as JSON, so that a batch of one and a batch of a hundred messages are
the same statement to the server, and stay prepared there.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
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
    func,
    insert,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB, aggregate_order_by

from conversations.models import OPEN_CALL_STATUSES, Conversation, Message, ToolCall
from conversations.schemas import CALL_PREFIX, MESSAGE_PREFIX
from tenants.db.base import Timestamp
from tenants.db.statement import CompiledStatement

CONVERSATIONS: Table = Conversation.metadata.tables["conversations"]
MESSAGES: Table = Message.metadata.tables["messages"]
CALLS: Table = ToolCall.metadata.tables["tool_calls"]

CONVERSATION_COLUMNS = [
    CONVERSATIONS.c[name]
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
IS_KEPT = CONVERSATIONS.c.status != "deleted"
# Written out and not bound, so that it is seen to be the condition of the partial index.
IS_OPEN = CALLS.c.status.in_([literal_column(f"'{status}'") for status in OPEN_CALL_STATUSES])


CALL_COLUMNS = [
    CALLS.c[name]
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
def append_statement(with_calls: bool, with_answers: bool) -> CompiledStatement:
    """Takes the parameters of `repository.append_messages`; gives `base` and `answered`."""
    # No name of a column: SQLAlchemy takes such a parameter for a value to set.
    added = bindparam("added", type_=BigInteger)
    conversation_id = bindparam("target", type_=Uuid)
    now = bindparam("at", type_=Timestamp)
    c = CONVERSATIONS.c
    head = (
        update(CONVERSATIONS)
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
        insert(MESSAGES)
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
    return CompiledStatement(statement)


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
        insert(CALLS)
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
        update(CALLS)
        .where(
            CALLS.c.conversation_id == conversation_id,
            CALLS.c.call_id == answer.c.call_id,
            IS_OPEN,
            # Nothing is closed unless the head was there to append to.
            select(head.c.base).exists(),
        )
        .values(
            status=answer.c.status,
            error=answer.c.error,
            output_message_id=answer.c.message_id,
            updated_at=now,
        )
        .returning(CALLS.c.id)
        .cte("answered")
    )


def _record_set(name: str, /, **columns: Any) -> Any:
    """The rows of a JSON array of objects that is bound as `name`."""
    rows = func.json_to_recordset(bindparam(name, type_=JSON))
    typed = [column(key, kind) for key, kind in columns.items()]
    return rows.table_valued(*typed).render_derived(name=name, with_types=True)


@cache
def page_statement(descending: bool) -> CompiledStatement:
    """Messages beyond the position `after`, up to `limit`, in the conversation."""
    seq, after = MESSAGES.c.seq, bindparam("after", type_=BigInteger)
    page = (
        select(*_message_columns())
        .where(
            MESSAGES.c.conversation_id == bindparam("conversation_id", type_=Uuid),
            seq < after if descending else seq > after,
        )
        .order_by(seq.desc() if descending else seq.asc())
        .limit(bindparam("limit", type_=BigInteger))
    )
    conversation_id = bindparam("conversation_id", type_=Uuid)
    return CompiledStatement(in_conversation(page, conversation_id, "seq", descending=descending))


@cache
def message_statement() -> CompiledStatement:
    """The message `message_id` in the conversation."""
    return CompiledStatement(
        select(*_message_columns())
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .where(
            MESSAGES.c.id == bindparam("message_id", type_=Uuid),
            MESSAGES.c.conversation_id == bindparam("conversation_id", type_=Uuid),
            IS_KEPT,
        )
    )


def in_conversation(
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
        .select_from(CONVERSATIONS.outerjoin(items, true()))
        .where(CONVERSATIONS.c.id == conversation_id, IS_KEPT)
        .order_by(*(direction(items.c[name]) for name in order))
    )


def _message_columns() -> list[ColumnElement[Any]]:
    """A message's columns, and its tool calls as the text of one JSON array."""
    call = func.json_build_object(
        *(
            part
            for name, value in {
                "id": _shown(CALL_PREFIX, CALLS.c.id),
                "call_id": CALLS.c.call_id,
                "name": CALLS.c.name,
                "arguments": CALLS.c.arguments,
                "status": CALLS.c.status,
                "error": CALLS.c.error,
                "output_message_id": _shown(MESSAGE_PREFIX, CALLS.c.output_message_id),
            }.items()
            for part in (literal_column(f"'{name}'"), value)
        )
    )
    calls = (
        select(cast(func.json_agg(aggregate_order_by(call, CALLS.c.index)), Text))
        .where(CALLS.c.message_id == MESSAGES.c.id)
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
    return [*(MESSAGES.c[name] for name in names), calls]


def _shown(prefix: str, uuid: ColumnElement[Any]) -> ColumnElement[Any]:
    """`tenants.ids.show_id` in SQL; NULL stays NULL."""
    return literal_column(f"'{prefix}_'").op("||")(func.replace(cast(uuid, Text), "-", ""))
