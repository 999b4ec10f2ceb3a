"""Answers to requests that may be repeated."""

from functools import cache

from sqlalchemy import (
    BigInteger,
    LargeBinary,
    SmallInteger,
    Uuid,
    and_,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from conversations.statements.tables import ANSWERED_REQUESTS
from tenants.db.base import Timestamp
from tenants.db.statement import CompiledStatement


@cache
def find_answer_statement() -> CompiledStatement:
    """One row: `is_free`, whether `lock` is now this transaction's, and the answer if there is one.

    The lock ends with the transaction, however that ends, and also behind a transaction pooler.
    """
    c = ANSWERED_REQUESTS.c
    lock = func.pg_try_advisory_xact_lock(bindparam("lock", type_=BigInteger))
    is_kept = and_(
        c.digest == bindparam("digest", type_=LargeBinary),
        c.created_at >= bindparam("oldest", type_=Timestamp),
    )
    once = select(literal_column("1")).subquery("once")
    return CompiledStatement(
        select(lock.label("is_free"), c.fingerprint, c.status, c.body).select_from(
            once.outerjoin(ANSWERED_REQUESTS, is_kept)
        )
    )


@cache
def keep_answer_statement() -> CompiledStatement:
    """One row if the answer is kept now; none if there is another that isn't too old."""
    c = ANSWERED_REQUESTS.c
    # No names of columns: SQLAlchemy takes such parameters for values to set.
    new = insert(ANSWERED_REQUESTS).values(
        digest=bindparam("new_digest", type_=LargeBinary),
        fingerprint=bindparam("new_fingerprint", type_=LargeBinary),
        status=bindparam("new_status", type_=SmallInteger),
        body=bindparam("new_body", type_=LargeBinary),
        conversation_id=bindparam("of_conversation", type_=Uuid),
        created_at=bindparam("now", type_=Timestamp),
    )
    names = ("fingerprint", "status", "body", "conversation_id", "created_at")
    return CompiledStatement(
        new.on_conflict_do_update(
            index_elements=[c.digest],
            set_={name: new.excluded[name] for name in names},
            where=c.created_at < bindparam("oldest", type_=Timestamp),
        ).returning(c.digest)
    )
