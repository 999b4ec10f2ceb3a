"""Reads and persists the conversation log.

Each function is one statement, one round trip. Rows leave in the shape in which the API shows
them.
"""

from conversations.repository.conversations import (
    count_usage,
    find_conversation,
    insert_conversation,
    list_conversations,
    update_conversation,
)
from conversations.repository.messages import (
    append_messages,
    find_message,
    find_repeats,
    list_messages,
    lock_head,
)
from conversations.repository.search import search
from conversations.repository.tool_calls import find_tool_call, list_tool_calls

__all__ = [
    "append_messages",
    "count_usage",
    "find_conversation",
    "find_message",
    "find_repeats",
    "find_tool_call",
    "insert_conversation",
    "list_conversations",
    "list_messages",
    "list_tool_calls",
    "lock_head",
    "search",
    "update_conversation",
]
