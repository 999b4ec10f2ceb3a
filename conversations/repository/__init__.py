"""Reads and persists the conversation log.

Each function is one statement, one round trip. Rows leave in the shape in which the API shows
them.
"""

from conversations.repository.attachments import (
    StoredAttachment,
    count_attachments,
    delete_attachment,
    find_attachment,
    insert_attachment,
    list_storage_names,
)
from conversations.repository.conversations import (
    count_usage,
    find_conversation,
    insert_conversation,
    list_conversations,
    restore_conversation,
    update_conversation,
)
from conversations.repository.feedback import (
    delete_feedback,
    list_conversation_feedback,
    list_message_feedback,
    put_feedback,
)
from conversations.repository.messages import append_messages, find_message, list_messages
from conversations.repository.tool_calls import find_tool_call, list_tool_calls

__all__ = [
    "StoredAttachment",
    "append_messages",
    "count_attachments",
    "count_usage",
    "delete_attachment",
    "delete_feedback",
    "find_attachment",
    "find_conversation",
    "find_message",
    "find_tool_call",
    "insert_attachment",
    "insert_conversation",
    "list_conversation_feedback",
    "list_conversations",
    "list_message_feedback",
    "list_messages",
    "list_storage_names",
    "list_tool_calls",
    "put_feedback",
    "restore_conversation",
    "update_conversation",
]
