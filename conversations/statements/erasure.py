"""What belongs to whom, and what of it is to be erased."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
)

from conversations.statements.tables import CONVERSATIONS, ERASURES, IS_EXPIRED
from tenants.db.base import Timestamp
from tenants.db.statement import CompiledStatement

# The end of conversations whose erasure has begun: nothing brings them back, and no other
# erasure takes them on.
CLAIMED = datetime(1970, 1, 1, tzinfo=UTC)
IS_CLAIMED = CONVERSATIONS.c.retain_until == CLAIMED


# Asked of each tenant, time and again, and nearly always in vain.
@cache
def open_erasures_statement() -> CompiledStatement:
    """The ids of up to `limit` receipts of what isn't done, made before `created_before`, the
    oldest first."""
    e = ERASURES.c
    return CompiledStatement(
        select(e.id)
        .where(
            e.completed_at.is_(None), e.created_at < bindparam("created_before", type_=Timestamp)
        )
        .order_by(e.created_at)
        .limit(bindparam("limit", type_=BigInteger)),
        is_shared=True,
    )


def is_due(deleted_before: datetime) -> ColumnElement[bool]:
    """Past its end or its time to be restored, not held, and not being erased."""
    c = CONVERSATIONS.c
    return and_(
        or_(IS_EXPIRED, c.deleted_at <= deleted_before),
        ~c.legal_hold,
        or_(c.retain_until.is_(None), c.retain_until != CLAIMED),
    )


def family_of(user_id: str) -> Subquery:
    """A user's conversations and all that branched off from them, with whose content they began.

    Columns: `id`, and `depth`, which is greater than that of any it branched off from.
    """
    c = CONVERSATIONS.c
    roots = select(c.id, literal(0).label("depth")).where(c.user_id == user_id)
    family = roots.cte("family", recursive=True)
    branches = select(c.id, family.c.depth + 1).join(family, c.parent_id == family.c.id)
    whole = family.union(branches)
    query: Select[Any] = select(whole.c.id, func.max(whole.c.depth).label("depth"))
    return query.group_by(whole.c.id).subquery("kin")
