"""Requests that their callers may repeat: what was answered is kept, and answered again.

An answer is kept in the transaction of what was written. So whatever happens to the connection
afterwards, either both are there or neither is.
"""

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from conversations import errors, repository
from conversations.schemas import CONVERSATION_PREFIX
from conversations.settings import get_settings
from tenants.db.unit_of_work import WriteSession
from tenants.errors import TransactionConflict
from tenants.ids import find_id
from tenants.tenant import TenantRef

# How often a request that is run once more looks whether its first run has ended, and for how
# long in seconds.
_LOOKS = 20
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class RepeatableRequest:
    """A request that its caller has named by a key.

    digest: names tenant, caller and key, and tells nothing of them.
    fingerprint: SHA-256 of all that says what is asked for.
    """

    digest: bytes
    fingerprint: bytes

    @classmethod
    def of(
        cls, tenant: TenantRef, caller_id: str, key: str, asked: Iterable[bytes]
    ) -> "RepeatableRequest":
        """asked: the parts of the request, in an order that is always the same."""
        caller = [b"key", tenant.id.bytes, caller_id.encode(), key.encode()]
        return cls(_hash(caller), _hash(asked))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered. body: the bytes that were sent."""

    status: int
    body: bytes


async def find_answer(
    session: WriteSession, request: RepeatableRequest, *, run_again: bool
) -> Answer | None:
    """What a request was answered before; None if it is new, and then nobody else is at it.

    run_again: a first run of it was cut off, and may hold its key for a moment more.
    Raises IdempotencyKeyReused (422), IdempotencyKeyInUse (409).
    """
    looks = _LOOKS if run_again else 1
    for look in range(looks):
        if look:
            await asyncio.sleep(_PAUSE_SECONDS)
        is_free, found = await repository.find_answer(session, request.digest, oldest_kept())
        if found is not None:
            return as_answer(request, found)
        if is_free:
            return None
    raise errors.IdempotencyKeyInUse


async def keep_answer(
    session: WriteSession,
    request: RepeatableRequest,
    answer: Answer,
    conversation_id: UUID | None,
) -> None:
    """Keep what is about to be answered. conversation_id: what goes when that is erased.

    Raises TransactionConflict if the request was answered in the moment before it was looked for.
    """
    kept = await repository.keep_answer(
        session,
        request.digest,
        repository.FoundAnswer(request.fingerprint, answer.status, answer.body),
        conversation_id,
        now=datetime.now(UTC),
        oldest=oldest_kept(),
    )
    if not kept:
        raise TransactionConflict


def conversation_of(content: Any, conversation_id: str | None) -> UUID | None:
    """The conversation that an answer is about.

    content: what is answered; a conversation, something that names one, or anything else.
    conversation_id: the one in whose path the request was made, if it was in any.
    """
    names = content if isinstance(content, dict) else {}
    for shown in (names.get("id"), names.get("conversation_id"), conversation_id):
        key = find_id(CONVERSATION_PREFIX, shown) if isinstance(shown, str) else None
        if key is not None:
            return key
    return None


async def forget_answered_requests(session: WriteSession, limit: int) -> int:
    """Delete up to `limit` answers that are older than they are kept, and say how many.

    Fewer than `limit` means that no more are left, except what others are deleting just now.
    """
    return await repository.delete_answers_before(session, oldest_kept(), limit)


def as_answer(request: RepeatableRequest, found: repository.FoundAnswer) -> Answer:
    """What was answered before, if it was this. Raises IdempotencyKeyReused (422)."""
    if found.fingerprint != request.fingerprint:
        raise errors.IdempotencyKeyReused
    return Answer(found.status, found.body)


def oldest_kept() -> datetime:
    """Answers from before this moment count no more."""
    return datetime.now(UTC) - timedelta(hours=get_settings().idempotency_hours)


def _hash(parts: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        # After its length, or the end of one could be taken for the beginning of the next.
        digest.update(len(part).to_bytes(8) + part)
    return digest.digest()
