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


def given_call_id(call_id: str | None) -> str | None:
    """The `call_id` as a client gave it, also if its call was deleted and another one has it now.

    See `repository.free_ids`.
    """
    return call_id and call_id.partition(" ")[0]
