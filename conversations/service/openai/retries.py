"""Retries of clients that send no idempotency key, recognised as narrowly as it can be done.

The SDK repeats an append whose answer it didn't get, byte for byte, and says so in a header. Such
a repetition is answered with what the earlier attempt wrote, while that is the conversation's
newest and not old. What an attempt was is recorded in its own transaction, one record for each
conversation: only the newest write could ever be meant.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from conversations import repository
from conversations.service.openai.reading import flatten
from conversations.settings import get_settings
from tenants.db.unit_of_work import WriteSession


@dataclass(frozen=True)
class Attempt:
    """A request that its client may repeat.

    fingerprint: of the caller, the path and the body. is_retry: by what the client says.
    """

    fingerprint: bytes
    is_retry: bool

    @classmethod
    def of(cls, caller: str, path: str, body: bytes, retry_count: str) -> "Attempt":
        """retry_count: the header's value; what is no number above zero is no retry."""
        parts = (caller.encode(), path.encode(), body)
        digests = b"".join(sha256(part).digest() for part in parts)
        is_retry = retry_count.isascii() and retry_count.isdigit() and retry_count.strip("0") != ""
        return cls(sha256(digests).digest(), is_retry)


async def find_written(
    session: WriteSession, conversation_id: UUID, attempt: Attempt, count: int
) -> list[dict[str, Any]] | None:
    """The items that the attempt wrote before, None if they are to be written now.

    Waits for an attempt that is under way. count: of its items.
    Raises LockTimeout (503) if that takes too long.
    """
    await repository.wait_for_append(session, attempt.fingerprint)
    record = await repository.find_append(session, conversation_id)
    since = datetime.now(UTC) - timedelta(seconds=get_settings().openai_retry_seconds)
    if record is None or record.fingerprint != attempt.fingerprint or record.created_at < since:
        return None
    rows = await repository.list_rows_from(
        session, conversation_id, record.last_seq - count + 1, count
    )
    # Fewer, if some of them have been deleted since; others, if they aren't the newest any more.
    if len(rows) < count or rows[-1]["id"].bytes != record.message_id:
        return None
    return flatten(rows)


async def remember(
    session: WriteSession, conversation_id: UUID, attempt: Attempt, message_id: UUID
) -> None:
    """To be done before the append, whose last message has the id."""
    await repository.remember_append(
        session, conversation_id, attempt.fingerprint, message_id, datetime.now(UTC)
    )
