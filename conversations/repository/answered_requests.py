"""Answers to requests that may be repeated."""

from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import CursorResult, delete, select

from conversations.statements import (
    ANSWERED_REQUESTS,
    find_answer_statement,
    keep_answer_statement,
)
from tenants.db.unit_of_work import WriteSession


class FoundAnswer(NamedTuple):
    """fingerprint: of the request that was answered. status, body: what it was answered."""

    fingerprint: bytes
    status: int
    body: bytes


async def find_answer(
    session: WriteSession, digest: bytes, oldest: datetime
) -> tuple[bool, FoundAnswer | None]:
    """Whether no other transaction holds this digest, and the answer that is kept under it.

    Until its end this transaction then holds it. An answer from before `oldest` is none.
    """
    (row,) = await session.fetch(
        find_answer_statement(), lock=lock_of(digest), digest=digest, oldest=oldest
    )
    return row["is_free"], read_answer(row)


def lock_of(digest: bytes) -> int:
    """The number of the lock that whoever works on a request holds."""
    return int.from_bytes(digest[:8], signed=True)


def read_answer(row: Any) -> FoundAnswer | None:
    """The answer in a row of `found_answer`, if there is one."""
    if row["status"] is None:
        return None
    return FoundAnswer(row["fingerprint"], row["status"], row["body"])


async def keep_answer(
    session: WriteSession,
    digest: bytes,
    answer: FoundAnswer,
    conversation_id: UUID | None,
    *,
    now: datetime,
    oldest: datetime,
) -> bool:
    """Whether the answer is kept: not if there is another, one from before `oldest` excepted."""
    rows = await session.fetch(
        keep_answer_statement(),
        new_digest=digest,
        new_fingerprint=answer.fingerprint,
        new_status=answer.status,
        new_body=answer.body,
        of_conversation=conversation_id,
        now=now,
        oldest=oldest,
    )
    return bool(rows)


async def delete_answers_before(session: WriteSession, oldest: datetime, limit: int) -> int:
    """Delete up to `limit` answers, the oldest first, passing by those that others hold."""
    c = ANSWERED_REQUESTS.c
    old = (
        select(c.digest)
        .where(c.created_at < oldest)
        .order_by(c.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return await _delete(session, c.digest.in_(old))


async def _delete(session: WriteSession, condition: Any) -> int:
    result = await session.execute(delete(ANSWERED_REQUESTS).where(condition))
    return cast("CursorResult[Any]", result).rowcount
