"""What can be done with conversations. Decides; the repository reads and persists.

Every function takes the session of the caller's transaction first. Ids come as the API shows
them; one that can't be an id is simply not found.
"""

from conversations.service.conversations import (
    archive_conversation,
    change_conversation,
    count_usage,
    default_end,
    delete_conversation,
    get_conversation,
    list_conversations,
    restore_conversation,
    start_conversation,
)
from conversations.service.feedback import (
    give_feedback,
    list_conversation_feedback,
    list_message_feedback,
    withdraw_feedback,
)
from conversations.service.messages import (
    PREVIEW_CHARACTERS,
    append_messages,
    get_message,
    list_messages,
)
from conversations.service.tool_calls import list_tool_calls, report_result

__all__ = [
    "PREVIEW_CHARACTERS",
    "append_messages",
    "archive_conversation",
    "change_conversation",
    "count_usage",
    "default_end",
    "delete_conversation",
    "get_conversation",
    "get_message",
    "give_feedback",
    "list_conversation_feedback",
    "list_conversations",
    "list_message_feedback",
    "list_messages",
    "list_tool_calls",
    "report_result",
    "restore_conversation",
    "start_conversation",
    "withdraw_feedback",
]
