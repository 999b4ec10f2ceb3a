"""Looking for what is wrong in a conversation: one statement, so that all of it is of one moment.

Each kind of finding is a query with the same columns; what a kind has no use for is NULL.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Numeric,
    Select,
    SmallInteger,
    Text,
    Uuid,
    bindparam,
    cast,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
)

from conversations.statements.pages import in_conversation
from conversations.statements.tables import (
    CALL_IS_KEPT,
    CALLS,
    CONVERSATIONS,
    IS_OPEN,
    MESSAGE_IS_KEPT,
    MESSAGES,
)
from tenants.db.base import Timestamp

FINDINGS_OF_A_KIND = 100
_COLUMNS = {
    "kind": Text,
    "seq": BigInteger,
    "to_seq": BigInteger,
    "message_id": Uuid,
    "call_id": Text,
    "index": SmallInteger,
    "status": Text,
    "name": Text,
    "kept": Numeric,
    "counted": Numeric,
}
_CONVERSATION_ID = bindparam("target", type_=Uuid)
_SUMS = (
    *("token_count", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
    "cost",
)
# What the head says, and what the rows say. Sums include messages that are deleted: they were
# used, and paid for.
_COUNTS: dict[str, ColumnElement[Any]] = {
    "last_seq": func.max(MESSAGES.c.seq),
    "message_count": func.count().filter(MESSAGE_IS_KEPT),
    **{name: func.sum(MESSAGES.c[name]) for name in _SUMS},
    "tool_call_count": select(func.count())
    .select_from(CALLS)
    .where(CALLS.c.conversation_id == _CONVERSATION_ID, CALL_IS_KEPT)
    .scalar_subquery(),
}


@cache
def check_statement() -> Select[Any]:
    """Takes `target` and `at`; no row if there is no such conversation, one of NULLs if all is
    well there."""
    pairs = _pairs()
    parts = [*_calls(pairs), _orphans(pairs), _gaps(), *_counts()]
    return in_conversation(
        select(union_all(*(part.limit(FINDINGS_OF_A_KIND) for part in parts)).subquery("findings")),
        _CONVERSATION_ID,
        "kind",
        "seq",
        "index",
    )


def _pairs() -> CTE:
    """Calls and outputs, each with what else has its `call_id`.

    One pass over them in order and no join, so that it costs the same however PostgreSQL estimates
    tables that it has not analysed yet.
    """
    calls = select(
        CALLS.c.call_id,
        CALLS.c.index,
        false().label("is_output"),
        CALLS.c.message_id,
        CALLS.c.output_message_id,
        CALLS.c.status,
        IS_OPEN.label("is_open"),
        (CALLS.c.deadline <= bindparam("at", type_=Timestamp)).label("is_due"),
        CALL_IS_KEPT.label("is_kept"),
    ).where(CALLS.c.conversation_id == _CONVERSATION_ID)
    outputs = select(
        MESSAGES.c.call_id,
        cast(null(), SmallInteger),
        true(),
        MESSAGES.c.id,
        cast(null(), Uuid),
        cast(null(), Text),
        cast(null(), Boolean),
        cast(null(), Boolean),
        MESSAGE_IS_KEPT,
    ).where(
        MESSAGES.c.conversation_id == _CONVERSATION_ID,
        MESSAGES.c.role == "tool",
        # What another wire has kept as it came answers none natively.
        or_(MESSAGES.c.kind == "message", MESSAGES.c.call_id.is_not(None)),
    )
    each = union_all(calls, outputs).subquery("each")
    of_call_id: dict[str, Any] = {"partition_by": each.c.call_id}
    call_first = of_call_id | {"order_by": each.c.is_output}
    known = select(
        *each.c,
        func.bool_or(~each.c.is_output).over(**of_call_id).label("has_call"),
        func.bool_or(each.c.is_output & each.c.is_kept).over(**of_call_id).label("is_named"),
        # The call comes first, and there is only one.
        func.first_value(each.c.output_message_id).over(**call_first).label("chosen"),
    ).subquery("known")
    is_chosen = known.c.is_output & (known.c.message_id == known.c.chosen)
    has_output = func.coalesce(
        func.bool_or(is_chosen).over(partition_by=known.c.call_id), literal_column("false")
    )
    return select(*known.c, has_output.label("has_output")).cte("pairs")


def _calls(pairs: CTE) -> list[Select[Any]]:
    p = pairs.c
    conditions = {
        "overdue_call": (p.is_open, p.is_due, ~p.is_named),
        "open_call_with_output": (p.is_open, p.is_named),
        "call_without_output": (~p.is_open, ~p.has_output),
    }
    return [
        _of_message(kind, pairs, status=p.status).where(~p.is_output, p.is_kept, *condition)
        for kind, condition in conditions.items()
    ]


def _orphans(pairs: CTE) -> Select[Any]:
    """Outputs that belong to no call, not even to one that has none yet."""
    p = pairs.c
    is_its_output = func.coalesce(p.message_id == p.chosen, literal_column("false"))
    belongs = p.has_call & (is_its_output | ~p.has_output)
    return _of_message("output_without_call", pairs).where(p.is_output, ~belongs)


def _of_message(kind: str, pairs: CTE, **values: ColumnElement[Any]) -> Select[Any]:
    """A finding at a message that is shown."""
    return (
        _finding(
            kind,
            seq=MESSAGES.c.seq,
            message_id=MESSAGES.c.id,
            call_id=pairs.c.call_id,
            index=pairs.c.index,
            **values,
        )
        .select_from(pairs.join(MESSAGES, MESSAGES.c.id == pairs.c.message_id))
        .where(MESSAGE_IS_KEPT)
    )


def _gaps() -> Select[Any]:
    positions = (
        select(
            MESSAGES.c.seq,
            func.lag(MESSAGES.c.seq, 1, literal_column("0::bigint"))
            .over(order_by=MESSAGES.c.seq)
            .label("before"),
        )
        .where(MESSAGES.c.conversation_id == _CONVERSATION_ID)
        .subquery("positions")
    )
    return _finding("gap_in_seq", seq=positions.c.before + 1, to_seq=positions.c.seq - 1).where(
        positions.c.seq > positions.c.before + 1
    )


def _counts() -> list[Select[Any]]:
    counted = (
        select(*(func.coalesce(count, 0).label(name) for name, count in _COUNTS.items()))
        .where(MESSAGES.c.conversation_id == _CONVERSATION_ID)
        .cte("counted")
    )
    return [
        _finding(
            "wrong_count",
            name=literal_column(f"'{name}'"),
            kept=CONVERSATIONS.c[name],
            counted=counted.c[name],
        )
        .select_from(CONVERSATIONS)
        .join(counted, CONVERSATIONS.c[name] != counted.c[name])
        .where(CONVERSATIONS.c.id == _CONVERSATION_ID)
        for name in _COUNTS
    ]


def _finding(kind: str, **values: ColumnElement[Any]) -> Select[Any]:
    values["kind"] = literal_column(f"'{kind}'")
    columns: list[ColumnElement[Any]] = [
        cast(values.get(name, null()), type_).label(name) for name, type_ in _COLUMNS.items()
    ]
    return select(*columns)
