"""What the live feed asks for."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from conversations.statements import active_statement, activity_statement, heads_statement
from tenants.db.unit_of_work import ReadSession


class ActiveConversation(NamedTuple):
    """base: the position of its newest message that was written by the time asked for, or that it
    took over from where it branched off, or 0."""

    id: UUID
    last_seq: int
    last_activity_at: datetime
    base: int


async def sign_conversations(session: ReadSession, ids: Sequence[UUID]) -> dict[UUID, int]:
    """How far each of these conversations is; deleted and unknown ones are missing."""
    rows = await session.fetch(heads_statement(), ids=ids)
    return {row["id"]: row["last_seq"] for row in rows}


async def sign_users(
    session: ReadSession, user_ids: Sequence[str], since: datetime
) -> dict[str, int]:
    """What stands for all that these users' conversations, if active since, have in them.

    Users of whom none was active are missing.
    """
    rows = await session.fetch(activity_statement(), user_ids=user_ids, since=since)
    return {row["user_id"]: row["signature"] for row in rows}


async def list_active(
    session: ReadSession,
    user_id: str,
    since: datetime,
    *,
    after: tuple[datetime, UUID],
    limit: int,
) -> list[ActiveConversation]:
    """Up to `limit` conversations of a user by last activity, those active since that time.

    after: the last activity and id of the one before. Deleted ones are among them.
    """
    rows = await session.fetch(
        active_statement(),
        user_id=user_id,
        since=since,
        after_activity=after[0],
        after_id=after[1],
        limit=limit,
    )
    return [
        ActiveConversation(
            UUID(int=row["id"].int), row["last_seq"], row["last_activity_at"], row["base"]
        )
        for row in rows
    ]
