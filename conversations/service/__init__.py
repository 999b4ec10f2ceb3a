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
from conversations.service.export import (
    Export,
    export_all,
    export_conversation,
    export_user,
)
from conversations.service.export import (
    Page as ExportPage,
)
from conversations.service.export import (
    read_page as read_export,
)
from conversations.service.messages import (
    PREVIEW_CHARACTERS,
    append_messages,
    get_message,
    list_messages,
)
from conversations.service.tool_calls import list_tool_calls, report_result
from conversations.service.usage import report_usage

__all__ = [
    "PREVIEW_CHARACTERS",
    "Export",
    "ExportPage",
    "append_messages",
    "archive_conversation",
    "change_conversation",
    "count_usage",
    "delete_conversation",
    "export_all",
    "export_conversation",
    "export_user",
    "get_conversation",
    "get_message",
    "list_conversations",
    "list_messages",
    "list_tool_calls",
    "read_export",
    "report_result",
    "report_usage",
    "start_conversation",
]
