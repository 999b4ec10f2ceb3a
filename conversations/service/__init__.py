"""What can be done with conversations. Decides; the repository reads and persists.

Every function takes the session of the caller's transaction first. Ids come as the API shows
them; one that can't be an id is simply not found.
"""

from conversations.service.branches import edit_message, fork_conversation, list_branches
from conversations.service.context import build_context
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
from conversations.service.summaries import add_summary, delete_summary, list_summaries
from conversations.service.tool_calls import list_tool_calls, report_result

__all__ = [
    "PREVIEW_CHARACTERS",
    "add_summary",
    "append_messages",
    "archive_conversation",
    "build_context",
    "change_conversation",
    "count_usage",
    "delete_conversation",
    "delete_summary",
    "edit_message",
    "fork_conversation",
    "get_conversation",
    "get_message",
    "list_branches",
    "list_conversations",
    "list_messages",
    "list_summaries",
    "list_tool_calls",
    "report_result",
    "start_conversation",
]
