"""The shapes of the API: what comes in is validated, what goes out is typed.

Inputs are strict pydantic models that refuse unknown fields. Outputs are typed dictionaries: the
repository builds them, mypy checks them, and the OpenAPI document shows them.
"""

from conversations.schemas.base import (
    CALL_PREFIX,
    CONVERSATION_PREFIX,
    MESSAGE_PREFIX,
    CallId,
    ForeignId,
    Input,
    MessageText,
    Metadata,
    MetadataFilter,
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
from conversations.schemas.messages import (
    Batch,
    Message,
    MessageQuery,
    Messages,
    NewMessage,
    NewMessages,
    Role,
)
from conversations.schemas.repair import Check, Finding, Repair
from conversations.schemas.tool_calls import (
    CallResult,
    CallStatus,
    Cancellation,
    Decision,
    NewToolCall,
    PlacedToolCall,
    ToolCall,
    ToolCallQuery,
)

__all__ = [
    "CALL_PREFIX",
    "CONVERSATION_PREFIX",
    "MESSAGE_PREFIX",
    "Batch",
    "CallId",
    "CallResult",
    "CallStatus",
    "Cancellation",
    "Check",
    "Conversation",
    "ConversationChanges",
    "ConversationQuery",
    "ConversationStatus",
    "ConversationWithMessages",
    "Decision",
    "Finding",
    "ForeignId",
    "Input",
    "Message",
    "MessageQuery",
    "MessageText",
    "Messages",
    "Metadata",
    "MetadataFilter",
    "NewConversation",
    "NewMessage",
    "NewMessages",
    "NewToolCall",
    "PageQuery",
    "PlacedToolCall",
    "Repair",
    "Role",
    "TextPart",
    "Title",
    "ToolCall",
    "ToolCallQuery",
]
