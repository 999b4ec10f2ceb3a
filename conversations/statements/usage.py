"""The usage report: one grouped query."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    cast,
    func,
    or_,
    select,
    tuple_,
)

from conversations.schemas import TOKEN_KINDS
from conversations.statements.tables import CALLS, CONVERSATIONS, MESSAGES
from tenants.db.base import Timestamp


def usage_statement(
    midnights: Sequence[datetime], dimensions: Sequence[str], filters: dict[str, Any], limit: int
) -> Select[Any]:
    """A row of totals, marked by `is_total`, then up to `limit` rows by dimension.

    midnights: where each day begins, and where the last one ends; `day` counts them from 1.
    dimensions: some of `day`, `model`, `agent_id` and `user_id`. filters: `user_id`, `agent_id`
    and `model`, where not None. Counts what is hidden, too: it was used.
    """
    counted = _counted_messages(midnights, filters)
    c = counted.c
    columns = [c[name] for name in dimensions]
    is_total = func.grouping(*columns, type_=Integer) > 0
    return (
        select(
            is_total.label("is_total"),
            *columns,
            *(_sum(c[name]).label(name) for name in (*TOKEN_KINDS, "total_tokens")),
            func.coalesce(func.sum(c.cost), 0).label("cost"),
            func.count().label("messages"),
            _sum(c.tool_calls).label("tool_calls"),
            func.count(c.conversation_id.distinct()).label("conversations"),
        )
        .group_by(func.grouping_sets(tuple_(*columns), tuple_()))
        .order_by(is_total.desc(), *(column.asc().nulls_first() for column in columns))
        .limit(limit + 1)
    )


def _counted_messages(midnights: Sequence[datetime], filters: dict[str, Any]) -> Any:
    """The messages in question, each with its dimensions and what it adds."""
    c = MESSAGES.c
    bounds = bindparam("midnights", list(midnights), type_=ARRAY(Timestamp))
    calls = (
        select(func.count())
        .where(CALLS.c.message_id == c.id)
        .correlate(MESSAGES)
        .scalar_subquery()
        .label("tool_calls")
    )
    query = (
        select(
            c.conversation_id,
            func.width_bucket(c.created_at, bounds).label("day"),
            c.model,
            CONVERSATIONS.c.agent_id,
            CONVERSATIONS.c.user_id,
            *(c[name] for name in TOKEN_KINDS),
            func.coalesce(
                c.token_count,
                func.coalesce(c.input_tokens, 0) + func.coalesce(c.output_tokens, 0),
            ).label("total_tokens"),
            c.cost,
            calls,
        )
        .join(CONVERSATIONS, CONVERSATIONS.c.id == c.conversation_id)
        .where(
            c.created_at >= midnights[0],
            c.created_at < midnights[-1],
            # What a branch has from where it grew was used there, also if that has been erased
            # since, and the branch hangs on an earlier conversation now.
            or_(
                CONVERSATIONS.c.fork_seq.is_(None),
                and_(c.seq > CONVERSATIONS.c.fork_seq, c.created_at >= CONVERSATIONS.c.created_at),
            ),
        )
    )
    for name, value in filters.items():
        if value is not None:
            column = c.model if name == "model" else CONVERSATIONS.c[name]
            query = query.where(column == value)
    return query.subquery("counted")


def _sum(column: ColumnElement[Any]) -> ColumnElement[int]:
    """A sum as a whole number: PostgreSQL's of a bigint is numeric."""
    return cast(func.coalesce(func.sum(column), 0), BigInteger)
