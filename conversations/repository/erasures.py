"""Receipts of erasures, and what they are for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, cast, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB

from conversations import schemas
from conversations.schemas import CONVERSATION_PREFIX, ERASURE_PREFIX
from conversations.statements import (
    ATTACHMENTS,
    CLAIMED,
    CONVERSATIONS,
    ERASURES,
    FEEDBACK,
    IS_CLAIMED,
    family_of,
    is_due,
    open_erasures_statement,
)
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import show_id


async def insert_erasure(session: WriteSession, values: Mapping[str, Any]) -> schemas.Erasure:
    """values: by column name."""
    statement = insert(ERASURES).values(dict(values)).returning(*ERASURES.c)
    return _show_erasure((await session.execute(statement)).one())


async def find_erasure(session: ReadSession, erasure_id: UUID) -> schemas.Erasure | None:
    row = (await session.execute(select(ERASURES).where(ERASURES.c.id == erasure_id))).first()
    return _show_erasure(row) if row is not None else None


async def find_last_erasure(
    session: ReadSession, kind: str, subject: str
) -> schemas.Erasure | None:
    """The newest receipt for a subject."""
    query = (
        select(ERASURES)
        .where(ERASURES.c.subject == subject, ERASURES.c.kind == kind)
        .order_by(ERASURES.c.id.desc())
        .limit(1)
    )
    row = (await session.execute(query)).first()
    return _show_erasure(row) if row is not None else None


async def list_erasures(
    session: ReadSession, filters: Mapping[str, Any], *, before: UUID, limit: int
) -> list[schemas.Erasure]:
    """Up to `limit` receipts, the newest first. filters: `kind` and `subject`, where not None."""
    query = select(ERASURES).where(ERASURES.c.id < before)
    for name, value in filters.items():
        if value is not None:
            query = query.where(ERASURES.c[name] == value)
    rows = await session.execute(query.order_by(ERASURES.c.id.desc()).limit(limit))
    return [_show_erasure(row) for row in rows]


async def list_open_erasures(
    session: ReadSession, *, created_before: datetime, limit: int
) -> list[schemas.Erasure]:
    """Up to `limit` receipts of what isn't done, the oldest first."""
    found = await session.fetch(
        open_erasures_statement(), created_before=created_before, limit=limit
    )
    if not found:
        return []
    query = select(ERASURES).where(ERASURES.c.id.in_([row["id"] for row in found]))
    rows = await session.execute(query.order_by(ERASURES.c.created_at))
    return [_show_erasure(row) for row in rows]


async def add_removed(session: WriteSession, erasure_id: UUID, counts: Mapping[str, int]) -> None:
    """Add to the counts of a receipt."""
    added = func.jsonb_each_text(bindparam("added", dict(counts), type_=JSONB)).table_valued(
        "key", "value", name="added"
    )
    before = func.coalesce(cast(ERASURES.c.removed[added.c.key].astext, BigInteger), 0)
    sums = select(func.jsonb_object_agg(added.c.key, before + cast(added.c.value, BigInteger)))
    await session.execute(
        update(ERASURES)
        .where(ERASURES.c.id == erasure_id)
        .values(removed=ERASURES.c.removed.concat(sums.correlate(ERASURES).scalar_subquery()))
    )


async def complete_erasure(
    session: WriteSession, erasure_id: UUID, now: datetime
) -> schemas.Erasure:
    """Say that all is done; the first to say so is believed."""
    statement = (
        update(ERASURES)
        .where(ERASURES.c.id == erasure_id)
        .values(completed_at=func.coalesce(ERASURES.c.completed_at, literal(now)))
        .returning(*ERASURES.c)
    )
    return _show_erasure((await session.execute(statement)).one())


async def lock_subject(session: WriteSession, key: int) -> None:
    """Wait until nobody else begins to erase the same, until the transaction ends.

    key: 64 bits, which the whole database shares.
    """
    await session.execute(select(func.pg_advisory_xact_lock(literal(key, BigInteger))))


# Claims: what is claimed is hidden for good, and only its erasure is left.


async def claim_conversation(session: WriteSession, conversation_id: UUID, now: datetime) -> bool:
    """Whether there is such a conversation, hidden or not, and no legal hold and no other claim."""
    return bool(await _claim(session, CONVERSATIONS.c.id == conversation_id, now))


async def claim_due(
    session: WriteSession, *, deleted_before: datetime, now: datetime
) -> UUID | None:
    """Claim a conversation whose time is over; None if there is none that nobody else has."""
    due = (
        select(CONVERSATIONS.c.id)
        .where(is_due(deleted_before))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    claimed = await _claim(session, CONVERSATIONS.c.id == due.scalar_subquery(), now)
    return claimed[0] if claimed else None


async def claim_family(session: WriteSession, user_id: str, now: datetime, limit: int) -> int:
    """Claim up to `limit` of a user's conversations and their branches. Returns how many."""
    kin = family_of(user_id)
    wanted = (
        select(CONVERSATIONS.c.id)
        .join(kin, kin.c.id == CONVERSATIONS.c.id)
        .where(~CONVERSATIONS.c.legal_hold, IS_CLAIMED.is_not(True))
        .limit(limit)
    )
    return len(await _claim(session, CONVERSATIONS.c.id.in_(wanted), now))


async def list_claimed_family(session: ReadSession, user_id: str, limit: int) -> list[UUID]:
    """Up to `limit` claimed ones, branches before what they branched off from: a conversation that
    is gone tells nothing of its branches."""
    kin = family_of(user_id)
    query = (
        select(CONVERSATIONS.c.id)
        .join(kin, kin.c.id == CONVERSATIONS.c.id)
        .where(IS_CLAIMED)
        .order_by(kin.c.depth.desc())
        .limit(limit)
    )
    return list(await session.scalars(query))


async def list_held_family(session: ReadSession, user_id: str, limit: int) -> list[str]:
    """Up to `limit` of a user's conversations and their branches that are under legal hold."""
    kin = family_of(user_id)
    query = (
        select(CONVERSATIONS.c.id)
        .join(kin, kin.c.id == CONVERSATIONS.c.id)
        .where(CONVERSATIONS.c.legal_hold)
        .order_by(CONVERSATIONS.c.id)
        .limit(limit)
    )
    return [show_id(CONVERSATION_PREFIX, each) for each in await session.scalars(query)]


async def is_held(session: ReadSession, conversation_id: UUID) -> bool:
    """Whether there is such a conversation, hidden or not, and it is under legal hold."""
    query = select(CONVERSATIONS.c.legal_hold).where(CONVERSATIONS.c.id == conversation_id)
    return bool(await session.scalar(query))


async def is_user(session: ReadSession, user_id: str) -> bool:
    """Whether there is anything of an end user, hidden or not."""
    found = [
        select(literal(1)).where(column == user_id).exists()
        for column in (CONVERSATIONS.c.user_id, ATTACHMENTS.c.user_id, FEEDBACK.c.author)
    ]
    return bool(await session.scalar(select(found[0] | found[1] | found[2])))


async def _claim(session: WriteSession, which: Any, now: datetime) -> list[UUID]:
    c = CONVERSATIONS.c
    statement = (
        update(CONVERSATIONS)
        .where(which, ~c.legal_hold, IS_CLAIMED.is_not(True))
        .values(
            deleted_at=func.coalesce(c.deleted_at, literal(now)),
            retain_until=CLAIMED,
            version=c.version + 1,
        )
        .returning(c.id)
    )
    return list(await session.scalars(statement))


def _show_erasure(row: Any) -> schemas.Erasure:
    counts: schemas.Removed = {
        name: row.removed.get(name, 0) for name in schemas.Removed.__annotations__
    }  # type: ignore[assignment]  # All of its keys.
    return {
        "id": show_id(ERASURE_PREFIX, row.id),
        "kind": row.kind,
        "subject": row.subject,
        "requested_by": row.requested_by,
        "status": "running" if row.completed_at is None else "completed",
        "removed": counts,
        "kept": row.removed.get("kept", []),
        "created_at": row.created_at,
        "completed_at": row.completed_at,
    }
