"""What is sent, where it has a shape of its own: dictionaries, as the API takes them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Required, TypeAlias, TypedDict

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]
Rating: TypeAlias = Literal["up", "down"]
Order: TypeAlias = Literal["asc", "desc"]
ConversationStatus: TypeAlias = Literal["active", "archived"]
ContextFormat: TypeAlias = Literal[
    "native", "openai-responses", "openai-chat", "anthropic-messages"
]
ImportFormat: TypeAlias = Literal["tenantry", "openai-chat", "chatgpt"]
Dimension: TypeAlias = Literal["day", "model", "agent", "user"]
# Text, or parts: `{"type": "text", "text": "Hello"}`, images, files, JSON.
Content: TypeAlias = str | Sequence[Mapping[str, Any]]


class NewToolCall(TypedDict, total=False):
    """A tool call to keep. deadline, or timeout_seconds from now: when it expires."""

    call_id: Required[str]
    name: Required[str]
    arguments: Mapping[str, Any]
    requires_approval: bool
    deadline: datetime | str
    timeout_seconds: float


class NewUsage(TypedDict, total=False):
    """Tokens, as the model's provider counts them."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int


class NewMessage(TypedDict, total=False):
    """A message to append: `{"role": "user", "content": "Hello"}`.

    tool_calls: for the role `assistant`. call_id: for the role `tool`, the call that it answers.
    external_id: your own id; the same message under it once more writes nothing.
    token_count: of this message itself. usage, cost: of the model's run that made it.
    """

    role: Required[Role]
    content: Content | None
    external_id: str
    model: str
    token_count: int
    usage: NewUsage
    cost: Decimal | str
    tool_calls: Sequence[NewToolCall]
    call_id: str
