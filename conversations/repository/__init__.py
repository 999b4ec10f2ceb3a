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
from conversations.repository.repair import (
    Flaw,
    fill_gap,
    find_flaws,
    hide_messages,
    link_outputs,
    set_counts,
)
from conversations.repository.tool_calls import (
    FoundCall,
    change_call,
    find_tool_call,
    list_tool_calls,
    start_call,
)

__all__ = [
    "Flaw",
    "FoundCall",
    "append_messages",
    "change_call",
    "close_calls",
    "count_usage",
    "fill_gap",
    "find_conversation",
    "find_flaws",
    "find_message",
    "find_tool_call",
    "hide_messages",
    "insert_conversation",
    "link_outputs",
    "list_conversations",
    "list_messages",
    "list_overdue",
    "list_overdue_in",
    "list_tool_calls",
    "lock_conversation",
    "set_counts",
    "start_call",
    "update_conversation",
]
