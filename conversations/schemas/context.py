"""The context: the part of a history that is handed to a model."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from conversations.schemas.base import settings
from conversations.schemas.messages import Message
from conversations.schemas.summaries import Summary

ContextFormat = Literal["native", "openai-responses", "openai-chat", "anthropic-messages"]


class ContextQuery(BaseModel):
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        default=settings.default_context_tokens,
        description="How many tokens the context may have. Leave room for the tools that you "
        "declare and for the answer.",
    )
    format: ContextFormat = Field(
        default="native", description="Whose API `request` is made for; `native` is our own shape."
    )
    model: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        default=None, description="Put into `request`, so that this can be sent as it is."
    )


class Range(TypedDict):
    """Positions, both included."""

    from_seq: int
    to_seq: int


class NativeRequest(TypedDict):
    """The messages as the list of messages has them; a summary stands beside them."""

    messages: list[Message]
    model: NotRequired[str]


class ResponsesRequest(TypedDict):
    """What the SDK's `responses.create(**request)` takes."""

    input: list[dict[str, Any]]
    model: NotRequired[str]


class ChatRequest(TypedDict):
    """What the SDK's `chat.completions.create(**request)` takes."""

    messages: list[dict[str, Any]]
    model: NotRequired[str]


class AnthropicRequest(TypedDict):
    """What the SDK's `messages.create(**request, max_tokens=…)` takes."""

    messages: list[dict[str, Any]]
    system: NotRequired[list[dict[str, Any]]]
    model: NotRequired[str]


class ContextFigures(TypedDict):
    """What a context holds of the history.

    from_seq, to_seq: the positions from which on, and up to which, every message is in it; null
    while there is none. System and developer messages before are in it, too.
    token_count: of all that is in it, never more than max_tokens. estimated_count: how many
    counts in that sum are the service's estimate. truncated: whether messages were left out.
    summary: the one that stands for those. unsummarized: those for which none stands.
    """

    conversation_id: str
    from_seq: int | None
    to_seq: int | None
    max_tokens: int
    token_count: int
    estimated_count: int
    truncated: bool
    summary: Summary | None
    unsummarized: Range | None


class NativeContext(ContextFigures):
    format: Literal["native"]
    request: NativeRequest


class ResponsesContext(ContextFigures):
    format: Literal["openai-responses"]
    request: ResponsesRequest


class ChatContext(ContextFigures):
    format: Literal["openai-chat"]
    request: ChatRequest


class AnthropicContext(ContextFigures):
    format: Literal["anthropic-messages"]
    request: AnthropicRequest


Context = NativeContext | ResponsesContext | ChatContext | AnthropicContext
