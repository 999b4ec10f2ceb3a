"""Messages, with their tool calls."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import orjson

from conversations import errors, repository, schemas
from conversations.schemas import CALL_PREFIX, MESSAGE_PREFIX
from conversations.service.answered_requests import (
    Answer,
    RepeatableRequest,
    as_answer,
    oldest_kept,
)
from conversations.service.attachments import check_attachments
from conversations.service.batch import Batch, build_batch, list_attachments, sum_up
from conversations.service.keys import conversation_key
from conversations.service.repeats import pick_new
from tenants.db.pagination import Page, decode_cursor, make_page
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.errors import TransactionConflict
from tenants.ids import find_id, show_id

PREVIEW_CHARACTERS = 200
_BEYOND_ANY_SEQ = 2**63 - 1
_CREATED = 201
# What stands for a position that isn't known yet; JSON has no such character anywhere else.
_NUL: Any = orjson.Fragment(b"\0")


async def append_messages(
    session: WriteSession,
    conversation_id: str,
    new: Sequence[schemas.NewMessage],
    *,
    expected_seq: int | None = None,
) -> list[schemas.Message]:
    """Append messages with their tool calls: all of them or none, in contiguous positions.

    A message of role `tool` closes the call that it names, which may stand in the same batch.
    One whose external id the conversation has is not written again, but answered as it is there.
    expected_seq: where the newest message must stand, if anything is to be written.
    Raises ConversationNotFound (404), ConversationArchived, CallIdTaken, ExternalIdTaken,
    ToolCallCompleted, ToolCallAwaitsApproval (409), SeqMismatch (412), UnknownToolCall,
    UnknownAttachment (422).
    """
    named = [message.external_id for message in new if message.external_id is not None]
    if expected_seq is None and not named:
        return await append(session, conversation_id, build_batch(new))
    key = conversation_key(conversation_id)
    last_seq = await repository.lock_head(session, key)
    if last_seq is None:
        raise errors.ConversationNotFound
    # Only now: whoever had the lock before may have written them.
    kept = await repository.find_repeats(session, key, named) if named else {}
    fresh = pick_new(new, kept)
    if fresh and expected_seq not in (None, last_seq):
        raise errors.SeqMismatch(last_seq)
    written = await append(session, conversation_id, build_batch(fresh)) if fresh else []
    by_external_id = {
        message["external_id"]: message for message in (*kept.values(), *written) if message
    }
    unnamed = (message for message in written if message["external_id"] is None)
    return [
        next(unnamed) if message.external_id is None else by_external_id[message.external_id]
        for message in new
    ]


async def list_messages(
    session: ReadSession, conversation_id: str, query: schemas.MessageQuery
) -> Page[schemas.Message]:
    """A page by position. Raises ConversationNotFound (404), InvalidCursor (400)."""
    listing = ["messages", conversation_id, query.order]
    descending = query.order == "desc"
    after = _BEYOND_ANY_SEQ if descending else 0
    if query.after is not None:
        (after,) = decode_cursor(session.tenant, listing, query.after, [int])
    messages = await repository.list_messages(
        session,
        conversation_key(conversation_id),
        descending=descending,
        after=after,
        limit=query.limit + 1,
    )
    if messages is None:
        raise errors.ConversationNotFound
    positions = [(message["seq"],) for message in messages]
    return make_page(session.tenant, listing, messages, positions, query.limit)


async def get_message(
    session: ReadSession, conversation_id: str, message_id: str
) -> schemas.Message:
    """Raises ConversationNotFound, MessageNotFound (404)."""
    key = find_id(MESSAGE_PREFIX, message_id)
    conversation = conversation_key(conversation_id)
    message = await repository.find_message(session, conversation, key) if key else None
    if message is None:
        raise errors.MessageNotFound
    return message


async def append(
    session: WriteSession, conversation_id: str, batch: Batch
) -> list[schemas.Message]:
    """Append what has been made out of messages. Raises as `append_messages` does."""
    key = conversation_key(conversation_id)
    rows = await _prepare(session, batch)
    base = await repository.append_messages(session, key, rows)
    if base is None:
        await _raise_not_active(session, key)
    return _show(batch, conversation_id, rows.now, lambda position: base + position)


async def append_once(
    session: WriteSession,
    conversation_id: str,
    new: Sequence[schemas.NewMessage],
    request: RepeatableRequest,
    write: Callable[[list[schemas.Message]], bytes],
) -> tuple[Answer, bool]:
    """Append messages for a request with a key, as `append_messages` does, in one statement.

    They have no external ids. write: makes the answer's body of the messages; what it does
    with their positions is to write them as JSON.
    Returns the answer, status 201, and whether it is that of a request that was done before.
    Raises as `append_messages` and `find_answer` do, and TransactionConflict.
    """
    key = conversation_key(conversation_id)
    batch = build_batch(new)
    rows = await _prepare(session, batch)
    body = write(_show(batch, conversation_id, rows.now, lambda _position: _NUL))
    parts = body.decode().split("\0")
    try:
        done = await repository.append_once(
            session,
            key,
            rows,
            parts,
            status=_CREATED,
            digest=request.digest,
            fingerprint=request.fingerprint,
            oldest=oldest_kept(),
        )
    except errors.CallIdTaken as error:
        # Perhaps by the first run of this very request, which ended in the moment between the
        # look for its answer and the lock. Whoever tries again sees what it was.
        raise TransactionConflict from error
    if done.found is not None:
        return as_answer(request, done.found), True
    if not done.is_free:
        raise errors.IdempotencyKeyInUse
    if done.base is None:
        await _raise_not_active(session, key)
    if not done.is_kept:
        raise TransactionConflict
    seqs = [str(done.base + row["position"]) for row in batch["messages"]]
    texts = (text for pair in zip(parts, [*seqs, ""], strict=True) for text in pair)
    return Answer(_CREATED, "".join(texts).encode()), False


async def _prepare(session: ReadSession, batch: Batch) -> repository.Append:
    """Raises UnknownAttachment (422)."""
    if attachments := list_attachments(batch):
        await check_attachments(session, attachments)
    texts = [row["text"] for row in batch["messages"] if row["text"]]
    return repository.Append(
        **batch,
        now=datetime.now(UTC),
        preview=texts[-1][:PREVIEW_CHARACTERS] if texts else None,
        totals=sum_up(batch),
    )


async def _raise_not_active(session: ReadSession, key: UUID) -> NoReturn:
    """Raises ConversationArchived (409), ConversationNotFound (404)."""
    is_there = await repository.find_conversation(session, key) is not None
    raise errors.ConversationArchived if is_there else errors.ConversationNotFound


def _show(
    batch: Batch, conversation_id: str, now: datetime, seq_of: Callable[[int], Any]
) -> list[schemas.Message]:
    """Messages that are being written, as a read will show them."""
    calls: dict[UUID, list[dict[str, Any]]] = {}
    for call in batch["calls"]:
        calls.setdefault(call["message_id"], []).append(call)
    return [
        _show_message(row, calls.get(row["id"], []), conversation_id, seq_of(row["position"]), now)
        for row in batch["messages"]
    ]


def _show_message(
    row: dict[str, Any], calls: list[dict[str, Any]], conversation_id: str, seq: int, now: datetime
) -> schemas.Message:
    return {
        "id": show_id(MESSAGE_PREFIX, row["id"]),
        "conversation_id": conversation_id,
        "seq": seq,
        "role": row["role"],
        "kind": row.get("kind", "message"),
        "status": row.get("status", "completed"),
        "content": row["text"] if row["content"] is None else row["content"],
        "call_id": row["call_id"],
        "external_id": row["external_id"],
        "model": row["model"],
        "token_count": row["token_count"],
        "usage": schemas.show_usage(row),
        "cost": row["cost"],
        "tool_calls": [
            {
                "id": show_id(CALL_PREFIX, call["id"]),
                "call_id": call["call_id"],
                "name": call["name"],
                "arguments": call["arguments"],
                "status": call["status"],
                "error": None,
                "attempts": 0,
                "deadline": call["deadline"],
                "decided_by": None,
                "decided_at": None,
                "reason": None,
                "output_message_id": show_id(MESSAGE_PREFIX, call["output_message_id"])
                if call["output_message_id"]
                else None,
                "created_at": now,
                "updated_at": now,
            }
            for call in calls
        ],
        "created_at": now,
    }
