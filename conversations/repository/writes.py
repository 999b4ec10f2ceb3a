"""The newest append to a conversation by a client that may repeat it."""

from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from conversations.models import AnsweredRequest
from conversations.statements import CONVERSATIONS
from tenants.db.unit_of_work import ReadSession, WriteSession

_TABLE = AnsweredRequest.metadata.tables["answered_requests"]


async def remember_append(
    session: WriteSession,
    conversation_id: UUID,
    fingerprint: bytes,
    message_id: UUID,
    now: datetime,
) -> None:
    """Record an append before it is made, in place of the conversation's last one.

    Until the transaction ends, `wait_for_append` waits. message_id: its last message's.
    """
    # A lock of its own: rows are not granted to those who wait for them in their order, so a
    # retry could overtake its first attempt. Materialized, so that it comes before the row.
    lock = select(_lock(fingerprint)).cte("lock").prefix_with("MATERIALIZED")
    values = {
        "fingerprint": fingerprint,
        "status": 200,
        # The rest of the answer is read from the log, so that its content is kept there alone.
        "body": message_id.bytes,
        "conversation_id": conversation_id,
        "created_at": now,
    }
    columns = {"digest": _digest(conversation_id), **values}
    row = select(*(literal(value, _TABLE.c[name].type) for name, value in columns.items()))
    await session.execute(
        insert(_TABLE)
        .from_select(list(columns), row.select_from(lock), include_defaults=False)
        .on_conflict_do_update(index_elements=["digest"], set_=values)
    )


async def wait_for_append(session: WriteSession, fingerprint: bytes) -> None:
    """Wait until no append with this fingerprint is under way, and hold up others."""
    await session.execute(select(_lock(fingerprint)))


async def find_append(session: ReadSession, conversation_id: UUID) -> Any | None:
    """The `fingerprint`, `message_id` and `created_at` of what was remembered, and the `last_seq`
    that the conversation has."""
    c = _TABLE.c
    query = (
        select(c.fingerprint, c.body.label("message_id"), c.created_at, CONVERSATIONS.c.last_seq)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == c.conversation_id)
        .where(c.digest == _digest(conversation_id))
    )
    return (await session.execute(query)).first()


def _digest(conversation_id: UUID) -> bytes:
    return sha256(b"newest append to " + conversation_id.bytes).digest()


def _lock(fingerprint: bytes) -> Any:
    # It names its caller, so that those of two tenants are never the same.
    number = int.from_bytes(fingerprint[:8], signed=True)
    return func.pg_advisory_xact_lock(bindparam("lock", number, type_=BigInteger))
