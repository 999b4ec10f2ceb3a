"""What is wrong in a conversation, and how it is mended."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from conversations.statements import (
    CALLS,
    CONVERSATIONS,
    IS_OPEN,
    MESSAGE_IS_KEPT,
    MESSAGES,
    check_statement,
)
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import new_id


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong.

    seq, message_id: of the message that it concerns. to_seq: where a gap ends, which begins at seq.
    call_id, index, status: of a tool call. name, kept, counted: a count, what the head says, and
    the rows.
    """

    kind: str
    seq: int | None
    to_seq: int | None
    message_id: UUID | None
    call_id: str | None
    index: int | None
    status: str | None
    name: str | None
    kept: Decimal | None
    counted: Decimal | None


async def find_flaws(
    session: ReadSession, conversation_id: UUID, now: datetime
) -> list[Flaw] | None:
    """What is wrong, up to `FINDINGS_OF_A_KIND` of each kind; None without such a conversation."""
    rows = await session.execute(check_statement(), {"target": conversation_id, "at": now})
    found = [Flaw(*row) for row in rows]
    return [flaw for flaw in found if flaw.kind is not None] if found else None


async def set_counts(
    session: WriteSession, conversation_id: UUID, counts: Mapping[str, Decimal]
) -> None:
    """Write the head's counts; nobody has read beyond its last position."""
    values = {name: CONVERSATIONS.c[name].type.python_type(n) for name, n in counts.items()}
    if "last_seq" in values:
        values["read_seq"] = func.least(CONVERSATIONS.c.read_seq, values["last_seq"])
    await session.execute(
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.id == conversation_id)
        .values(version=CONVERSATIONS.c.version + 1, **values)
    )


async def fill_gap(
    session: WriteSession, conversation_id: UUID, positions: Sequence[int], now: datetime
) -> None:
    """Take positions that are missing with messages that count as deleted.

    So no message has to move, nor a summary, a branch or a cursor that names a position.
    """
    rows = [
        {
            "id": new_id(),
            "conversation_id": conversation_id,
            "seq": seq,
            "role": "system",
            "extra": {"synthetic": True},
            "created_at": now,
            "deleted_at": now,
        }
        for seq in positions
    ]
    await session.execute(insert(MESSAGES), rows)


async def link_outputs(
    session: WriteSession, conversation_id: UUID, call_ids: Collection[str], now: datetime
) -> set[str]:
    """Give calls the first output that names them, and have the open ones succeed by it.

    Returns the `call_id`s of those that have one.
    """
    # All of them first, in one pass: no index leads from a call to what names it.
    first = (
        select(MESSAGES.c.call_id, MESSAGES.c.id)
        .ext(distinct_on(MESSAGES.c.call_id))
        .where(
            MESSAGES.c.conversation_id == conversation_id,
            MESSAGES.c.role == "tool",
            MESSAGES.c.call_id.in_(call_ids),
            MESSAGE_IS_KEPT,
        )
        .order_by(MESSAGES.c.call_id, MESSAGES.c.seq)
        .cte("first")
        .prefix_with("MATERIALIZED")
    )
    statement = (
        update(CALLS)
        .where(CALLS.c.conversation_id == conversation_id, CALLS.c.call_id == first.c.call_id)
        .values(
            output_message_id=first.c.id,
            status=case((IS_OPEN, "succeeded"), else_=CALLS.c.status),
            updated_at=now,
        )
        .returning(CALLS.c.call_id)
    )
    return set((await session.execute(statement)).scalars())


async def hide_messages(
    session: WriteSession, conversation_id: UUID, message_ids: Collection[UUID], now: datetime
) -> None:
    """Delete messages; their positions stay taken."""
    await session.execute(
        update(MESSAGES)
        .where(MESSAGES.c.conversation_id == conversation_id, MESSAGES.c.id.in_(message_ids))
        .values(deleted_at=now)
    )
    await session.execute(
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.id == conversation_id)
        .values(
            version=CONVERSATIONS.c.version + 1,
            message_count=CONVERSATIONS.c.message_count - len(message_ids),
        )
    )
