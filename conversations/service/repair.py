"""Looks for what is wrong in a conversation, and mends it.

What a client sends can't do any of this harm; people with the database's password, a restored
backup or a defect can.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain, islice
from uuid import UUID

from conversations import errors, repository, schemas
from conversations.models import CLOSED_CALL_STATUSES, OPEN_CALL_STATUSES
from conversations.repository import Flaw
from conversations.schemas import MESSAGE_PREFIX
from conversations.service.closing import EXPIRED, NO_RESULT, build_answers
from conversations.service.keys import conversation_key
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import show_id

# What mends one thing can show another, which the next round mends.
_ROUNDS = 20
_POSITIONS_AT_ONCE = 1000

_FOUND = {
    "overdue_call": "The call `{call_id}` is `{status}`, and its deadline has passed.",
    "open_call_with_output": "The call `{call_id}` is `{status}`, though it has an output.",
    "call_without_output": "The call `{call_id}` is `{status}`, and has no output.",
    "output_without_call": "The output of `{call_id}` belongs to no call.",
    "gap_in_seq": "The positions {seq} to {to_seq} are missing.",
    "wrong_count": "`{name}` is {kept}, and should be {counted}.",
}


async def check_conversation(session: ReadSession, conversation_id: str) -> schemas.Check:
    """What is wrong in a conversation. Raises ConversationNotFound (404)."""
    flaws = await _find_flaws(session, conversation_key(conversation_id), datetime.now(UTC))
    return {"ok": not flaws, "findings": [_show(flaw) for flaw in flaws]}


async def repair_conversation(session: WriteSession, conversation_id: str) -> schemas.Repair:
    """Mend what is wrong in a conversation, archived or not, under its head's lock.

    Returns what was mended, and whether that was all. Raises ConversationNotFound (404).
    """
    key, now = conversation_key(conversation_id), datetime.now(UTC)
    await repository.lock_conversation(session, key)
    mended: list[Flaw] = []
    flaws = await _find_flaws(session, key, now)
    for _ in range(_ROUNDS):
        if not flaws:
            break
        await _mend(session, key, flaws, now)
        mended += flaws
        flaws = await _find_flaws(session, key, now)
    return {"ok": not flaws, "mended": [_show(flaw) for flaw in mended]}


async def _find_flaws(session: ReadSession, key: UUID, now: datetime) -> list[Flaw]:
    flaws = await repository.find_flaws(session, key, now)
    if flaws is None:
        raise errors.ConversationNotFound
    return flaws


async def _mend(session: WriteSession, key: UUID, flaws: Sequence[Flaw], now: datetime) -> None:
    """Mend all kinds, the head first, since what is appended is numbered by it."""
    counts = {
        flaw.name: flaw.counted
        for flaw in flaws
        if flaw.name is not None and flaw.counted is not None
    }
    if counts:
        await repository.set_counts(session, key, counts)
    gaps = [range(flaw.seq or 0, (flaw.to_seq or 0) + 1) for flaw in _of_kind(flaws, "gap_in_seq")]
    if gaps:
        missing = list(islice(chain.from_iterable(gaps), _POSITIONS_AT_ONCE))
        await repository.fill_gap(session, key, missing, now)
    orphans = [flaw.message_id for flaw in _of_kind(flaws, "output_without_call")]
    if orphans:
        await repository.hide_messages(session, key, [each for each in orphans if each], now)
    await _give_outputs(session, key, flaws, now)


async def _give_outputs(
    session: WriteSession, key: UUID, flaws: Sequence[Flaw], now: datetime
) -> None:
    """Let each call have an output: one that names it, or else one that says there is none."""
    statuses = {flaw.call_id or "": flaw.status or "" for flaw in flaws if flaw.status}
    if not statuses:
        return
    linked = await repository.link_outputs(session, key, list(statuses), now)
    rest = {call_id: status for call_id, status in statuses.items() if call_id not in linked}
    overdue = {each: "expired" for each, status in rest.items() if status in OPEN_CALL_STATUSES}
    ended = {each: status for each, status in rest.items() if each not in overdue}
    for answers, allowed in (
        (build_answers(overdue, EXPIRED), OPEN_CALL_STATUSES),
        (build_answers(ended, NO_RESULT), CLOSED_CALL_STATUSES),
    ):
        if answers:
            await repository.close_calls(
                session,
                key,
                answers,
                allowed=allowed,
                active_only=False,
                now=now,
            )


def _of_kind(flaws: Sequence[Flaw], kind: str) -> list[Flaw]:
    return [flaw for flaw in flaws if flaw.kind == kind]


def _show(flaw: Flaw) -> schemas.Finding:
    fields = {name: getattr(flaw, name) for name in flaw.__slots__}
    return {
        "kind": flaw.kind,
        "detail": _FOUND[flaw.kind].format(**fields),
        "seq": flaw.seq,
        "message_id": show_id(MESSAGE_PREFIX, flaw.message_id) if flaw.message_id else None,
        "call_id": flaw.call_id,
    }
