"""The newest append to a conversation by a client that may repeat it."""

from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import select

from conversations.statements import CONVERSATIONS
from conversations.statements.writes import ANSWERED_REQUESTS, remember_statement, take_lock
from tenants.db.unit_of_work import ReadSession, WriteSession


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
    await session.fetch(
        remember_statement(),
        # A lock of its own: rows are not granted to those who wait for them in their order, so a
        # retry could overtake its first attempt.
        lock=_lock(fingerprint),
        new_digest=_digest(conversation_id),
        new_fingerprint=fingerprint,
        new_status=200,
        # The rest of the answer is read from the log, so that its content is kept there alone.
        new_body=message_id.bytes,
        new_conversation_id=conversation_id,
        new_created_at=now,
    )


async def wait_for_append(session: WriteSession, fingerprint: bytes) -> None:
    """Wait until no append with this fingerprint is under way, and hold up others."""
    await session.execute(select(take_lock()), {"lock": _lock(fingerprint)})


async def find_append(session: ReadSession, conversation_id: UUID) -> Any | None:
    """The `fingerprint`, `message_id` and `created_at` of what was remembered, and the `last_seq`
    that the conversation has."""
    c = ANSWERED_REQUESTS.c
    query = (
        select(c.fingerprint, c.body.label("message_id"), c.created_at, CONVERSATIONS.c.last_seq)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == c.conversation_id)
        .where(c.digest == _digest(conversation_id))
    )
    return (await session.execute(query)).first()


def _digest(conversation_id: UUID) -> bytes:
    return sha256(b"newest append to " + conversation_id.bytes).digest()


def _lock(fingerprint: bytes) -> int:
    # It names its caller, so that those of two tenants are never the same.
    return int.from_bytes(fingerprint[:8], signed=True)
