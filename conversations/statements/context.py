"""Reading a context: the end of a history up to a budget, what instructs the model, summaries."""

from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from conversations.statements.pages import message_columns
from conversations.statements.tables import (
    CALL_IS_KEPT,
    CALLS,
    CONVERSATIONS,
    IS_KEPT,
    MESSAGE_IS_KEPT,
    MESSAGES,
    SUMMARIES,
    SUMMARY_COLUMNS,
)
from tenants.db.statement import CompiledStatement

_M = MESSAGES.c
# Written out and not bound, so that it is seen to be the condition of the partial index.
_INSTRUCTS = _M.role.in_([literal_column("'system'"), literal_column("'developer'")])
_SPEAKS = _M.role.in_([literal_column("'user'"), literal_column("'assistant'")])
_ZERO = literal(0, BigInteger)


@cache
def context_statement() -> CompiledStatement:
    """The messages from the newest backwards until `budget` tokens are passed, after `cap` rows
    at the latest, and before them up to `cap` messages of the roles system and developer.

    Each row has `first_seq`, the first position of another role, and `start`, the position from
    which on everything was read; the first row has `summaries`, up to `summary_limit`, as JSON.
    """
    target = bindparam("target", type_=Uuid)
    walk = _walk_backwards(target)
    start = select(func.min(walk.c.seq)).scalar_subquery()
    columns = message_columns()
    read = select(*columns).where(_M.conversation_id == target, MESSAGE_IS_KEPT, _M.seq >= start)
    instructions = (
        select(*columns)
        .where(_M.conversation_id == target, MESSAGE_IS_KEPT, _INSTRUCTS, _M.seq < start)
        .order_by(_M.seq.desc())
        .limit(bindparam("cap", type_=BigInteger))
    )
    rows = union_all(read, instructions).subquery("rows")
    is_first = func.row_number().over(order_by=rows.c.seq) == 1
    return CompiledStatement(
        select(
            *rows.c,
            start.label("start"),
            _first_position(target).label("first_seq"),
            case((is_first, _summaries(target))).label("summaries"),
        )
        # One row at least, so that a conversation without messages isn't taken for none.
        .select_from(CONVERSATIONS.outerjoin(rows, true()))
        .where(CONVERSATIONS.c.id == target, IS_KEPT)
        .order_by(rows.c.seq)
    )


def _walk_backwards(target: Any) -> CTE:
    """The positions from the end of the conversation on, with what they cost at the least.

    What a tool put out costs where its call stands, for without that one it is left out.
    What is deleted is passed like the rest: looked for by the index alone, the next position is
    found there even where PostgreSQL knows nothing of the table yet, and would sort all that is
    before it instead, time and again.
    """
    walk = (
        select(
            (CONVERSATIONS.c.last_seq + 1).label("seq"),
            _ZERO.label("total"),
            _ZERO.label("rows"),
        )
        .where(CONVERSATIONS.c.id == target)
        .cte("walk", recursive=True)
    )
    is_read = and_(_SPEAKS, MESSAGE_IS_KEPT)
    cost = case((is_read, _least_tokens(MESSAGES) + _outputs_of_message()), else_=_ZERO)
    step = (
        select(_M.seq, cost.label("cost"), cast(MESSAGE_IS_KEPT, Integer).label("rows"))
        .where(_M.conversation_id == target, _M.seq < walk.c.seq)
        .order_by(_M.seq.desc())
        .limit(1)
        .lateral("step")
    )
    return walk.union_all(
        select(step.c.seq, walk.c.total + step.c.cost, walk.c.rows + step.c.rows)
        .select_from(walk.join(step, true()))
        .where(
            walk.c.total <= bindparam("budget", type_=BigInteger),
            walk.c.rows < bindparam("cap", type_=BigInteger),
        )
    )


def _least_tokens(messages: Any) -> ColumnElement[Any]:
    """No more than `service.tokens` counts for a message, and computed without its text."""
    return func.coalesce(
        messages.c.token_count, cast(func.octet_length(messages.c.text), BigInteger) // 4, _ZERO
    )


def _outputs_of_message() -> ColumnElement[Any]:
    output = MESSAGES.alias("output")
    tokens = cast(func.sum(_least_tokens(output)), BigInteger)
    return (
        select(func.coalesce(tokens, _ZERO))
        .select_from(CALLS.join(output, output.c.id == CALLS.c.output_message_id))
        .where(CALLS.c.message_id == _M.id, CALL_IS_KEPT, output.c.deleted_at.is_(None))
        .correlate(MESSAGES)
        .scalar_subquery()
    )


def _first_position(target: Any) -> ColumnElement[Any]:
    """Where what can be left out begins; for a long row of deleted messages a position in it."""
    head = (
        select(_M.seq, or_(_INSTRUCTS, ~MESSAGE_IS_KEPT).label("stays"))
        .where(_M.conversation_id == target)
        .order_by(_M.seq)
        .limit(bindparam("cap", type_=BigInteger))
    )
    first, whole = head.subquery("first"), head.subquery("whole")
    return func.coalesce(
        select(first.c.seq).where(~first.c.stays).order_by(first.c.seq).limit(1).scalar_subquery(),
        select(func.max(whole.c.seq) + 1).scalar_subquery(),
    )


def _summaries(target: Any) -> ColumnElement[Any]:
    furthest = (
        select(*SUMMARY_COLUMNS)
        .where(SUMMARIES.c.conversation_id == target)
        .order_by(SUMMARIES.c.to_seq.desc(), SUMMARIES.c.id.desc())
        .limit(bindparam("summary_limit", type_=BigInteger))
        .subquery("furthest")
    )
    pairs = (part for c in furthest.c for part in (literal_column(f"'{c.name}'"), c))
    return select(cast(func.json_agg(func.json_build_object(*pairs)), Text)).scalar_subquery()
