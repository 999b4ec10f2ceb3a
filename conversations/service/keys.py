"""Ids, as the API shows them and as the tables hold them."""

from uuid import UUID

from conversations import errors
from conversations.schemas import CONVERSATION_PREFIX
from tenants.ids import find_id


def conversation_key(conversation_id: str) -> UUID:
    key = find_id(CONVERSATION_PREFIX, conversation_id)
    if key is None:
        raise errors.ConversationNotFound
    return key
