"""What can be done with conversations. Decides; the repository reads and persists.

Every function takes the session of the caller's transaction first. Ids come as the API shows
them; one that can't be an id is simply not found.
"""

from conversations.service.closing import FIRST_OVERDUE, expire_calls, list_overdue
from conversations.service.conversations import (
    archive_conversation,
    change_conversation,
    count_usage,
    delete_conversation,
    get_conversation,
    list_conversations,
    start_conversation,
)
from conversations.service.messages import (
    PREVIEW_CHARACTERS,
    append_messages,
    get_message,
    list_messages,
)
from conversations.service.repair import check_conversation, repair_conversation
from conversations.service.tool_calls import (
    approve_call,
    cancel_call,
    deny_call,
    get_tool_call,
    list_tool_calls,
    report_result,
    start_call,
)

__all__ = [
    "FIRST_OVERDUE",
    "PREVIEW_CHARACTERS",
    "append_messages",
    "approve_call",
    "archive_conversation",
    "cancel_call",
    "change_conversation",
    "check_conversation",
    "count_usage",
    "delete_conversation",
    "deny_call",
    "expire_calls",
    "get_conversation",
    "get_message",
    "get_tool_call",
    "list_conversations",
    "list_messages",
    "list_overdue",
    "list_tool_calls",
    "repair_conversation",
    "report_result",
    "start_call",
    "start_conversation",
]
