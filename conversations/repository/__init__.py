"""Reads and persists the conversation log.

Each function is one statement, one round trip. Rows leave in the shape in which the API shows
them.
"""

from conversations.repository.closing import (
    close_calls,
    list_overdue,
    list_overdue_in,
    lock_conversation,
)
from conversations.repository.conversations import (
    count_usage,
    find_conversation,
    insert_conversation,
    list_conversations,
    update_conversation,
)
from conversations.repository.messages import append_messages, find_message, list_messages
from conversations.repository.tool_calls import (
    FoundCall,
    change_call,
    find_tool_call,
    list_tool_calls,
    start_call,
)

__all__ = [
    "FoundCall",
    "append_messages",
    "change_call",
    "close_calls",
    "count_usage",
    "find_conversation",
    "find_message",
    "find_tool_call",
    "insert_conversation",
    "list_conversations",
    "list_messages",
    "list_overdue",
    "list_overdue_in",
    "list_tool_calls",
    "lock_conversation",
    "start_call",
    "update_conversation",
]
