"""The shapes of the API: what comes in is validated, what goes out is typed.

Inputs are strict pydantic models that refuse unknown fields. Outputs are typed dictionaries: the
repository builds them, mypy checks them, and the OpenAPI document shows them.
"""

from conversations.schemas.base import (
    CALL_PREFIX,
    CONVERSATION_PREFIX,
    MESSAGE_PREFIX,
    SUMMARY_PREFIX,
    CallId,
    ForeignId,
    Input,
    MessageText,
    Metadata,
    MetadataFilter,
    PageQuery,
    Title,
)
from conversations.schemas.branches import (
    Branch,
    BranchDetails,
    Branches,
    BranchQuery,
    EditedMessage,
    NewFork,
)
from conversations.schemas.content import TextPart
from conversations.schemas.context import (
    AnthropicRequest,
    ChatRequest,
    Context,
    ContextFormat,
    ContextQuery,
    NativeRequest,
    Range,
    ResponsesRequest,
)
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
from conversations.schemas.summaries import NewSummary, Summary, SummaryQuery
from conversations.schemas.tool_calls import (
    CallResult,
    CallStatus,
    NewToolCall,
    PlacedToolCall,
    ToolCall,
    ToolCallQuery,
)

__all__ = [
    "CALL_PREFIX",
    "CONVERSATION_PREFIX",
    "MESSAGE_PREFIX",
    "SUMMARY_PREFIX",
    "AnthropicRequest",
    "Batch",
    "Branch",
    "BranchDetails",
    "BranchQuery",
    "Branches",
    "CallId",
    "CallResult",
    "CallStatus",
    "ChatRequest",
    "Context",
    "ContextFormat",
    "ContextQuery",
    "Conversation",
    "ConversationChanges",
    "ConversationQuery",
    "ConversationStatus",
    "ConversationWithMessages",
    "EditedMessage",
    "ForeignId",
    "Input",
    "Message",
    "MessageQuery",
    "MessageText",
    "Messages",
    "Metadata",
    "MetadataFilter",
    "NativeRequest",
    "NewConversation",
    "NewFork",
    "NewMessage",
    "NewMessages",
    "NewSummary",
    "NewToolCall",
    "PageQuery",
    "PlacedToolCall",
    "Range",
    "ResponsesRequest",
    "Role",
    "Summary",
    "SummaryQuery",
    "TextPart",
    "Title",
    "ToolCall",
    "ToolCallQuery",
]
