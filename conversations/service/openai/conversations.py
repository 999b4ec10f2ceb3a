"""Conversations, as the OpenAI wire has them."""

from typing import Any

from conversations import schemas
from conversations.schemas import openai as wire
from conversations.service import conversations
from conversations.service.openai.items import append_items
from tenants.db.unit_of_work import ReadSession, WriteSession


async def start_conversation(session: WriteSession, new: wire.NewConversation) -> wire.Conversation:
    """Start a conversation, with its first items if there are any.

    Raises ExternalIdTaken (409) if an id comes twice.
    """
    # Unchecked: the wire's limits of metadata are others than the native ones.
    started = await conversations.start_conversation(
        session, schemas.NewConversation.model_construct(metadata=new.metadata or {})
    )
    if new.items:
        await append_items(session, started["id"], new.items)
    return _show(started)


async def get_conversation(session: ReadSession, conversation_id: str) -> wire.Conversation:
    """Raises ConversationNotFound (404)."""
    return _show(await conversations.get_conversation(session, conversation_id))


async def change_conversation(
    session: WriteSession, conversation_id: str, changes: wire.ConversationChanges
) -> wire.Conversation:
    """Replace the metadata. Raises ConversationNotFound (404)."""
    replaced = schemas.ConversationChanges.model_construct(metadata=changes.metadata or {})
    return _show(await conversations.change_conversation(session, conversation_id, replaced))


async def delete_conversation(
    session: WriteSession, conversation_id: str
) -> wire.DeletedConversation:
    """Hide a conversation from every read. Raises ConversationNotFound (404)."""
    await conversations.delete_conversation(session, conversation_id)
    return {"id": conversation_id, "object": "conversation.deleted", "deleted": True}


def _show(conversation: Any) -> wire.Conversation:
    return {
        "id": conversation["id"],
        "object": "conversation",
        "created_at": int(conversation["created_at"].timestamp()),
        "metadata": conversation["metadata"],
    }
