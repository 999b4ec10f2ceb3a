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
from conversations.repository.feed import (
    ActiveConversation,
    list_active,
    sign_conversations,
    sign_users,
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
from conversations.repository.writes import (
    find_append,
    remember_append,
    wait_for_append,
)

__all__ = [
    "ActiveConversation",
    "FoundAnswer",
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
    "find_tool_call",
    "free_ids",
    "hide_call",
    "hide_content",
    "hide_message",
    "insert_conversation",
    "keep_answer",
    "list_active",
    "list_conversations",
    "list_item_rows",
    "list_messages",
    "list_rows_from",
    "list_tool_calls",
    "lock_head",
    "remember_append",
    "sign_conversations",
    "sign_users",
    "update_conversation",
    "wait_for_append",
]
