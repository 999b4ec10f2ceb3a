"""Appending messages with their tool calls."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Text, bindparam, exc, func, select

from conversations import errors
from conversations.models import CLOSED_CALL_STATUSES
from conversations.repository.answered_requests import FoundAnswer, lock_of, read_answer
from conversations.statements import (
    CALL_IS_KEPT,
    CALLS,
    TOTALS,
    append_once_statement,
    append_statement,
    lock_statement,
)
from tenants.db.unit_of_work import ReadSession, WriteSession

_TAKEN = {
    "tool_calls_conversation_id_call_id_key": errors.CallIdTaken,
    "messages_external_id_key": errors.ExternalIdTaken,
    "tool_calls_external_id_key": errors.ExternalIdTaken,
}


class Append(NamedTuple):
    """What is appended.

    messages, calls, answers: rows as `append_statement` declares them. now: the time of the append.
    preview: the newest text, None to keep the old one. totals: what they add to each of `TOTALS`.
    """

    messages: Sequence[Mapping[str, Any]]
    calls: Sequence[Mapping[str, Any]]
    answers: Sequence[Mapping[str, Any]]
    now: datetime
    preview: str | None
    totals: Mapping[str, int | Decimal]


class AppendedOnce(NamedTuple):
    """How it went with an append that is done once.

    is_free: whether nobody else was at it. found: what it was answered before.
    base: the position before its first message, None if nothing was written.
    is_kept: whether its answer is kept.
    """

    is_free: bool
    found: FoundAnswer | None
    base: int | None
    is_kept: bool


async def lock_head(session: WriteSession, conversation_id: UUID) -> int | None:
    """The position of the newest message, which stays so until the transaction ends.

    Returns None if there is no such conversation.
    """
    rows = await session.fetch(lock_statement(), target=conversation_id)
    return rows[0]["last_seq"] if rows else None


async def append_messages(
    session: WriteSession, conversation_id: UUID, append: Append
) -> int | None:
    """Append messages with their tool calls, and close the calls that they answer.

    One statement: it locks the conversation's row, takes the next positions from it, and
    inserts. So positions are contiguous however many append at once.
    Returns the position before the first message, or None, having written nothing, if there is
    no active conversation. Raises CallIdTaken, ExternalIdTaken, ToolCallCompleted (409),
    UnknownToolCall (422).
    """
    statement = append_statement(bool(append.calls), bool(append.answers))
    with _ids_that_are_taken():
        rows = await session.fetch(statement, **_parameters(conversation_id, append))
    if not rows:
        return None
    await _check_answered(session, conversation_id, append, rows[0])
    base: int = rows[0]["base"]
    return base


async def append_once(
    session: WriteSession,
    conversation_id: UUID,
    append: Append,
    parts: Sequence[str],
    *,
    status: int,
    digest: bytes,
    fingerprint: bytes,
    oldest: datetime,
) -> AppendedOnce:
    """Append for a request that its caller may repeat, and keep its answer, in one statement.

    parts: of the answer's body; the messages' positions belong between them. status: the answer's.
    digest, fingerprint, oldest: as `find_answer` has them. Raises as `append_messages` does.
    """
    statement = append_once_statement(bool(append.calls), bool(append.answers))
    with _ids_that_are_taken():
        (row,) = await session.fetch(
            statement,
            **_parameters(conversation_id, append),
            lock=lock_of(digest),
            digest=digest,
            oldest=oldest,
            new_digest=digest,
            new_fingerprint=fingerprint,
            new_status=status,
            answer_parts=parts,
        )
    if row["is_kept"]:
        await _check_answered(session, conversation_id, append, row)
    return AppendedOnce(row["is_free"], read_answer(row), row["base"], row["is_kept"])


def _parameters(conversation_id: UUID, append: Append) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "target": conversation_id,
        "added": len(append.messages),
        "at": append.now,
        "new_preview": append.preview,
        **{f"new_{name}": append.totals[name] for name in TOTALS},
        "message_rows": append.messages,
    }
    if append.calls:
        parameters["call_rows"] = append.calls
    if append.answers:
        parameters["answer_rows"] = append.answers
    return parameters


@contextmanager
def _ids_that_are_taken() -> Iterator[None]:
    try:
        yield
    except exc.IntegrityError as error:
        taken = _TAKEN.get(_constraint(error) or "")
        if taken is None:
            raise
        raise taken from error


async def _check_answered(
    session: ReadSession, conversation_id: UUID, append: Append, row: Any
) -> None:
    """Raises ToolCallAwaitsApproval (409) if an answered call does; else UnknownToolCall (422), or
    ToolCallCompleted (409) if the conversation has them all, unless all have been closed."""
    if not append.answers or (row["answered"] or 0) == len(append.answers):
        return
    call_ids = [answer["call_id"] for answer in append.answers]
    query = select(CALLS.c.status).where(
        CALLS.c.conversation_id == conversation_id,
        CALLS.c.call_id == func.any(bindparam("wanted", call_ids, type_=ARRAY(Text))),
        CALL_IS_KEPT,
    )
    statuses = list((await session.execute(query)).scalars())
    if "awaiting_approval" in statuses:
        raise errors.ToolCallAwaitsApproval
    # One that is open now came with this append, after the message that names it.
    known = sum(status in CLOSED_CALL_STATUSES for status in statuses)
    raise errors.ToolCallCompleted if known == len(call_ids) else errors.UnknownToolCall


def _constraint(error: exc.IntegrityError) -> str | None:
    cause = error.orig.__cause__ if error.orig is not None else None
    return getattr(cause, "constraint_name", None)
