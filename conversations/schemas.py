"""The shapes of the API: what comes in is validated, what goes out is typed.

Inputs are strict pydantic models that refuse unknown fields. Outputs are typed dictionaries: the
repository builds them, mypy checks them, and the OpenAPI document shows them.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    model_validator,
)
from typing_extensions import TypedDict

from conversations.settings import get_settings
from tenants.errors import ApplicationError
from tenants.strict_json import parse_json

_settings = get_settings()

# What ids begin with where they are shown.
CONVERSATION_PREFIX, MESSAGE_PREFIX, CALL_PREFIX = "conv", "msg", "call"

Role = Literal["system", "developer", "user", "assistant", "tool"]
ConversationStatus = Literal["active", "archived"]
CallStatus = Literal[
    "requested",
    "awaiting_approval",
    "running",
    "succeeded",
    "failed",
    "denied",
    "cancelled",
    "expired",
]


def _is_modest(metadata: dict[str, Any]) -> dict[str, Any]:
    if len(orjson.dumps(metadata)) > _settings.max_metadata_bytes:
        raise ValueError(f"may have {_settings.max_metadata_bytes} bytes as JSON")
    return metadata


def _is_strict(text: str) -> str:
    """JSON in a query obeys the rules that a body's does."""
    try:
        parse_json(text.encode())
    except ApplicationError as error:
        raise ValueError(str(error)) from error
    return text


Metadata = Annotated[dict[str, Any], AfterValidator(_is_modest)]
MetadataFilter = Annotated[Json[dict[str, Any]], BeforeValidator(_is_strict)]
MessageText = Annotated[str, Field(max_length=_settings.max_text_characters)]
ForeignId = Annotated[str, Field(min_length=1, max_length=255)]
Title = Annotated[str, Field(max_length=500)]
# Printable ASCII without space and slash: every provider's ids, and whole in a path.
CallId = Annotated[str, Field(pattern=r"^[!-.0-~]{1,255}$", examples=["call_8Zt1"])]


class Input(BaseModel):
    """What a client sends: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class NewToolCall(Input):
    call_id: CallId
    name: Annotated[str, Field(min_length=1, max_length=255, examples=["get_weather"])]
    arguments: dict[str, Any] = Field(default={}, examples=[{"city": "Oslo"}])


class TextPart(Input):
    type: Literal["text"]
    text: MessageText


class NewMessage(Input):
    """A message to append.

    content: text, or a list of text parts. tool_calls: for the role `assistant`.
    call_id: for the role `tool`, and only there: the call that this message answers.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"role": "user", "content": "What's the weather in Oslo?"},
                {
                    "role": "assistant",
                    "model": "example-model-1",
                    "token_count": 38,
                    "tool_calls": [
                        {
                            "call_id": "call_8Zt1",
                            "name": "get_weather",
                            "arguments": {"city": "Oslo"},
                        }
                    ],
                },
            ]
        }
    )

    role: Role
    content: MessageText | Annotated[list[TextPart], Field(min_length=1, max_length=100)] | None = (
        Field(default=None, examples=["What's the weather in Oslo?"])
    )
    model: Annotated[str, Field(max_length=255)] | None = None
    token_count: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    tool_calls: Annotated[list[NewToolCall], Field(max_length=100)] = []
    call_id: CallId | None = None

    @model_validator(mode="after")
    def _fits_its_role(self) -> "NewMessage":
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only an assistant's message has tool_calls")
        if (self.call_id is not None) != (self.role == "tool"):
            raise ValueError("a message of role tool, and only that, has a call_id")
        if self.content is None and not self.tool_calls:
            raise ValueError("a message has content or tool_calls")
        return self


Batch = Annotated[list[NewMessage], Field(min_length=1, max_length=_settings.max_batch_messages)]


class NewMessages(Input):
    """Messages to append in this order: all of them or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "messages": [
                        {"role": "user", "content": "Hello"},
                        {"role": "assistant", "content": "Hi there"},
                    ]
                }
            ]
        }
    )

    messages: Batch


class NewConversation(Input):
    """user_id and agent_id are the end user's and the agent's ids in your own system."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": "user-7",
                    "agent_id": "travel-assistant",
                    "title": "Oslo",
                    "metadata": {"channel": "web"},
                    "messages": [{"role": "user", "content": "Hello"}],
                }
            ]
        }
    )

    user_id: ForeignId | None = None
    agent_id: ForeignId | None = None
    title: Title | None = None
    metadata: Metadata = {}
    messages: Annotated[list[NewMessage], Field(max_length=_settings.max_batch_messages)] = []


class ConversationChanges(Input):
    """What is absent stays; metadata is replaced as a whole; a null title removes it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"title": "A weekend in Oslo", "metadata": {"channel": "app"}}]
        }
    )

    title: Title | None = None
    status: ConversationStatus = "active"
    metadata: Metadata = {}

    @model_validator(mode="after")
    def _changes_something(self) -> "ConversationChanges":
        if not self.model_fields_set:
            raise ValueError("give at least one of title, status and metadata")
        return self


class CallResult(Input):
    """How a tool call went: an output, or the error that it failed with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"output": "12 °C, light rain"}]})

    output: MessageText | Annotated[list[TextPart], Field(min_length=1, max_length=100)] | None = (
        Field(default=None, examples=["12 °C, light rain"])
    )
    error: (
        Annotated[str, Field(min_length=1, max_length=min(10_000, _settings.max_text_characters))]
        | None
    ) = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "CallResult":
        if (self.output is None) == (self.error is None):
            raise ValueError("give either output or error")
        return self


class PageQuery(BaseModel):
    limit: Annotated[int, Field(ge=1, le=100)] = _settings.default_page_limit
    after: Annotated[str, Field(max_length=1000)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


class ConversationQuery(PageQuery):
    """Filters of the list of conversations; those that are given must all hold."""

    user_id: ForeignId | None = None
    agent_id: ForeignId | None = None
    status: ConversationStatus | None = None
    metadata: Annotated[MetadataFilter, Field(examples=['{"channel":"web"}'])] | None = Field(
        default=None, description="A JSON object that the metadata must contain."
    )
    order: Literal["asc", "desc"] = Field(
        default="desc", description="By last activity; `desc` has the newest first."
    )


class MessageQuery(PageQuery):
    order: Literal["asc", "desc"] = Field(
        default="asc", description="By position; `asc` has the oldest first."
    )


class ToolCallQuery(PageQuery):
    open: bool = Field(default=False, description="Only those that wait for a result.")


class Conversation(TypedDict):
    """A conversation. `last_seq` is the position of its newest message."""

    id: Annotated[str, Field(examples=["conv_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"])]
    user_id: str | None
    agent_id: str | None
    title: str | None
    status: ConversationStatus
    metadata: dict[str, Any]
    preview: str | None
    last_seq: int
    version: int
    message_count: int
    token_count: int
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime


class ToolCall(TypedDict):
    """A call that a message asks for. It is open until it has an output message or an end."""

    id: Annotated[str, Field(examples=["call_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"])]
    call_id: str
    name: str
    arguments: dict[str, Any]
    status: CallStatus
    error: str | None
    output_message_id: str | None


class PlacedToolCall(ToolCall):
    """A tool call with where it stands: its message, that one's `seq`, its index in it."""

    message_id: str
    seq: int
    index: int


class Message(TypedDict):
    """One entry of the log, at position `seq`, counted from 1."""

    id: Annotated[str, Field(examples=["msg_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"])]
    conversation_id: str
    seq: int
    role: Role
    status: str
    content: str | list[Any] | None
    call_id: str | None
    model: str | None
    token_count: int | None
    tool_calls: list[ToolCall]
    created_at: datetime


class Messages(TypedDict):
    """The messages that were appended, in order."""

    data: list[Message]


class ConversationWithMessages(Conversation):
    """A new conversation, with the messages that it was started with."""

    messages: list[Message]
