"""Reads and persists the conversation log.

Each function is one statement, one round trip. Rows leave in the shape in which the API shows
them.
"""

from conversations.repository.branches import Tree, copy_conversation, list_branches
from conversations.repository.context import History, read_history
from conversations.repository.conversations import (
    count_usage,
    find_conversation,
    insert_conversation,
    list_conversations,
    update_conversation,
)
from conversations.repository.messages import append_messages, find_message, list_messages
from conversations.repository.summaries import delete_summary, insert_summary, list_summaries
from conversations.repository.tool_calls import find_tool_call, list_tool_calls

__all__ = [
    "History",
    "Tree",
    "append_messages",
    "copy_conversation",
    "count_usage",
    "delete_summary",
    "find_conversation",
    "find_message",
    "find_tool_call",
    "insert_conversation",
    "insert_summary",
    "list_branches",
    "list_conversations",
    "list_messages",
    "list_summaries",
    "list_tool_calls",
    "read_history",
    "update_conversation",
]
