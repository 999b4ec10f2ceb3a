"""The outputs of tool calls that have no result, and the expiry of those that are overdue."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from conversations import repository
from conversations.models import OPEN_CALL_STATUSES
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import new_id

# What a model reads in place of a result.
NO_RESULT = "The tool call has no result."
DENIED = "The tool call was denied."
CANCELLED = "The tool call was cancelled."
EXPIRED = "The tool call expired without a result."

# Deadline, id and conversation of an overdue call.
Overdue = tuple[datetime, UUID, UUID]
FIRST_OVERDUE = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
_CALLS_AT_ONCE = 100


def build_answers(
    statuses: Mapping[str, str], text: str, reason: str | None = None
) -> list[dict[str, Any]]:
    """Rows for `repository.close_calls`. statuses: what calls get, by `call_id`."""
    return [
        {
            "position": position,
            "message_id": new_id(),
            "call_id": call_id,
            "status": status,
            "text": text if reason is None else f"{text} Reason: {reason}",
        }
        for position, (call_id, status) in enumerate(statuses.items(), start=1)
    ]


async def list_overdue(
    session: ReadSession, now: datetime, after: tuple[datetime, UUID], limit: int
) -> list[Overdue]:
    """Open calls whose deadline has passed, in any conversation, the longest overdue first.

    after: deadline and id of the last one that was listed before, at first `FIRST_OVERDUE`.
    """
    return await repository.list_overdue(session, now, after, limit)


async def expire_calls(session: WriteSession, conversation_id: UUID, now: datetime) -> int:
    """Close the overdue calls of a conversation, each with an output that says so.

    Under the head's lock, so that a result that comes at the same moment is either there before or
    refused. An archived or deleted conversation doesn't stand against it: what is read from it must
    be valid, too. It is no activity: the conversation keeps its place in lists.
    Returns how many were closed, a hundred at the most.
    """
    if await repository.lock_conversation(session, conversation_id) is None:
        return 0
    overdue = await repository.list_overdue_in(session, conversation_id, now, _CALLS_AT_ONCE)
    if not overdue:
        return 0
    closed = await repository.close_calls(
        session,
        conversation_id,
        build_answers(dict.fromkeys(overdue, "expired"), EXPIRED),
        allowed=OPEN_CALL_STATUSES,
        active_only=False,
        now=now,
    )
    return len(closed)
