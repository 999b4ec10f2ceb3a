"""The append: one statement."""

from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    Integer,
    Select,
    SmallInteger,
    Text,
    Uuid,
    bindparam,
    case,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB, aggregate_order_by

from conversations.schemas import TOKEN_KINDS
from conversations.statements.answered_requests import found_answer, keep_answer, new_answer
from conversations.statements.tables import (
    ANSWERED_REQUESTS,
    CALL_IS_KEPT,
    CALLS,
    CONVERSATIONS,
    IS_KEPT,
    IS_READY,
    MESSAGES,
)
from tenants.db.base import Timestamp
from tenants.db.statement import CompiledStatement

# The sums in a conversation's head, by column; what an append adds is bound as `new_<column>`.
TOTALS = ("token_count", *TOKEN_KINDS, "tool_call_count", "cost")


@cache
def lock_statement() -> CompiledStatement:
    """Lock the conversation's head against appends; gives its `last_seq`."""
    # The lock that the append's UPDATE takes: rows may still be made that refer to it.
    return CompiledStatement(
        select(CONVERSATIONS.c.last_seq)
        .where(CONVERSATIONS.c.id == bindparam("target", type_=Uuid), IS_KEPT)
        .with_for_update(key_share=True)
    )


@cache
def append_statement(with_calls: bool, with_answers: bool) -> CompiledStatement:
    """Takes the parameters of `repository.append_messages`; gives `base` and `answered`."""
    return CompiledStatement(_append(with_calls, with_answers))


@cache
def append_once_statement(with_calls: bool, with_answers: bool) -> CompiledStatement:
    """The same for a request with a key, whose answer it keeps: it writes nothing if there is an
    answer, or if somebody else is at it.

    Takes those of `repository.append_once` as well. Gives one row: that of `found_answer`, then
    `base` and `answered`, and `is_kept`, whether the answer is kept.
    """
    # Whoever looks for the answer gets its lock: it has to be asked once.
    found = found_answer().cte("found").prefix_with("MATERIALIZED")
    return CompiledStatement(_append(with_calls, with_answers, found))


def _append(with_calls: bool, with_answers: bool, found: CTE | None = None) -> Select[Any]:
    # No name of a column: SQLAlchemy takes such a parameter for a value to set.
    added = bindparam("added", type_=BigInteger)
    conversation_id = bindparam("target", type_=Uuid)
    now = bindparam("at", type_=Timestamp)
    c = CONVERSATIONS.c
    is_new = [] if found is None else [found.c.is_free, found.c.status.is_(None)]
    head = (
        update(CONVERSATIONS)
        .where(c.id == conversation_id, c.status == "active", IS_KEPT, *is_new)
        .values(
            last_seq=c.last_seq + added,
            version=c.version + 1,
            message_count=c.message_count + added,
            **{name: c[name] + bindparam(f"new_{name}", type_=c[name].type) for name in TOTALS},
            preview=func.coalesce(bindparam("new_preview", type_=Text), c.preview),
            last_activity_at=func.greatest(c.last_activity_at, now),
        )
        .returning((c.last_seq - added).label("base"), c.language)
        .cte("head")
    )
    new = record_set(
        "message_rows",
        id=Uuid,
        position=Integer,
        role=Text,
        kind=Text,
        status=Text,
        content=JSONB,
        text=Text,
        call_id=Text,
        external_id=Text,
        model=Text,
        token_count=Integer,
        **dict.fromkeys(TOKEN_KINDS, Integer),
        cost=MESSAGES.c.cost.type,
        extra=JSONB,
    )
    # What a native message doesn't say. (json_to_recordset gives NULL for what a row lacks.)
    defaults = {"kind": "message", "status": "completed"}
    copied = [name for name in new.c.keys() if name != "position"]  # noqa: SIM118
    new_messages = (
        insert(MESSAGES)
        .from_select(
            ["conversation_id", "created_at", "language", "seq", *copied],
            select(
                conversation_id,
                now,
                head.c.language,
                head.c.base + new.c.position,
                *(
                    func.coalesce(new.c[name], defaults[name]) if name in defaults else new.c[name]
                    for name in copied
                ),
            ).select_from(head.join(new, true())),
            include_defaults=False,
        )
        .cte("new_messages")
    )
    if found is None:
        statement = select(head.c.base)
    else:
        is_kept = select(_keep_answer(head, conversation_id, now).c.digest).exists()
        statement = select(*found.c, head.c.base, is_kept.label("is_kept")).select_from(
            found.outerjoin(head, true())
        )
    statement = statement.add_cte(new_messages)
    if with_calls:
        statement = statement.add_cte(_insert_calls(head, conversation_id, now))
    if with_answers:
        answered = _close_calls(head, conversation_id, now)
        statement = statement.add_columns(
            select(func.count()).select_from(answered).scalar_subquery().label("answered")
        )
    return statement


def _keep_answer(head: Any, conversation_id: Any, now: Any) -> CTE:
    """The answer is bound as `answer_parts`, a text for each message and one for what follows:
    between them belong the messages' positions."""
    parts = (
        func.unnest(bindparam("answer_parts", type_=ARRAY(Text)))
        .table_valued(column("part", Text), with_ordinality="number")
        .render_derived(name="parts")
    )
    added = bindparam("added", type_=BigInteger)
    number = parts.c.number
    seq = case((number <= added, cast(head.c.base + number, Text)), else_="")
    body = func.string_agg(parts.c.part + seq, aggregate_order_by(literal_column("''"), number))
    text = select(body).select_from(parts).scalar_subquery()
    answer = new_answer(func.convert_to(text, literal_column("'UTF8'")), conversation_id, now)
    return (
        keep_answer(select(*answer).select_from(head))
        .returning(ANSWERED_REQUESTS.c.digest)
        .cte("kept_answer")
    )


def _insert_calls(head: Any, conversation_id: Any, now: Any) -> Any:
    new = record_set(
        "call_rows",
        id=Uuid,
        message_id=Uuid,
        index=SmallInteger,
        call_id=Text,
        name=Text,
        arguments=JSONB,
        status=Text,
        deadline=Timestamp,
        output_message_id=Uuid,
        external_id=Text,
        extra=JSONB,
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
    answer = record_set("answer_rows", call_id=Text, message_id=Uuid, status=Text, error=Text)
    return (
        update(CALLS)
        .where(
            CALLS.c.conversation_id == conversation_id,
            CALLS.c.call_id == answer.c.call_id,
            CALL_IS_KEPT,
            IS_READY,
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


def record_set(name: str, /, **columns: Any) -> Any:
    """The rows of a JSON array of objects that is bound as `name`."""
    rows = func.json_to_recordset(bindparam(name, type_=JSON))
    typed = [column(key, kind) for key, kind in columns.items()]
    return rows.table_valued(*typed).render_derived(name=name, with_types=True)
