"""Items: appending and reading them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from conversations import errors, repository
from conversations.schemas import openai as wire
from conversations.service.keys import conversation_key
from conversations.service.messages import append
from conversations.service.openai import retries
from conversations.service.openai.reading import find_key, flatten, read_items
from conversations.service.openai.writing import Calls, build_items, check_ids, item_kind
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.errors import InvalidCursor, TransactionConflict


async def append_items(
    session: WriteSession,
    conversation_id: str,
    items: Sequence[dict[str, Any]],
    attempt: retries.Attempt | None = None,
) -> wire.ItemList:
    """Append items in order: all of them or none. Answers them as a read would.

    attempt: None for a request whose retries are not to be recognised.
    Raises ConversationNotFound (404), ConversationArchived, ExternalIdTaken (409).
    """
    key = conversation_key(conversation_id)
    if attempt is not None and attempt.is_retry:
        written = await retries.find_written(session, key, attempt, len(items))
        if written is not None:
            return _list(written, has_more=False)
    calls = await _look(session, key, items)
    batch = build_items(items, calls)
    if attempt is not None:
        await retries.remember(session, key, attempt, batch["messages"][-1]["id"])
    try:
        await append(session, conversation_id, batch)
    except (
        errors.CallIdTaken,
        errors.ExternalIdTaken,
        errors.ToolCallCompleted,
        errors.UnknownToolCall,
    ) as error:
        # Somebody was faster by a moment: look again.
        raise TransactionConflict from error
    by_message: dict[UUID, list[dict[str, Any]]] = {}
    for call in batch["calls"]:
        by_message.setdefault(call["message_id"], []).append(call)
    rows = [{**row, "calls": by_message.get(row["id"], [])} for row in batch["messages"]]
    return _list(flatten(rows), has_more=False)


async def list_items(
    session: ReadSession, conversation_id: str, query: wire.ItemQuery
) -> wire.ItemList:
    """A page by position. Raises ConversationNotFound (404), InvalidCursor (400)."""
    descending = query.order == "desc"
    # Each row has an item at least, but for the one that holds `after`; and one more than the page.
    rows = await repository.list_item_rows(
        session,
        conversation_key(conversation_id),
        descending=descending,
        after=(query.after, find_key(query.after)) if query.after is not None else None,
        limit=query.limit + 2,
    )
    if not rows:
        raise errors.ConversationNotFound
    if query.after is None:
        last = None
    elif rows[0]["after_seq"] is None:
        raise InvalidCursor("There is no such item in this conversation to go on `after`.")
    else:
        last = (rows[0]["after_seq"], rows[0]["after_index"])
    items = []
    for row in rows:
        if row["id"] is None:
            continue  # A page without items still has its one row.
        inside = [((row["seq"], index), item) for index, item in read_items(row)]
        items += [
            item
            for position, item in (reversed(inside) if descending else inside)
            if last is None or (position < last if descending else position > last)
        ]
    return _list(items[: query.limit], has_more=len(items) > query.limit)


async def get_item(session: ReadSession, conversation_id: str, item_id: str) -> dict[str, Any]:
    """Raises ConversationNotFound, ItemNotFound (404)."""
    rows = await repository.find_item_rows(
        session, conversation_key(conversation_id), item_id, find_key(item_id)
    )
    for item in flatten(rows):
        if item["id"] == item_id:
            return item
    raise errors.ItemNotFound


async def _look(session: WriteSession, key: UUID, items: Sequence[dict[str, Any]]) -> Calls:
    """What of the conversation matters to these items; costs nothing where there is nothing.

    Frees what only deleted items hold. Raises ExternalIdTaken (409).
    """
    call_ids = [
        item["call_id"]
        for item in items
        if item_kind(item) in ("function_call", "function_call_output")
        and isinstance(item.get("call_id"), str)
    ]
    item_ids = [item["id"] for item in items if item.get("id") is not None]
    check_ids(items, ())
    calls = Calls()
    if not call_ids and not item_ids:
        return calls
    keys = {made: item_id for item_id in item_ids if (made := find_key(item_id)) is not None}
    held = await repository.find_held(session, key, call_ids, item_ids, list(keys))
    kept = [row for row in held if not row["is_deleted"]]
    check_ids(items, [row["item_id"] or keys.get(row["key"]) for row in kept])
    if any(row["is_deleted"] for row in held):
        # The head first, as whoever deletes what is freed here takes it.
        await repository.lock_head(session, key)
        await repository.free_ids(session, key, call_ids, item_ids)
    calls.taken = {row["call_id"] for row in kept if row["call_id"] is not None}
    calls.open = {row["call_id"] for row in kept if row["is_open"]}
    return calls


def _list(items: list[dict[str, Any]], *, has_more: bool) -> wire.ItemList:
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }
