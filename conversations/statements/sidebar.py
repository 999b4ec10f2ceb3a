"""The list of conversations."""

from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Text, Uuid, asc, bindparam, cast, desc, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB

from conversations.statements.tables import CONVERSATION_COLUMNS, CONVERSATIONS, IS_KEPT
from tenants.db.base import Timestamp
from tenants.db.statement import CompiledStatement

_c = CONVERSATIONS.c
_POSITION = (_c.last_activity_at, _c.id)
_FILTERS: dict[str, Any] = {
    "user_id": _c.user_id == bindparam("user_id", type_=Text),
    "agent_id": _c.agent_id == bindparam("agent_id", type_=Text),
    "status": _c.status == bindparam("status", type_=Text),
    "metadata": _c.metadata.contains(bindparam("metadata", type_=JSONB)),
    "active_after": _c.last_activity_at > bindparam("active_after", type_=Timestamp),
    "active_before": _c.last_activity_at < bindparam("active_before", type_=Timestamp),
    "unread": _c.last_seq > _c.read_seq,
}


@cache
def sidebar_statement(
    given: frozenset[str], *, descending: bool, goes_on: bool
) -> CompiledStatement:
    """Up to `limit` conversations by last activity; their metadata as the text of their JSON.

    given: which filters are set, each with its value bound by its name, `unread` excepted.
    goes_on: whether the list begins behind the position `after_time`, `after_id`.
    """
    columns = [
        cast(column, Text).label("metadata") if column.name == "metadata" else column
        for column in CONVERSATION_COLUMNS
    ]
    query = select(*columns).where(IS_KEPT, *(_FILTERS[name] for name in sorted(given)))
    if goes_on:
        position = tuple_(*_POSITION)
        after = tuple_(bindparam("after_time", type_=Timestamp), bindparam("after_id", type_=Uuid))
        query = query.where(position < after if descending else position > after)
    direction = desc if descending else asc
    limit = bindparam("limit", type_=BigInteger)
    return CompiledStatement(query.order_by(*map(direction, _POSITION)).limit(limit))


@cache
def conversation_statement() -> CompiledStatement:
    """The conversation `conversation_id`."""
    is_it = _c.id == bindparam("conversation_id", type_=Uuid)
    return CompiledStatement(select(*CONVERSATION_COLUMNS).where(is_it, IS_KEPT))
