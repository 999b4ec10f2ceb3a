"""The tables, and the columns that are shown."""

from sqlalchemy import Table, and_, func, literal_column, or_

from conversations.models import (
    OPEN_CALL_STATUSES,
    READY_CALL_STATUSES,
    AnsweredRequest,
    Attachment,
    Conversation,
    Erasure,
    Feedback,
    Message,
    Summary,
    ToolCall,
)
from conversations.schemas import TOKEN_KINDS

CONVERSATIONS: Table = Conversation.metadata.tables["conversations"]
MESSAGES: Table = Message.metadata.tables["messages"]
CALLS: Table = ToolCall.metadata.tables["tool_calls"]
ANSWERED_REQUESTS: Table = AnsweredRequest.metadata.tables["answered_requests"]
ATTACHMENTS: Table = Attachment.metadata.tables["attachments"]
ERASURES: Table = Erasure.metadata.tables["erasures"]
FEEDBACK: Table = Feedback.metadata.tables["feedback"]
SUMMARIES: Table = Summary.metadata.tables["summaries"]
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
        "retain_until",
        "legal_hold",
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
# Past its retention a conversation is as good as erased; a legal hold suspends the retention.
IS_EXPIRED = and_(CONVERSATIONS.c.retain_until <= func.now(), ~CONVERSATIONS.c.legal_hold)
IS_KEPT = and_(
    CONVERSATIONS.c.deleted_at.is_(None),
    # A process of the release before, while this one is being rolled out, sets the status alone.
    CONVERSATIONS.c.status != "deleted",
    or_(
        CONVERSATIONS.c.retain_until.is_(None),
        CONVERSATIONS.c.retain_until > func.now(),
        CONVERSATIONS.c.legal_hold,
    ),
)
MESSAGE_IS_KEPT = MESSAGES.c.deleted_at.is_(None)
CALL_IS_KEPT = CALLS.c.deleted_at.is_(None)
# Written out and not bound, so that it is seen to be the condition of the partial index.
IS_OPEN = CALLS.c.status.in_([literal_column(f"'{status}'") for status in OPEN_CALL_STATUSES])
# What a closed call's status has forgotten.
REQUIRED_APPROVAL = CALLS.c.extra.has_key(literal_column("'requires_approval'"))
IS_READY = CALLS.c.status.in_([literal_column(f"'{status}'") for status in READY_CALL_STATUSES])
CALL_COLUMNS = [
    CALLS.c[name]
    for name in (
        "id",
        "call_id",
        "name",
        "arguments",
        "status",
        "error",
        "attempts",
        "deadline",
        "decided_by",
        "decided_at",
        "reason",
        "output_message_id",
        "created_at",
        "updated_at",
        "message_id",
        "index",
    )
]
SUMMARY_COLUMNS = [
    SUMMARIES.c[name]
    for name in (
        "id",
        "conversation_id",
        "from_seq",
        "to_seq",
        "text",
        "model",
        "token_count",
        "created_at",
    )
]
