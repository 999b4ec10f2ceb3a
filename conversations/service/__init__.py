"""What can be done with conversations. Decides; the repository reads and persists.

Every function takes the session of the caller's transaction first. Ids come as the API shows
them; one that can't be an id is simply not found.
"""

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
from conversations.service.search import search
from conversations.service.tool_calls import list_tool_calls, report_result

__all__ = [
    "PREVIEW_CHARACTERS",
    "append_messages",
    "archive_conversation",
    "change_conversation",
    "count_usage",
    "delete_conversation",
    "get_conversation",
    "get_message",
    "list_conversations",
    "list_messages",
    "list_tool_calls",
    "report_result",
    "search",
    "start_conversation",
]
