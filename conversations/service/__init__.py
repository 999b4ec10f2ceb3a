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
    forget_answers_of,
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
    get_message,
    list_messages,
)
from conversations.service.tool_calls import (
    list_tool_calls,
    report_result,
)
from conversations.service.usage import report_usage
from conversations.service.user_feed import (
    follow_user,
    open_user_feed,
)

__all__ = [
    "PREVIEW_CHARACTERS",
    "Answer",
    "Export",
    "ExportPage",
    "RepeatableRequest",
    "append_messages",
    "archive_conversation",
    "begin_conversation_erasure",
    "begin_due_erasure",
    "begin_user_erasure",
    "carry_on",
    "change_conversation",
    "check_attachments",
    "conversation_of",
    "count_usage",
    "default_end",
    "delete_attachment",
    "delete_conversation",
    "export_all",
    "export_conversation",
    "export_user",
    "find_answer",
    "find_strays",
    "follow_conversation",
    "follow_user",
    "forget_answered_requests",
    "forget_answers_of",
    "get_attachment",
    "get_conversation",
    "get_erasure",
    "get_message",
    "give_feedback",
    "keep_answer",
    "keep_upload",
    "list_conversation_feedback",
    "list_conversations",
    "list_erasures",
    "list_message_feedback",
    "list_messages",
    "list_tool_calls",
    "list_unfinished",
    "open_attachment",
    "open_feed",
    "open_user_feed",
    "read_export",
    "relay_draft",
    "report_result",
    "report_usage",
    "restore_conversation",
    "start_conversation",
    "withdraw_feedback",
]
