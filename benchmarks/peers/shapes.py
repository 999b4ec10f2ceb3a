"""What comes in and goes out, as pydantic models; they read the ORM's objects. Texts only."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, computed_field

from tenants.ids import show_id


class ToolCallIn(BaseModel):
    call_id: str
    name: str
    arguments: dict[str, Any] = {}


class MessageIn(BaseModel):
    role: str
    content: str | None = None
    model: str | None = None
    token_count: int | None = None
    tool_calls: list[ToolCallIn] = []


def _shown(prefix: str) -> BeforeValidator:
    return BeforeValidator(lambda value: value and show_id(prefix, value))


Moment = Annotated[datetime, BeforeValidator(lambda value: value and value.astimezone(UTC))]
Cost = Annotated[
    Decimal, PlainSerializer(lambda cost: format(cost.normalize(), "f"), return_type=str)
]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ToolCallOut(_Out):
    id: Annotated[str, _shown("call")]
    call_id: str
    name: str
    arguments: dict[str, Any]
    status: str
    error: str | None
    attempts: int
    deadline: Moment | None
    decided_by: str | None
    decided_at: Moment | None
    reason: str | None
    output_message_id: Annotated[str | None, _shown("msg")]
    created_at: Moment
    updated_at: Moment


class Usage(_Out):
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int


class MessageOut(_Out):
    id: Annotated[str, _shown("msg")]
    conversation_id: Annotated[str, _shown("conv")]
    seq: int
    role: str
    kind: str
    status: str
    content: Annotated[str | None, Field(validation_alias="text")]
    call_id: str | None
    external_id: str | None
    model: str | None
    token_count: int | None
    # Of messages that have none, as all do here.
    usage: Usage | None = None
    cost: Cost | None
    tool_calls: list[ToolCallOut]
    created_at: Moment


class ConversationOut(_Out):
    id: Annotated[str, _shown("conv")]
    user_id: str | None
    agent_id: str | None
    title: str | None
    language: str | None
    status: str
    metadata: Annotated[dict[str, Any], Field(validation_alias="metadata_")]
    expires_at: Annotated[Moment | None, Field(validation_alias="retain_until")]
    legal_hold: bool
    parent_id: Annotated[str | None, _shown("conv")]
    fork_seq: int | None
    preview: str | None
    last_seq: int
    read_seq: int
    version: int
    message_count: int
    tool_call_count: int
    token_count: int
    input_tokens: Annotated[int, Field(exclude=True)]
    output_tokens: Annotated[int, Field(exclude=True)]
    cached_tokens: Annotated[int, Field(exclude=True)]
    reasoning_tokens: Annotated[int, Field(exclude=True)]
    cost: Cost
    created_at: Moment
    updated_at: Moment
    last_activity_at: Moment

    @computed_field
    def unread_count(self) -> int:
        return max(self.last_seq - self.read_seq, 0)

    @computed_field
    def usage(self) -> Usage:
        return Usage.model_validate(self)


class MessagePage(BaseModel):
    data: list[MessageOut]
    has_more: bool
    next_cursor: str | None = None


class ConversationPage(BaseModel):
    data: list[ConversationOut]
    has_more: bool
    next_cursor: str | None = None
