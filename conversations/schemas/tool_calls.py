"""Tool calls."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from conversations.schemas.base import CallId, Input, PageQuery, settings
from conversations.schemas.content import Content

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


class NewToolCall(Input):
    call_id: CallId
    name: Annotated[str, Field(min_length=1, max_length=255, examples=["get_weather"])]
    arguments: dict[str, Any] = Field(default={}, examples=[{"city": "Oslo"}])


class CallResult(Input):
    """How a tool call went: an output, or the error that it failed with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"output": "12 °C, light rain"}]})

    output: Content | None = Field(default=None, examples=["12 °C, light rain"])
    error: (
        Annotated[str, Field(min_length=1, max_length=min(10_000, settings.max_text_characters))]
        | None
    ) = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "CallResult":
        if (self.output is None) == (self.error is None):
            raise ValueError("give either output or error")
        return self


class ToolCallQuery(PageQuery):
    open: bool = Field(default=False, description="Only those that wait for a result.")


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
