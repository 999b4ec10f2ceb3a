"""The shapes of the API: what comes in is validated, what goes out is typed.

Inputs are strict pydantic models that refuse unknown fields. Outputs are typed dictionaries: the
repository builds them, mypy checks them, and the OpenAPI document shows them.
"""

from conversations.schemas.attachments import Attachment, NewAttachment
from conversations.schemas.base import (
    ATTACHMENT_PREFIX,
    CALL_PREFIX,
    CONVERSATION_PREFIX,
    ERASURE_PREFIX,
    FEEDBACK_PREFIX,
    MESSAGE_PREFIX,
    CallId,
    ForeignId,
    FutureMoment,
    Input,
    MessageText,
    Metadata,
    MetadataFilter,
    Moment,
    PageQuery,
    Title,
)
from conversations.schemas.content import TextPart
from conversations.schemas.conversations import (
    Conversation,
    ConversationChanges,
    ConversationQuery,
    ConversationStatus,
    ConversationWithMessages,
    NewConversation,
)
from conversations.schemas.erasures import Erasure, ErasureKind, ErasureQuery, Removed
from conversations.schemas.feedback import Feedback, FeedbackQuery, GivenFeedback, Rating
from conversations.schemas.messages import (
    Batch,
    Message,
    MessageQuery,
    Messages,
    NewMessage,
    NewMessages,
    Role,
)
from conversations.schemas.tool_calls import (
    CallResult,
    CallStatus,
    NewToolCall,
    PlacedToolCall,
    ToolCall,
    ToolCallQuery,
)

__all__ = [
    "ATTACHMENT_PREFIX",
    "CALL_PREFIX",
    "CONVERSATION_PREFIX",
    "ERASURE_PREFIX",
    "FEEDBACK_PREFIX",
    "MESSAGE_PREFIX",
    "Attachment",
    "Batch",
    "CallId",
    "CallResult",
    "CallStatus",
    "Conversation",
    "ConversationChanges",
    "ConversationQuery",
    "ConversationStatus",
    "ConversationWithMessages",
    "Erasure",
    "ErasureKind",
    "ErasureQuery",
    "Feedback",
    "FeedbackQuery",
    "ForeignId",
    "FutureMoment",
    "GivenFeedback",
    "Input",
    "Message",
    "MessageQuery",
    "MessageText",
    "Messages",
    "Metadata",
    "MetadataFilter",
    "Moment",
    "NewAttachment",
    "NewConversation",
    "NewMessage",
    "NewMessages",
    "NewToolCall",
    "PageQuery",
    "PlacedToolCall",
    "Rating",
    "Removed",
    "Role",
    "TextPart",
    "Title",
    "ToolCall",
    "ToolCallQuery",
]
