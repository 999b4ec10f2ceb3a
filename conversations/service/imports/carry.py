"""Carries one draft into the log, in one transaction: whole, or not at all.

A conversation is written from its beginning, and gone on with at its end. What stands there
already must be what was imported before; nothing is put in between.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from conversations import repository
from conversations.models import OPEN_CALL_STATUSES
from conversations.repository import Head
from conversations.schemas import FEEDBACK_PREFIX, MESSAGE_PREFIX, SUMMARY_PREFIX, TOKEN_KINDS
from conversations.service.imports.drafts import (
    Branch,
    Draft,
    DraftMessage,
    Refused,
    conversation_ids,
    derive_id,
)
from conversations.service.imports.report import Outcome
from conversations.service.messages import PREVIEW_CHARACTERS
from tenants.db.unit_of_work import WriteSession
from tenants.errors import TransactionConflict
from tenants.ids import find_id

_TOKENS = ("token_count", *TOKEN_KINDS)
# A row has all columns, whatever its source says of it.
_MESSAGE: dict[str, Any] = {
    "kind": "message",
    "status": "completed",
    **dict.fromkeys(("content", "text", "language", "call_id", "model", *_TOKENS, "cost")),
    **dict.fromkeys(("external_id", "extra", "deleted_at")),
}
_CALL: dict[str, Any] = {
    "status": "requested",
    "attempts": 0,
    **dict.fromkeys(("error", "deadline", "decided_by", "decided_at", "reason", "external_id")),
    **dict.fromkeys(("extra", "output_message_id", "deleted_at")),
}


async def carry(session: WriteSession, draft: Draft) -> Outcome:
    """Write what is not there yet. Raises Refused, and then the transaction must not be kept."""
    outcome, now = Outcome(), datetime.now(UTC)
    head = await _find_or_insert(session, draft, outcome, now)
    place = _Place(head, draft)
    matched, new = await _compare(session, place, draft, outcome)
    if new:
        await _append(session, place, draft, matched, new, now)
        outcome.imported["messages"] += len(new)
        outcome.imported["tool_calls"] += sum(len(message.calls) for message in new)
    last_seq = new[-1].seq if new else head.last_seq
    await _add_summaries(session, place, draft, last_seq, outcome)
    await _add_feedback(session, place, draft, outcome)
    return outcome


async def link_branches(session: WriteSession, branches: Sequence[Branch]) -> None:
    """Tie what was imported to what it branched off, wherever both are in this tenant."""
    tenant_id = session.tenant.id
    pairs = [
        {"child_id": child, "parent_id": parent}
        for branch in branches
        for child in conversation_ids(tenant_id, branch.source, branch.own_id)
        for parent in conversation_ids(tenant_id, branch.parent_source, branch.parent_own_id)
    ]
    await repository.link_branches(session, pairs)


class _Place:
    """The conversation that a draft is written to, and the ids that things have there.

    In the tenant that they come from things have their own ids, anywhere else derived ones.
    """

    def __init__(self, head: Head, draft: Draft) -> None:
        self.head = head
        self._is_origin = head.id == draft.own_id

    def id_of(self, kind: str, prefix: str, source_id: str) -> UUID:
        own_id = find_id(prefix, source_id) if self._is_origin else None
        return own_id or derive_id(self.head.id, kind, source_id)

    def message_id(self, message: DraftMessage) -> UUID:
        return self.id_of("message", MESSAGE_PREFIX, message.source_id)


async def _find_or_insert(
    session: WriteSession, draft: Draft, outcome: Outcome, now: datetime
) -> Head:
    ids = conversation_ids(session.tenant.id, draft.source, draft.own_id)
    head = await repository.lock_imported(session, ids)
    if head is None:
        if draft.values is None:
            raise Refused("its conversation isn't here: import the line of that one first")
        retain_until = draft.values.get("retain_until")
        if retain_until is not None and retain_until <= now and not draft.values["legal_hold"]:
            raise Refused("the time for which the conversation was to be kept is over")
        if await repository.insert_imported(session, {"id": ids[-1], **draft.values}):
            outcome.imported["conversations"] += 1
            return Head(ids[-1], 0, True)
        # Somebody else just imported it.
        head = await repository.lock_imported(session, ids)
        if head is None:
            raise TransactionConflict
    if not head.is_kept:
        raise Refused("the conversation has been deleted here")
    if draft.values is not None:
        outcome.already_there["conversations"] += 1
    return head


async def _compare(
    session: WriteSession, place: _Place, draft: Draft, outcome: Outcome
) -> tuple[list[DraftMessage], list[DraftMessage]]:
    """The messages that are there, and those to go on with; the others are left out."""
    last_seq = place.head.last_seq
    seqs = [message.seq for message in draft.messages if message.seq <= last_seq]
    stored = await repository.find_message_ids(session, place.head.id, seqs) if seqs else {}
    matched: list[DraftMessage] = []
    new: list[DraftMessage] = []
    reason, refused = None, {}
    for message in draft.messages:
        following = last_seq + len(new) + 1
        if reason is None and message.seq <= last_seq:
            if stored.get(message.seq) == place.message_id(message):
                matched.append(message)
                continue
            reason = f"another message stands at position {message.seq}"
        elif reason is None and message.seq == following:
            new.append(message)
            continue
        elif message.seq < following and message.seq > last_seq:
            outcome.skipped.append((message.line, f"position {message.seq} is given twice"))
            continue
        elif reason is None:
            reason = f"the messages before position {message.seq} are missing"
        refused[message.line] = reason
    outcome.skipped += [(line, str(reason)) for line, reason in refused.items()]
    outcome.already_there["messages"] += len(matched)
    outcome.already_there["tool_calls"] += sum(len(message.calls) for message in matched)
    return matched, new


async def _append(
    session: WriteSession,
    place: _Place,
    draft: Draft,
    matched: Sequence[DraftMessage],
    new: Sequence[DraftMessage],
    now: datetime,
) -> None:
    rows = _message_rows(place, draft, new, now)
    calls, answers = _pair(place, matched, new, rows)
    if await repository.insert_messages(session, rows) < len(rows):
        raise Refused("an id or external_id of a message is in the conversation twice")
    if await repository.insert_calls(session, calls) < len(calls):
        raise Refused("an id, call_id or external_id of a tool call is in the conversation twice")
    if await repository.answer_calls(session, place.head.id, answers) < len(answers):
        raise Refused("a message of role tool names a call that isn't there, or has an output")
    shown = [row for row in rows if row["deleted_at"] is None]
    texts = [row["text"] for row in shown if row["text"]]
    last_seq = rows[-1]["seq"]
    await repository.advance_head(
        session,
        place.head.id,
        {
            "last_seq": last_seq,
            "preview": texts[-1][:PREVIEW_CHARACTERS] if texts else None,
            "read_seq": min(draft.read_seq, last_seq),
            "last_activity_at": max(row["created_at"] for row in rows),
            "message_count": len(shown),
            "tool_call_count": sum(call["deleted_at"] is None for call in calls),
            **{name: sum(row[name] or 0 for row in rows) for name in _TOKENS},
            "cost": sum((Decimal(row["cost"]) for row in rows if row["cost"]), Decimal(0)),
        },
    )


def _message_rows(
    place: _Place, draft: Draft, new: Sequence[DraftMessage], now: datetime
) -> list[dict[str, Any]]:
    """A message without a time has that of the one before it."""
    moment = now if draft.values is None else draft.values["created_at"]
    rows = []
    for message in new:
        moment = message.row["created_at"] or moment
        rows.append(
            {
                **_MESSAGE,
                **message.row,
                "id": place.message_id(message),
                "conversation_id": place.head.id,
                "seq": message.seq,
                "created_at": moment,
            }
        )
    return rows


def _pair(
    place: _Place,
    matched: Sequence[DraftMessage],
    new: Sequence[DraftMessage],
    rows: Sequence[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of new calls, and the answers to those that are there. Raises Refused."""
    known = {call["call_id"]: call for message in matched for call in message.calls}
    calls: dict[str, dict[str, Any]] = {}
    answers: dict[str, dict[str, Any]] = {}
    for message, row in zip(new, rows, strict=True):
        call_id = row["call_id"]
        if call_id in calls:
            call = calls[call_id]
            if call["output_message_id"] is not None:
                raise Refused(f"two messages answer the call {call_id}")
            call["output_message_id"] = row["id"]
            if call["status"] in OPEN_CALL_STATUSES:
                call["status"] = "succeeded"
        elif call_id in answers:
            raise Refused(f"two messages answer the call {call_id}")
        elif call_id is not None:
            answers[call_id] = {
                "call_id": call_id,
                "output_message_id": row["id"],
                **_end_of(known.get(call_id, {})),
            }
        for index, call in enumerate(message.calls):
            if call["call_id"] in calls:
                raise Refused(f"the call_id {call['call_id']} is in the conversation twice")
            calls[call["call_id"]] = _call_row(place, row, index, call)
    return list(calls.values()), list(answers.values())


def _end_of(call: dict[str, Any]) -> dict[str, Any]:
    """How a call ended that has an output, by what its source says of it now."""
    status = call.get("status", "requested")
    is_open = status in OPEN_CALL_STATUSES
    return {"status": "succeeded" if is_open else status, "error": call.get("error")}


def _call_row(
    place: _Place, message: dict[str, Any], index: int, call: dict[str, Any]
) -> dict[str, Any]:
    row = {**_CALL, **call}
    return {
        **row,
        "id": derive_id(place.head.id, "call", call["call_id"]),
        "conversation_id": place.head.id,
        "message_id": message["id"],
        "index": index,
        "created_at": call.get("created_at") or message["created_at"],
        "updated_at": call.get("updated_at") or message["created_at"],
    }


async def _add_summaries(
    session: WriteSession, place: _Place, draft: Draft, last_seq: int, outcome: Outcome
) -> None:
    rows = []
    for line, record in draft.summaries:
        if record.to_seq > last_seq:
            outcome.skipped.append((line, "the conversation has no such messages to sum up"))
            continue
        rows.append(
            {
                **record.model_dump(exclude={"type", "id", "conversation_id"}),
                "id": place.id_of("summary", SUMMARY_PREFIX, record.id),
                "conversation_id": place.head.id,
            }
        )
    inserted = await repository.insert_summaries(session, rows)
    outcome.imported["summaries"] += inserted
    outcome.already_there["summaries"] += len(rows) - inserted


async def _add_feedback(
    session: WriteSession, place: _Place, draft: Draft, outcome: Outcome
) -> None:
    if not draft.feedback:
        return
    seqs = {record.seq for _, record in draft.feedback}
    messages = await repository.find_message_ids(session, place.head.id, sorted(seqs))
    rows = []
    for line, record in draft.feedback:
        if messages.get(record.seq) != place.id_of("message", MESSAGE_PREFIX, record.message_id):
            outcome.skipped.append((line, "the message that it is about isn't there"))
            continue
        rows.append(
            {
                **record.model_dump(exclude={"type", "id", "seq", "conversation_id"}),
                "id": place.id_of("feedback", FEEDBACK_PREFIX, record.id),
                "conversation_id": place.head.id,
                "message_id": messages[record.seq],
            }
        )
    inserted = await repository.insert_feedback(session, rows)
    outcome.imported["feedback"] += inserted
    outcome.already_there["feedback"] += len(rows) - inserted
