"""Closing tool calls that have no result, and finding those that are due."""

from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    Select,
    Text,
    Uuid,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from conversations.statements.append import record_set
from conversations.statements.tables import (
    CALL_COLUMNS,
    CALL_IS_KEPT,
    CALLS,
    CONVERSATIONS,
    IS_KEPT,
    IS_OPEN,
    MESSAGES,
)
from tenants.db.base import Timestamp
from tenants.db.statement import CompiledStatement

_MARK = literal_column("""'{"synthetic": true}'""", JSONB)


# What it costs to look where nothing is overdue is paid for each tenant, time and again.
@cache
def overdue_statement() -> CompiledStatement:
    """Up to `limit` open calls overdue at `at`, beyond `after_deadline` and `after_id`."""
    position = tuple_(CALLS.c.deadline, CALLS.c.id)
    after = bindparam("after_deadline", type_=Timestamp), bindparam("after_id", type_=Uuid)
    return CompiledStatement(
        select(CALLS.c.deadline, CALLS.c.id, CALLS.c.conversation_id)
        .where(
            CALLS.c.deadline <= bindparam("at", type_=Timestamp),
            IS_OPEN,
            CALL_IS_KEPT,
            position > tuple_(*after),
        )
        .order_by(*position.clauses)
        .limit(bindparam("limit", type_=BigInteger)),
        is_shared=True,
    )


@cache
def close_statement(*changed: str, active_only: bool) -> Select[Any]:
    """Takes the parameters of `repository.close_calls`; gives the calls that it has closed.

    changed: columns of the calls that are set besides, from parameters `new_<column>`.
    active_only: whether the conversation must be open to appends.

    It locks the head first, as an append does, and appends an output for each call. Nothing is
    written unless all of the calls may be closed. Where one was changed while this waited for the
    head, fewer calls come back than were given, and the transaction has to be rolled back.
    """
    conversation_id, now = bindparam("target", type_=Uuid), bindparam("at", type_=Timestamp)
    added = bindparam("added", type_=BigInteger)
    answer = record_set(
        "answer_rows", position=Integer, message_id=Uuid, call_id=Text, status=Text, text=Text
    )
    may_be_closed = (
        CALLS.c.conversation_id == conversation_id,
        CALLS.c.call_id == answer.c.call_id,
        CALLS.c.status == func.any(bindparam("allowed", type_=ARRAY(Text))),
        CALL_IS_KEPT,
    )
    head = (
        update(CONVERSATIONS)
        .where(
            CONVERSATIONS.c.id == conversation_id,
            *((CONVERSATIONS.c.status == "active", IS_KEPT) if active_only else ()),
            select(func.count())
            .select_from(CALLS.join(answer, true()))
            .where(*may_be_closed)
            .scalar_subquery()
            == added,
        )
        .values(
            last_seq=CONVERSATIONS.c.last_seq + added,
            version=CONVERSATIONS.c.version + 1,
            message_count=CONVERSATIONS.c.message_count + added,
        )
        .returning((CONVERSATIONS.c.last_seq - added).label("base"))
        .cte("head")
    )
    outputs = (
        insert(MESSAGES)
        .from_select(
            ["conversation_id", "created_at", "role", "extra", "seq", "id", "call_id", "text"],
            select(
                conversation_id,
                now,
                literal_column("'tool'"),
                _MARK,
                head.c.base + answer.c.position,
                answer.c.message_id,
                answer.c.call_id,
                answer.c.text,
            ).select_from(head.join(answer, true())),
            include_defaults=False,
        )
        .cte("outputs")
    )
    closed = (
        update(CALLS)
        .where(*may_be_closed, CALLS.c.message_id == MESSAGES.c.id, select(head.c.base).exists())
        .values(
            status=answer.c.status,
            output_message_id=answer.c.message_id,
            updated_at=now,
            **{name: bindparam(f"new_{name}", type_=CALLS.c[name].type) for name in changed},
        )
        .returning(*CALL_COLUMNS, MESSAGES.c.seq)
        .cte("closed")
    )
    # Without a head there is no row; with one there is, even if no call was closed.
    return select(closed).select_from(head.outerjoin(closed, true())).add_cte(outputs)
