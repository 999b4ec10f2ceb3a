"""Reading messages with their tool calls."""

from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Text,
    Uuid,
    asc,
    bindparam,
    cast,
    desc,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from conversations.schemas import CALL_PREFIX, MESSAGE_PREFIX, TOKEN_KINDS
from conversations.statements.tables import (
    CALL_IS_KEPT,
    CALLS,
    CONVERSATIONS,
    IS_KEPT,
    MESSAGE_IS_KEPT,
    MESSAGES,
)
from tenants.db.statement import CompiledStatement


@cache
def page_statement(descending: bool) -> CompiledStatement:
    """Messages beyond the position `after`, up to `limit`, in the conversation."""
    seq, after = MESSAGES.c.seq, bindparam("after", type_=BigInteger)
    page = (
        select(*message_columns())
        .where(
            MESSAGES.c.conversation_id == bindparam("conversation_id", type_=Uuid),
            seq < after if descending else seq > after,
            MESSAGE_IS_KEPT,
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
        select(*message_columns())
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .where(
            MESSAGES.c.id == bindparam("message_id", type_=Uuid),
            MESSAGES.c.conversation_id == bindparam("conversation_id", type_=Uuid),
            MESSAGE_IS_KEPT,
            IS_KEPT,
        )
    )


@cache
def repeats_statement() -> CompiledStatement:
    """The messages that have one of `external_ids`, also those that are hidden."""
    return CompiledStatement(
        select(*message_columns(), MESSAGES.c.deleted_at).where(
            MESSAGES.c.conversation_id == bindparam("conversation_id", type_=Uuid),
            MESSAGES.c.external_id.is_not(None),  # So that the partial index serves.
            MESSAGES.c.external_id == func.any(bindparam("external_ids", type_=ARRAY(Text))),
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


def message_columns() -> list[ColumnElement[Any]]:
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
                "attempts": CALLS.c.attempts,
                "deadline": _shown_time(CALLS.c.deadline),
                "decided_by": CALLS.c.decided_by,
                "decided_at": _shown_time(CALLS.c.decided_at),
                "reason": CALLS.c.reason,
                "output_message_id": _shown(MESSAGE_PREFIX, CALLS.c.output_message_id),
                "created_at": _shown_time(CALLS.c.created_at),
                "updated_at": _shown_time(CALLS.c.updated_at),
            }.items()
            for part in (literal_column(f"'{name}'"), value)
        )
    )
    calls = (
        select(cast(func.json_agg(aggregate_order_by(call, CALLS.c.index)), Text))
        .where(CALLS.c.message_id == MESSAGES.c.id, CALL_IS_KEPT)
        .scalar_subquery()
        .label("tool_calls")
    )
    names = (
        "id",
        "conversation_id",
        "seq",
        "role",
        "kind",
        "status",
        "content",
        "text",
        "call_id",
        "external_id",
        "model",
        "token_count",
        *TOKEN_KINDS,
        "cost",
        "created_at",
    )
    # Written by us where a call has ended without a result.
    synthetic = MESSAGES.c.extra.has_key(literal_column("'synthetic'")).label("synthetic")
    return [*(MESSAGES.c[name] for name in names), synthetic, calls]


def _shown(prefix: str, uuid: ColumnElement[Any]) -> ColumnElement[Any]:
    """`tenants.ids.show_id` in SQL; NULL stays NULL."""
    return literal_column(f"'{prefix}_'").op("||")(func.replace(cast(uuid, Text), "-", ""))


def _shown_time(time: ColumnElement[Any]) -> ColumnElement[Any]:
    """A time as answers have it: in UTC, with microseconds only where there are some."""
    utc = func.timezone(literal_column("'UTC'"), time)
    text = func.to_char(utc, literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""))
    return func.replace(text, literal_column("'.000000'"), literal_column("''"))
