"""Messages, with their tool calls."""

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from conversations.schemas.base import CallId, ForeignId, Input, PageQuery, settings
from conversations.schemas.content import Content
from conversations.schemas.tool_calls import NewToolCall, ToolCall
from conversations.schemas.usage import Cost, NewUsage, ShownCost, TokenCount, Usage

Role = Literal["system", "developer", "user", "assistant", "tool"]


class NewMessage(Input):
    """A message to append.

    content: text, or a list of parts: text, images, files, JSON. tool_calls: for the role
    `assistant`. call_id: for the role `tool`, and only there: the call that this message answers.
    external_id: your own id of the message, unique in the conversation. Appending the same
    message under it once more writes nothing. token_count: the tokens of this message itself.
    usage: those of the model's run that made it. cost: what that cost, as an exact decimal.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"role": "user", "content": "What's the weather in Oslo?"},
                {
                    "role": "user",
                    "external_id": "msg-2071",
                    "content": [
                        {"type": "text", "text": "Where is this?"},
                        {"type": "image", "url": "https://example.com/oslo.png", "detail": "low"},
                        {
                            "type": "file",
                            "url": "https://example.com/itinerary.pdf",
                            "name": "itinerary.pdf",
                            "media_type": "application/pdf",
                        },
                        {"type": "json", "value": {"latitude": 59.91, "longitude": 10.75}},
                    ],
                },
                {
                    "role": "assistant",
                    "model": "example-model-1",
                    "token_count": 38,
                    "usage": {"input_tokens": 412, "output_tokens": 38, "cached_tokens": 256},
                    "cost": "0.00215",
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
    content: Content | None = Field(default=None, examples=["What's the weather in Oslo?"])
    external_id: ForeignId | None = None
    model: Annotated[str, Field(max_length=255)] | None = None
    token_count: TokenCount | None = None
    usage: NewUsage | None = None
    cost: Cost | None = None
    tool_calls: list[NewToolCall] = Field(default=[], max_length=100)
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


Batch = Annotated[list[NewMessage], Field(min_length=1, max_length=settings.max_batch_messages)]


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


class AppendQuery(BaseModel):
    expected_seq: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="Append only if the conversation's `last_seq` is this; otherwise 412.",
    )


class MessageQuery(PageQuery):
    order: Literal["asc", "desc"] = Field(
        default="asc", description="By position; `asc` has the oldest first."
    )


class Message(TypedDict):
    """One entry of the log, at position `seq`, counted from 1.

    kind: `message`, or what the OpenAI wire calls an item of another type, which is read there.
    synthetic: there, and true, where the service itself wrote the output of a tool call that has
    no result.
    """

    id: Annotated[str, Field(examples=["msg_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"])]
    conversation_id: str
    seq: int
    role: Role
    kind: str
    status: str
    content: str | list[Any] | None
    call_id: str | None
    external_id: str | None
    model: str | None
    token_count: int | None
    usage: Usage | None
    cost: ShownCost | None
    tool_calls: list[ToolCall]
    synthetic: NotRequired[bool]
    created_at: datetime


class Messages(TypedDict):
    """The messages that were appended, in order."""

    data: list[Message]
