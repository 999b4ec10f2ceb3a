"""Deleting items: they are hidden, and their positions stay taken."""

from datetime import UTC, datetime

from conversations import errors, repository
from conversations.schemas import openai as wire
from conversations.service.keys import conversation_key
from conversations.service.messages import PREVIEW_CHARACTERS
from conversations.service.openai.conversations import get_conversation
from conversations.service.openai.reading import find_key, read_items
from tenants.db.unit_of_work import WriteSession


async def delete_item(
    session: WriteSession, conversation_id: str, item_id: str
) -> wire.Conversation:
    """Hide an item from every read. Answers with its conversation.

    A message goes with its last item. A call whose output goes is open again.
    Raises ConversationNotFound, ItemNotFound (404).
    """
    key, now = conversation_key(conversation_id), datetime.now(UTC)
    # So that two who delete the items of one message see each other.
    if await repository.lock_head(session, key) is None:
        raise errors.ConversationNotFound
    for row in await repository.find_item_rows(session, key, item_id, find_key(item_id)):
        items = read_items(row)
        for index, item in items:
            if item["id"] != item_id:
                continue
            if len(items) == 1:
                await repository.hide_message(session, key, row["id"], now, PREVIEW_CHARACTERS)
            elif index == 0:
                await repository.hide_content(session, key, row["id"], now, PREVIEW_CHARACTERS)
            else:
                call = next(call for call in row["calls"] if call["index"] == index - 1)
                await repository.hide_call(session, key, call["id"], now)
            return await get_conversation(session, conversation_id)
    raise errors.ItemNotFound
