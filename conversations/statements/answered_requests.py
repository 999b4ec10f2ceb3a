"""Answers to requests that may be repeated."""

from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    LargeBinary,
    Select,
    SmallInteger,
    Uuid,
    and_,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import Insert, insert

from conversations.statements.tables import ANSWERED_REQUESTS
from tenants.db.base import Timestamp
from tenants.db.statement import CompiledStatement


@cache
def find_answer_statement() -> CompiledStatement:
    """One row, as `found_answer` has it."""
    return CompiledStatement(found_answer())


@cache
def keep_answer_statement() -> CompiledStatement:
    """One row if the answer is kept now; none if there is another that isn't too old."""
    c = ANSWERED_REQUESTS.c
    new = new_answer(
        bindparam("new_body", type_=LargeBinary),
        bindparam("of_conversation", type_=Uuid),
        bindparam("now", type_=Timestamp),
    )
    return CompiledStatement(keep_answer(select(*new)).returning(c.digest))


def found_answer() -> Select[Any]:
    """One row: `is_free`, whether `lock` is now this transaction's, and the answer to `digest` if
    there is one that isn't from before `oldest`.

    The lock ends with the transaction, however that ends, and also behind a transaction pooler.
    """
    c = ANSWERED_REQUESTS.c
    lock = func.pg_try_advisory_xact_lock(bindparam("lock", type_=BigInteger))
    is_kept = and_(
        c.digest == bindparam("digest", type_=LargeBinary),
        c.created_at >= bindparam("oldest", type_=Timestamp),
    )
    once = select(literal_column("1")).subquery("once")
    return select(lock.label("is_free"), c.fingerprint, c.status, c.body).select_from(
        once.outerjoin(ANSWERED_REQUESTS, is_kept)
    )


def new_answer(body: Any, conversation_id: Any, now: Any) -> list[ColumnElement[Any]]:
    """The columns of an answer to keep; those that aren't given are bound."""
    # No names of columns: SQLAlchemy takes such parameters for values to set.
    return [
        bindparam("new_digest", type_=LargeBinary),
        bindparam("new_fingerprint", type_=LargeBinary),
        bindparam("new_status", type_=SmallInteger),
        body,
        conversation_id,
        now,
    ]


def keep_answer(new: Select[Any]) -> Insert:
    """Keep the answers of `new_answer`, each unless there is another that isn't too old."""
    c = ANSWERED_REQUESTS.c
    names = ["digest", "fingerprint", "status", "body", "conversation_id", "created_at"]
    statement = insert(ANSWERED_REQUESTS).from_select(names, new, include_defaults=False)
    return statement.on_conflict_do_update(
        index_elements=[c.digest],
        set_={name: statement.excluded[name] for name in names[1:]},
        where=c.created_at < bindparam("oldest", type_=Timestamp),
    )
