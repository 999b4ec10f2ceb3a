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
from conversations.repository.erasing import (
    erase_attachments,
    erase_conversation,
    erase_feedback_of,
    erase_messages,
    list_files_in,
    list_files_of,
)
from conversations.repository.erasures import (
    add_removed,
    claim_conversation,
    claim_due,
    claim_family,
    complete_erasure,
    find_erasure,
    find_last_erasure,
    insert_erasure,
    is_held,
    is_user,
    list_claimed_family,
    list_erasures,
    list_held_family,
    list_open_erasures,
    lock_subject,
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
    "add_removed",
    "append_messages",
    "claim_conversation",
    "claim_due",
    "claim_family",
    "complete_erasure",
    "count_attachments",
    "count_usage",
    "delete_attachment",
    "delete_feedback",
    "erase_attachments",
    "erase_conversation",
    "erase_feedback_of",
    "erase_messages",
    "find_attachment",
    "find_conversation",
    "find_erasure",
    "find_last_erasure",
    "find_message",
    "find_tool_call",
    "insert_attachment",
    "insert_conversation",
    "insert_erasure",
    "is_held",
    "is_user",
    "list_claimed_family",
    "list_conversation_feedback",
    "list_conversations",
    "list_erasures",
    "list_files_in",
    "list_files_of",
    "list_held_family",
    "list_message_feedback",
    "list_messages",
    "list_open_erasures",
    "list_storage_names",
    "list_tool_calls",
    "lock_subject",
    "put_feedback",
    "restore_conversation",
    "update_conversation",
]
