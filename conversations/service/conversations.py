"""Conversations."""

from datetime import UTC, datetime, timedelta
from typing import Any

from conversations import errors, repository, schemas
from conversations.schemas import CONVERSATION_PREFIX
from conversations.service.keys import conversation_key
from conversations.service.messages import append_messages
from conversations.settings import get_settings
from tenants.db.pagination import Page, decode_cursor, make_page
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.errors import InvalidCursor, InvalidInput
from tenants.ids import find_id, new_id, show_id

# Messages that are indexed anew in one transaction, while nobody else appends to them. Of short
# ones it takes some milliseconds, of the longest two seconds.
_REINDEXED = 100


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
            **new.model_dump(
                include={"user_id", "agent_id", "title", "language", "metadata", "legal_hold"}
            ),
            "retain_until": new.expires_at
            if "expires_at" in new.model_fields_set
            else default_end(session, now),
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
    found = await repository.find_conversation(session, conversation_key(conversation_id))
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
    filters = query.model_dump(exclude={"limit", "after", "order"})
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
    """Change what is given.

    With another language, the newest messages are indexed anew at once, and a job does the others.
    Raises ConversationNotFound (404), InvalidInput (422) if read_seq is beyond the last message.
    """
    values = changes.model_dump(exclude_unset=True)
    if "expires_at" in values:
        values["retain_until"] = values.pop("expires_at")
    changed = await _update(session, conversation_id, values)
    if "language" in values:
        await repository.reindex_messages(session, conversation_key(conversation_id), _REINDEXED)
    return changed


async def reindex_messages(session: WriteSession) -> int | None:
    """Index some messages anew whose conversation has been given another language.

    Returns how many were changed, None if there is nothing to do.
    """
    return await repository.reindex_messages(session, None, _REINDEXED)


async def archive_conversation(session: WriteSession, conversation_id: str) -> schemas.Conversation:
    """Close a conversation to appends; it stays readable. Raises ConversationNotFound (404)."""
    return await _update(session, conversation_id, {"status": "archived"})


async def delete_conversation(session: WriteSession, conversation_id: str) -> None:
    """Hide a conversation and its messages from every read; it can be restored for a while.

    Raises ConversationNotFound (404).
    """
    await _update(session, conversation_id, {"deleted_at": datetime.now(UTC)})


async def restore_conversation(session: WriteSession, conversation_id: str) -> schemas.Conversation:
    """Undo a deletion; one that isn't deleted stays as it is.

    Raises ConversationNotFound (404), also for one whose time to be restored is over.
    """
    now = datetime.now(UTC)
    key = conversation_key(conversation_id)
    restored = await repository.restore_conversation(
        session, key, now=now, deleted_after=now - timedelta(days=get_settings().undo_days)
    )
    return restored or await get_conversation(session, conversation_id)


def default_end(session: ReadSession, start: datetime) -> datetime | None:
    """When a conversation that starts now is to be erased, if its client doesn't say."""
    days = session.tenant.retention_days
    return None if days is None else start + timedelta(days=days)


async def count_usage(session: ReadSession) -> dict[str, int]:
    """How many conversations there are, deleted ones excepted, and how many messages in them."""
    return await repository.count_usage(session)


async def _update(
    session: WriteSession, conversation_id: str, changes: dict[str, Any]
) -> schemas.Conversation:
    updated = await repository.update_conversation(
        session, conversation_key(conversation_id), {**changes, "updated_at": datetime.now(UTC)}
    )
    if updated is None:
        conversation = await get_conversation(session, conversation_id)
        reason = f"The conversation's newest message is at {conversation['last_seq']}."
        raise InvalidInput(errors=[("read_seq", reason)])
    return updated
