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
from conversations.repository.export import (
    FIRST_KEY,
    Key,
    Row,
    list_heads,
    read_attachments,
    read_feedback,
    read_loose_attachments,
    read_messages,
    read_summaries,
)
from conversations.repository.imports import (
    Head,
    advance_head,
    answer_calls,
    find_message_ids,
    insert_calls,
    insert_feedback,
    insert_imported,
    insert_messages,
    insert_summaries,
    link_branches,
    lock_conversation,
)
from conversations.repository.messages import append_messages, find_message, list_messages
from conversations.repository.tool_calls import find_tool_call, list_tool_calls
from conversations.repository.usage import sum_usage

__all__ = [
    "FIRST_KEY",
    "Head",
    "Key",
    "Row",
    "advance_head",
    "answer_calls",
    "append_messages",
    "count_usage",
    "find_conversation",
    "find_message",
    "find_message_ids",
    "find_tool_call",
    "insert_calls",
    "insert_conversation",
    "insert_feedback",
    "insert_imported",
    "insert_messages",
    "insert_summaries",
    "link_branches",
    "list_conversations",
    "list_heads",
    "list_messages",
    "list_tool_calls",
    "lock_conversation",
    "read_attachments",
    "read_feedback",
    "read_loose_attachments",
    "read_messages",
    "read_summaries",
    "sum_usage",
    "update_conversation",
]
