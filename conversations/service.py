"""What can be done with conversations. Decides; the repository reads and persists.

Every function takes the session of the caller's transaction first. Ids come as the API shows
them; one that can't be an id is simply not found.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict
from uuid import UUID

from conversations import errors, repository, schemas
from conversations.models import OPEN_CALL_STATUSES
from conversations.schemas import CALL_PREFIX, CONVERSATION_PREFIX, MESSAGE_PREFIX
from tenants.db.pagination import Page, decode_cursor, make_page
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.errors import InvalidCursor, TransactionConflict
from tenants.ids import find_id, new_id, show_id

PREVIEW_CHARACTERS = 200
_BEYOND_ANY_SEQ = 2**63 - 1


async def start_conversation(
    session: WriteSession, new: schemas.NewConversation
) -> schemas.ConversationWithMessages:
    """Start a conversation, with its first messages if there are any.

    Raises as `append_messages` does.
    """
    conversation_id, now = new_id(), datetime.now(UTC)
    await repository.insert_conversation(
        session,
        {
            "id": conversation_id,
            **new.model_dump(include={"user_id", "agent_id", "title", "metadata"}),
            "created_at": now,
            "updated_at": now,
            "last_activity_at": now,
        },
    )
    shown = show_id(CONVERSATION_PREFIX, conversation_id)
    messages = await append_messages(session, shown, new.messages) if new.messages else []
    conversation = await get_conversation(session, shown)
    return {**conversation, "messages": messages}


async def get_conversation(session: ReadSession, conversation_id: str) -> schemas.Conversation:
    """Raises ConversationNotFound (404), also for a deleted one."""
    found = await repository.find_conversation(session, _conversation_key(conversation_id))
    if found is None:
        raise errors.ConversationNotFound
    return found


async def list_conversations(
    session: ReadSession, query: schemas.ConversationQuery
) -> Page[schemas.Conversation]:
    """A page by last activity. One that becomes active while a client pages moves to the front:
    a walk from the newest never shows a conversation twice, and may miss one that moved.

    Raises InvalidCursor (400).
    """
    filters = query.model_dump(include={"user_id", "agent_id", "status", "metadata"})
    listing = ["conversations", query.order, filters]
    after = None
    if query.after is not None:
        moment, key = decode_cursor(session.tenant, listing, query.after, [datetime, str])
        last = find_id(CONVERSATION_PREFIX, key)
        if last is None:
            raise InvalidCursor
        after = (moment, last)
    rows = await repository.list_conversations(
        session, filters, descending=query.order == "desc", after=after, limit=query.limit + 1
    )
    positions = [(row["last_activity_at"], row["id"]) for row in rows]
    return make_page(session.tenant, listing, rows, positions, query.limit)


async def change_conversation(
    session: WriteSession, conversation_id: str, changes: schemas.ConversationChanges
) -> schemas.Conversation:
    """Change title, status or metadata. Raises ConversationNotFound (404)."""
    return await _update(session, conversation_id, changes.model_dump(exclude_unset=True))


async def archive_conversation(session: WriteSession, conversation_id: str) -> schemas.Conversation:
    """Close a conversation to appends; it stays readable. Raises ConversationNotFound (404)."""
    return await _update(session, conversation_id, {"status": "archived"})


async def delete_conversation(session: WriteSession, conversation_id: str) -> None:
    """Hide a conversation and its messages from every read. Raises ConversationNotFound (404)."""
    await _update(session, conversation_id, {"status": "deleted"})


async def append_messages(
    session: WriteSession, conversation_id: str, new: Sequence[schemas.NewMessage]
) -> list[schemas.Message]:
    """Append messages with their tool calls: all of them or none, in contiguous positions.

    A message of role `tool` closes the call that it names, which may stand in the same batch.
    Raises ConversationNotFound (404), ConversationArchived, CallIdTaken, ToolCallCompleted
    (409), UnknownToolCall (422).
    """
    return await _append(session, conversation_id, _build_batch(new))


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
        _conversation_key(conversation_id),
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
    conversation_key = _conversation_key(conversation_id)
    message = await repository.find_message(session, conversation_key, key) if key else None
    if message is None:
        raise errors.MessageNotFound
    return message


async def list_tool_calls(
    session: ReadSession, conversation_id: str, query: schemas.ToolCallQuery
) -> Page[schemas.PlacedToolCall]:
    """A page in the log's order. Raises ConversationNotFound (404), InvalidCursor (400)."""
    listing = ["tool_calls", conversation_id, query.open]
    seq, index = 0, 0
    if query.after is not None:
        seq, index = decode_cursor(session.tenant, listing, query.after, [int, int])
    calls = await repository.list_tool_calls(
        session,
        _conversation_key(conversation_id),
        open_only=query.open,
        after=(seq, index),
        limit=query.limit + 1,
    )
    if calls is None:
        raise errors.ConversationNotFound
    positions = [(call["seq"], call["index"]) for call in calls]
    return make_page(session.tenant, listing, calls, positions, query.limit)


async def report_result(
    session: WriteSession, conversation_id: str, call_id: str, result: schemas.CallResult
) -> schemas.PlacedToolCall:
    """Close a tool call with its output or its error, kept as a message of role `tool`.

    The same result once more changes nothing and gets the same answer.
    Raises ToolCallNotFound (404), ToolCallCompleted, ConversationArchived (409).
    """
    found = await repository.find_tool_call(session, _conversation_key(conversation_id), call_id)
    if found is None:
        raise errors.ToolCallNotFound
    call, kept_output = found
    content = result.error if result.output is None else result.output
    batch = _build_batch([schemas.NewMessage(role="tool", call_id=call_id, content=content)])
    (message,), (answer,) = batch["messages"], batch["answers"]
    if call["output_message_id"] is not None:
        if kept_output == (message["text"], message["content"]) and call["error"] == result.error:
            return call
        raise errors.ToolCallCompleted
    if call["status"] not in OPEN_CALL_STATUSES:  # Ended otherwise, without an output.
        raise errors.ToolCallCompleted
    answer["status"] = "succeeded" if result.error is None else "failed"
    answer["error"] = result.error
    try:
        await _append(session, conversation_id, batch)
    except errors.ToolCallCompleted as error:
        # Somebody was faster by a moment, maybe with the same result: look again.
        raise TransactionConflict from error
    return {
        **call,
        "status": "succeeded" if result.error is None else "failed",
        "error": result.error,
        "output_message_id": show_id(MESSAGE_PREFIX, message["id"]),
    }


class _Batch(TypedDict):
    """Rows for `repository.append_messages`."""

    messages: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    answers: list[dict[str, Any]]


def _build_batch(new: Sequence[schemas.NewMessage]) -> _Batch:
    """Give ids to messages and calls, and pair the outputs with calls of the same batch.

    Raises ToolCallCompleted (409) if two messages answer the same call.
    """
    batch: _Batch = {"messages": [], "calls": [], "answers": []}
    open_calls: dict[str, dict[str, Any]] = {}
    answered: set[str] = set()
    for position, message in enumerate(new, start=1):
        parts = message.content if isinstance(message.content, list) else None
        row = {
            "id": new_id(),
            "position": position,
            "role": message.role,
            "content": [part.model_dump() for part in parts] if parts is not None else None,
            "text": "\n".join(part.text for part in parts)
            if parts is not None
            else message.content,
            "call_id": message.call_id,
            "model": message.model,
            "token_count": message.token_count,
        }
        batch["messages"].append(row)
        if message.call_id is not None:
            if message.call_id in answered:
                raise errors.ToolCallCompleted
            answered.add(message.call_id)
            if message.call_id in open_calls:
                open_calls[message.call_id].update(status="succeeded", output_message_id=row["id"])
            else:
                batch["answers"].append(
                    {
                        "call_id": message.call_id,
                        "message_id": row["id"],
                        "status": "succeeded",
                        "error": None,
                    }
                )
        for index, call in enumerate(message.tool_calls):
            open_calls[call.call_id] = {
                "id": new_id(),
                "message_id": row["id"],
                "index": index,
                "call_id": call.call_id,
                "name": call.name,
                "arguments": call.arguments,
                "status": "requested",
                "output_message_id": None,
            }
            batch["calls"].append(open_calls[call.call_id])
    return batch


async def count_usage(session: ReadSession) -> dict[str, int]:
    """How many conversations there are, deleted ones excepted, and how many messages in them."""
    return await repository.count_usage(session)


async def _append(
    session: WriteSession, conversation_id: str, batch: _Batch
) -> list[schemas.Message]:
    now = datetime.now(UTC)
    texts = [row["text"] for row in batch["messages"] if row["text"]]
    base = await repository.append_messages(
        session,
        _conversation_key(conversation_id),
        **batch,
        now=now,
        preview=texts[-1][:PREVIEW_CHARACTERS] if texts else None,
        tokens=sum(row["token_count"] or 0 for row in batch["messages"]),
    )
    if base is None:
        await get_conversation(session, conversation_id)  # Raises if it isn't there.
        raise errors.ConversationArchived
    calls: dict[UUID, list[dict[str, Any]]] = {}
    for call in batch["calls"]:
        calls.setdefault(call["message_id"], []).append(call)
    return [
        _show(row, calls.get(row["id"], []), conversation_id, base, now)
        for row in batch["messages"]
    ]


def _show(
    row: dict[str, Any], calls: list[dict[str, Any]], conversation_id: str, base: int, now: datetime
) -> schemas.Message:
    """A message that was just written, as a read would show it."""
    return {
        "id": show_id(MESSAGE_PREFIX, row["id"]),
        "conversation_id": conversation_id,
        "seq": base + row["position"],
        "role": row["role"],
        "status": "completed",
        "content": row["text"] if row["content"] is None else row["content"],
        "call_id": row["call_id"],
        "model": row["model"],
        "token_count": row["token_count"],
        "tool_calls": [
            {
                "id": show_id(CALL_PREFIX, call["id"]),
                "call_id": call["call_id"],
                "name": call["name"],
                "arguments": call["arguments"],
                "status": call["status"],
                "error": None,
                "output_message_id": show_id(MESSAGE_PREFIX, call["output_message_id"])
                if call["output_message_id"]
                else None,
            }
            for call in calls
        ],
        "created_at": now,
    }


async def _update(
    session: WriteSession, conversation_id: str, changes: dict[str, Any]
) -> schemas.Conversation:
    updated = await repository.update_conversation(
        session, _conversation_key(conversation_id), {**changes, "updated_at": datetime.now(UTC)}
    )
    if updated is None:
        raise errors.ConversationNotFound
    return updated


def _conversation_key(conversation_id: str) -> UUID:
    key = find_id(CONVERSATION_PREFIX, conversation_id)
    if key is None:
        raise errors.ConversationNotFound
    return key
