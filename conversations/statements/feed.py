"""What the live feed asks for: how far conversations are, and which of a user's were active."""

from functools import cache

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Text,
    Uuid,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from conversations.statements.tables import CONVERSATIONS, IS_KEPT, MESSAGES
from tenants.db.base import Timestamp
from tenants.db.statement import CompiledStatement


@cache
def heads_statement() -> CompiledStatement:
    """`id` and `last_seq` of the conversations with these `ids` that aren't deleted."""
    c = CONVERSATIONS.c
    wanted = bindparam("ids", type_=ARRAY(Uuid))
    return CompiledStatement(select(c.id, c.last_seq).where(c.id == func.any(wanted), IS_KEPT))


@cache
def activity_statement() -> CompiledStatement:
    """For each of the `user_ids` a `signature` of the conversations that were active `since`."""
    c = CONVERSATIONS.c
    head = cast(c.id, Text).op("||")(literal_column("':'")).op("||")(cast(c.last_seq, Text))
    heads = func.string_agg(head, aggregate_order_by(literal_column("','"), c.id))
    return CompiledStatement(
        select(c.user_id, func.hashtextextended(heads, literal_column("0")).label("signature"))
        .where(
            c.user_id == func.any(bindparam("user_ids", type_=ARRAY(Text))),
            c.last_activity_at > bindparam("since", type_=Timestamp),
        )
        .group_by(c.user_id)
    )


@cache
def active_statement() -> CompiledStatement:
    """A user's conversations that were active `since`, in this order and beyond a place in it.

    base: the position of the newest message that was written by `since`, or that a branch took
    over. Deleted conversations are among them, for their messages may have been sent before.
    """
    c = CONVERSATIONS.c
    since = bindparam("since", type_=Timestamp)
    base = (
        select(MESSAGES.c.seq)
        .where(MESSAGES.c.conversation_id == c.id, MESSAGES.c.created_at <= since)
        .order_by(MESSAGES.c.seq.desc())
        .limit(literal_column("1"))
        .scalar_subquery()
    )
    place = tuple_(bindparam("after_activity", type_=Timestamp), bindparam("after_id", type_=Uuid))
    return CompiledStatement(
        select(
            c.id,
            c.last_seq,
            c.last_activity_at,
            func.greatest(base, c.fork_seq, literal_column("0")).label("base"),
        )
        .where(
            c.user_id == bindparam("user_id", type_=Text),
            c.last_activity_at > since,
            tuple_(c.last_activity_at, c.id) > place,
        )
        .order_by(c.last_activity_at, c.id)
        .limit(bindparam("limit", type_=BigInteger))
    )
