"""Recording the newest append to a conversation."""

from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Table, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from conversations.models import AnsweredRequest
from tenants.db.statement import CompiledStatement

ANSWERED_REQUESTS: Table = AnsweredRequest.metadata.tables["answered_requests"]


@cache
def remember_statement() -> CompiledStatement:
    """Takes `new_<column>` for each column that it sets, and the lock's number as `lock`."""
    c = ANSWERED_REQUESTS.c
    columns = [c.digest, c.fingerprint, c.status, c.body, c.conversation_id, c.created_at]
    # Materialized, so that it comes before the row, which others may hold.
    lock = select(take_lock()).cte("lock").prefix_with("MATERIALIZED")
    row = select(*(bindparam(f"new_{each.name}", type_=each.type) for each in columns))
    statement = insert(ANSWERED_REQUESTS).from_select(
        [each.name for each in columns], row.select_from(lock), include_defaults=False
    )
    return CompiledStatement(
        statement.on_conflict_do_update(
            index_elements=[c.digest],
            set_={each.name: statement.excluded[each.name] for each in columns[1:]},
        )
    )


def take_lock() -> Any:
    """Wait for the lock `lock`, and hold it until the transaction ends."""
    return func.pg_advisory_xact_lock(bindparam("lock", type_=BigInteger))
