"""Looking for what is wrong in a conversation: one statement, so that all of it is of one moment.

Each kind of finding is a query with the same columns; what a kind has no use for is NULL.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Numeric,
    Select,
    Text,
    Uuid,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    select,
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
    "status": Text,
    "name": Text,
    "kept": Numeric,
    "counted": Numeric,
}
_CONVERSATION_ID = bindparam("target", type_=Uuid)
_OUTPUT = MESSAGES.alias("output")
_OUTPUT_OF_CALL = (
    _OUTPUT.c.conversation_id == CALLS.c.conversation_id,
    _OUTPUT.c.role == "tool",
    _OUTPUT.c.call_id == CALLS.c.call_id,
)
_HAS_OUTPUT = select(1).where(*_OUTPUT_OF_CALL, _OUTPUT.c.id == CALLS.c.output_message_id).exists()
_IS_NAMED = select(1).where(*_OUTPUT_OF_CALL, _OUTPUT.c.deleted_at.is_(None)).exists()
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
    parts = [*_calls(), _orphans(), _gaps(), *_counts()]
    return in_conversation(
        select(union_all(*(part.limit(FINDINGS_OF_A_KIND) for part in parts)).subquery("findings")),
        _CONVERSATION_ID,
        "kind",
        "seq",
    )


def _calls() -> list[Select[Any]]:
    is_overdue = CALLS.c.deadline <= bindparam("at", type_=Timestamp)
    conditions = {
        "overdue_call": (IS_OPEN, is_overdue, ~_IS_NAMED),
        "open_call_with_output": (IS_OPEN, _IS_NAMED),
        "call_without_output": (~IS_OPEN, ~_HAS_OUTPUT),
    }
    return [
        _finding(
            kind,
            seq=MESSAGES.c.seq,
            message_id=MESSAGES.c.id,
            call_id=CALLS.c.call_id,
            status=CALLS.c.status,
        )
        .select_from(CALLS.join(MESSAGES, MESSAGES.c.id == CALLS.c.message_id))
        .where(
            CALLS.c.conversation_id == _CONVERSATION_ID, CALL_IS_KEPT, MESSAGE_IS_KEPT, *condition
        )
        for kind, condition in conditions.items()
    ]


def _orphans() -> Select[Any]:
    """Outputs that belong to no call, not even to one that has none yet.

    What another wire has kept as it came answers none natively: its kind is another.
    """
    its_call = (
        select(1)
        .where(
            CALLS.c.conversation_id == MESSAGES.c.conversation_id,
            CALLS.c.call_id == MESSAGES.c.call_id,
            (CALLS.c.output_message_id == MESSAGES.c.id) | ~_HAS_OUTPUT,
        )
        .correlate(MESSAGES)
        .exists()
    )
    return _finding(
        "output_without_call",
        seq=MESSAGES.c.seq,
        message_id=MESSAGES.c.id,
        call_id=MESSAGES.c.call_id,
    ).where(
        MESSAGES.c.conversation_id == _CONVERSATION_ID,
        MESSAGES.c.role == "tool",
        MESSAGES.c.kind == "message",
        MESSAGE_IS_KEPT,
        ~its_call,
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
