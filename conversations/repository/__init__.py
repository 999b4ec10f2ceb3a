"""Reads and persists the conversation log.

Each function is one statement, one round trip. Rows leave in the shape in which the API shows
them.
"""

from conversations.repository.answered_requests import (
    FoundAnswer,
    delete_answers_before,
    delete_answers_of,
    find_answer,
    keep_answer,
)
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
from conversations.repository.feed import (
    ActiveConversation,
    list_active,
    sign_conversations,
    sign_users,
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
from conversations.repository.items import (
    find_held,
    find_item_rows,
    free_ids,
    hide_call,
    hide_content,
    hide_message,
    list_item_rows,
    list_rows_from,
)
from conversations.repository.messages import (
    append_messages,
    find_message,
    list_messages,
    lock_head,
)
from conversations.repository.tool_calls import (
    find_tool_call,
    list_tool_calls,
)
from conversations.repository.usage import sum_usage
from conversations.repository.writes import (
    find_append,
    remember_append,
    wait_for_append,
)

__all__ = [
    "FIRST_KEY",
    "ActiveConversation",
    "FoundAnswer",
    "Head",
    "Key",
    "Row",
    "advance_head",
    "answer_calls",
    "append_messages",
    "count_usage",
    "delete_answers_before",
    "delete_answers_of",
    "find_answer",
    "find_append",
    "find_conversation",
    "find_held",
    "find_item_rows",
    "find_message",
    "find_message_ids",
    "find_tool_call",
    "free_ids",
    "hide_call",
    "hide_content",
    "hide_message",
    "insert_calls",
    "insert_conversation",
    "insert_feedback",
    "insert_imported",
    "insert_messages",
    "insert_summaries",
    "keep_answer",
    "link_branches",
    "list_active",
    "list_conversations",
    "list_heads",
    "list_item_rows",
    "list_messages",
    "list_rows_from",
    "list_tool_calls",
    "lock_conversation",
    "lock_head",
    "read_attachments",
    "read_feedback",
    "read_loose_attachments",
    "read_messages",
    "read_summaries",
    "remember_append",
    "sign_conversations",
    "sign_users",
    "sum_usage",
    "update_conversation",
    "wait_for_append",
]
