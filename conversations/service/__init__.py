"""What can be done with conversations. Decides; the repository reads and persists.

Every function takes the session of the caller's transaction first. Ids come as the API shows
them; one that can't be an id is simply not found.
"""

from conversations.service.answered_requests import (
    Answer,
    RepeatableRequest,
    conversation_of,
    find_answer,
    forget_answered_requests,
    keep_answer,
)
from conversations.service.attachments import (
    check_attachments,
    delete_attachment,
    find_strays,
    get_attachment,
    keep_upload,
    open_attachment,
)
from conversations.service.branches import (
    edit_message,
    fork_conversation,
    list_branches,
)
from conversations.service.closing import (
    FIRST_OVERDUE,
    expire_calls,
    list_overdue,
)
from conversations.service.context import build_context
from conversations.service.conversations import (
    archive_conversation,
    change_conversation,
    count_usage,
    default_end,
    delete_conversation,
    get_conversation,
    list_conversations,
    reindex_messages,
    restore_conversation,
    start_conversation,
)
from conversations.service.erasures import (
    begin_conversation_erasure,
    begin_due_erasure,
    begin_user_erasure,
    carry_on,
    get_erasure,
    list_erasures,
    list_unfinished,
)
from conversations.service.export import (
    Page as ExportPage,
)
from conversations.service.export import (
    export_all,
    export_conversation,
    export_user,
    stream_all,
    stream_pages,
)
from conversations.service.feed import (
    follow_conversation,
    open_feed,
    relay_draft,
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
    append_once,
    get_message,
    list_messages,
)
from conversations.service.repair import (
    check_conversation,
    repair_conversation,
)
from conversations.service.search import search
from conversations.service.summaries import (
    add_summary,
    delete_summary,
    list_summaries,
)
from conversations.service.tool_calls import (
    approve_call,
    cancel_call,
    deny_call,
    get_tool_call,
    list_tool_calls,
    report_result,
    start_call,
)
from conversations.service.usage import report_usage
from conversations.service.user_feed import (
    follow_user,
    open_user_feed,
)

__all__ = [
    "FIRST_OVERDUE",
    "PREVIEW_CHARACTERS",
    "Answer",
    "ExportPage",
    "RepeatableRequest",
    "add_summary",
    "append_messages",
    "append_once",
    "approve_call",
    "archive_conversation",
    "begin_conversation_erasure",
    "begin_due_erasure",
    "begin_user_erasure",
    "build_context",
    "cancel_call",
    "carry_on",
    "change_conversation",
    "check_attachments",
    "check_conversation",
    "conversation_of",
    "count_usage",
    "default_end",
    "delete_attachment",
    "delete_conversation",
    "delete_summary",
    "deny_call",
    "edit_message",
    "expire_calls",
    "export_all",
    "export_conversation",
    "export_user",
    "find_answer",
    "find_strays",
    "follow_conversation",
    "follow_user",
    "forget_answered_requests",
    "fork_conversation",
    "get_attachment",
    "get_conversation",
    "get_erasure",
    "get_message",
    "get_tool_call",
    "give_feedback",
    "keep_answer",
    "keep_upload",
    "list_branches",
    "list_conversation_feedback",
    "list_conversations",
    "list_erasures",
    "list_message_feedback",
    "list_messages",
    "list_overdue",
    "list_summaries",
    "list_tool_calls",
    "list_unfinished",
    "open_attachment",
    "open_feed",
    "open_user_feed",
    "reindex_messages",
    "relay_draft",
    "repair_conversation",
    "report_result",
    "report_usage",
    "restore_conversation",
    "search",
    "start_call",
    "start_conversation",
    "stream_all",
    "stream_pages",
    "withdraw_feedback",
]
