"""The tables, and the columns that are shown."""

from sqlalchemy import Table, literal_column

from conversations.models import OPEN_CALL_STATUSES, Conversation, Message, ToolCall
from conversations.schemas import TOKEN_KINDS

CONVERSATIONS: Table = Conversation.metadata.tables["conversations"]
MESSAGES: Table = Message.metadata.tables["messages"]
CALLS: Table = ToolCall.metadata.tables["tool_calls"]
CONVERSATION_COLUMNS = [
    CONVERSATIONS.c[name]
    for name in (
        "id",
        "user_id",
        "agent_id",
        "title",
        "language",
        "status",
        "metadata",
        "parent_id",
        "fork_seq",
        "preview",
        "last_seq",
        "read_seq",
        "version",
        "message_count",
        "tool_call_count",
        "token_count",
        *TOKEN_KINDS,
        "cost",
        "created_at",
        "updated_at",
        "last_activity_at",
    )
]
IS_KEPT = CONVERSATIONS.c.status != "deleted"
MESSAGE_IS_KEPT = MESSAGES.c.deleted_at.is_(None)
CALL_IS_KEPT = CALLS.c.deleted_at.is_(None)
# Written out and not bound, so that it is seen to be the condition of the partial index.
IS_OPEN = CALLS.c.status.in_([literal_column(f"'{status}'") for status in OPEN_CALL_STATUSES])
CALL_COLUMNS = [
    CALLS.c[name]
    for name in (
        "id",
        "call_id",
        "name",
        "arguments",
        "status",
        "error",
        "output_message_id",
        "message_id",
        "index",
    )
]
