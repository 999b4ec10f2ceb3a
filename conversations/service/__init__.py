"""What can be done with conversations. Decides; the repository reads and persists.

Every function takes the session of the caller's transaction first, or, where its work is no single
transaction, the tenant. Ids come as the API shows them; one that can't be an id is simply not
found.
"""

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
    "begin_conversation_erasure",
    "begin_due_erasure",
    "begin_user_erasure",
    "carry_on",
    "change_conversation",
    "check_attachments",
    "count_usage",
    "default_end",
    "delete_attachment",
    "delete_conversation",
    "find_strays",
    "get_attachment",
    "get_conversation",
    "get_erasure",
    "get_message",
    "give_feedback",
    "keep_upload",
    "list_conversation_feedback",
    "list_conversations",
    "list_erasures",
    "list_message_feedback",
    "list_messages",
    "list_tool_calls",
    "list_unfinished",
    "open_attachment",
    "report_result",
    "restore_conversation",
    "start_conversation",
    "withdraw_feedback",
]
