"""Keeping what a request was answered, for the peers on SQLAlchemy: a lock and a look, and a row.

It is Core in both: nothing is gained by making objects of these rows.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from benchmarks.peers.repeats import InUse, Keyed, Reused, oldest_kept
from conversations.models import AnsweredRequest

_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")
_ANSWERS = AnsweredRequest.metadata.tables["answered_requests"]
_c = _ANSWERS.c


async def find_answer(connection: AsyncConnection | AsyncSession, keyed: Keyed) -> Any:
    """`status` and `body` of the answer that was given before; None if the request is new.

    Raises Reused, InUse.
    """
    lock = int.from_bytes(keyed.digest[:8], signed=True)
    is_free = await connection.scalar(_LOCK, {"lock": lock})
    rows = await connection.execute(
        select(_c.fingerprint, _c.status, _c.body).where(
            _c.digest == keyed.digest, _c.created_at >= oldest_kept()
        )
    )
    found = rows.one_or_none()
    if found is not None and found.fingerprint != keyed.fingerprint:
        raise Reused
    if found is None and not is_free:
        raise InUse
    return found


async def keep_answer(
    connection: AsyncConnection | AsyncSession, keyed: Keyed, conversation_id: UUID, body: bytes
) -> None:
    """Raises InUse if there is an answer now."""
    new = insert(_ANSWERS).values(
        digest=keyed.digest,
        fingerprint=keyed.fingerprint,
        status=201,
        body=body,
        conversation_id=conversation_id,
        created_at=datetime.now(UTC),
    )
    names = ("fingerprint", "status", "body", "conversation_id", "created_at")
    kept = await connection.scalar(
        new.on_conflict_do_update(
            index_elements=[_c.digest],
            set_={name: new.excluded[name] for name in names},
            where=_c.created_at < oldest_kept(),
        ).returning(_c.digest)
    )
    if kept is None:
        raise InUse
