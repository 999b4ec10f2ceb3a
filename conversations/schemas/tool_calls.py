"""Tool calls."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from typing_extensions import TypedDict

from conversations.schemas.base import CallId, ForeignId, Input, PageQuery, settings
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
_YEAR_SECONDS = 366 * 24 * 60 * 60
_TIME = re.compile(r"\d{4}-\d\d-\d\dT")


def _is_text(value: Any) -> Any:
    """JSON has times as text; pydantic would also take numbers, and text that holds one."""
    if not isinstance(value, str) or not _TIME.match(value):
        raise ValueError("must be a time such as 2099-01-31T12:00:00Z")
    return value


def _in_future(time: datetime) -> datetime:
    try:
        time = time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is too far away") from error
    if time <= datetime.now(UTC):
        raise ValueError("must be in the future")
    return time


Deadline = Annotated[
    AwareDatetime,
    Field(strict=False, examples=["2099-01-31T12:00:00Z"]),
    BeforeValidator(_is_text),
    AfterValidator(_in_future),
]
Reason = Annotated[str, Field(min_length=1, max_length=2000)]


class NewToolCall(Input):
    """A tool call to keep.

    requires_approval: it is `awaiting_approval` until somebody approves or denies it.
    deadline, or timeout_seconds from now: when it expires, if it is still open.
    """

    call_id: CallId
    name: Annotated[str, Field(min_length=1, max_length=255, examples=["get_weather"])]
    arguments: dict[str, Any] = Field(default={}, examples=[{"city": "Oslo"}])
    requires_approval: bool = False
    deadline: Deadline | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=_YEAR_SECONDS)] | None = None

    @model_validator(mode="after")
    def _has_one_end(self) -> "NewToolCall":
        if self.deadline is not None and self.timeout_seconds is not None:
            raise ValueError("give either deadline or timeout_seconds")
        return self


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


class Decision(Input):
    """by: who decides, an id in your own system."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"by": "user-7", "reason": "As agreed on Monday"}]}
    )

    by: ForeignId
    reason: Reason | None = None


class Cancellation(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The user has left"}]})

    reason: Reason | None = None


class ToolCallQuery(PageQuery):
    open: bool = Field(default=False, description="Only those that wait for a result.")


class ToolCall(TypedDict):
    """A call that a message asks for. It is open until it has an output message.

    attempts: how often it was started. decided_by, decided_at: who approved or denied it, and when.
    reason: why it was approved, denied or cancelled; of the last of these.
    """

    id: Annotated[str, Field(examples=["call_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"])]
    call_id: str
    name: str
    arguments: dict[str, Any]
    status: CallStatus
    error: str | None
    attempts: int
    deadline: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    output_message_id: str | None
    created_at: datetime
    updated_at: datetime


class PlacedToolCall(ToolCall):
    """A tool call with where it stands: its message, that one's `seq`, its index in it."""

    message_id: str
    seq: int
    index: int
