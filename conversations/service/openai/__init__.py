"""The OpenAI wire: conversations and their items, over the same log.

A message is an item, and so is each of its tool calls: a message with content and two calls is
three items in order. Whatever else the wire has is kept as it came, as a message of that kind.
"""

from conversations.service.openai.conversations import (
    change_conversation,
    delete_conversation,
    get_conversation,
    start_conversation,
)
from conversations.service.openai.deleting import delete_item
from conversations.service.openai.items import append_items, get_item, list_items
from conversations.service.openai.retries import Attempt

__all__ = [
    "Attempt",
    "append_items",
    "change_conversation",
    "delete_conversation",
    "delete_item",
    "get_conversation",
    "get_item",
    "list_items",
    "start_conversation",
]
