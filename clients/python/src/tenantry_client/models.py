"""What the service answers with. Fields that a newer service adds are kept, as attributes too."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Role = Literal["system", "developer", "user", "assistant", "tool"]


class Model(BaseModel):
    """Anything that was answered; its fields are attributes."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Usage(Model):
    """Tokens."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class ToolCall(Model):
    """A call that a message asks for. `call_id` is the model provider's."""

    id: str
    call_id: str
    name: str
    arguments: dict[str, Any]
    status: str
    error: str | None = None
    output_message_id: str | None = None


class Message(Model):
    """One entry of a conversation, at position `seq`, counted from 1."""

    id: str
    conversation_id: str
    seq: int
    role: Role
    status: str
    content: str | list[dict[str, Any]] | None = None
    call_id: str | None = None
    model: str | None = None
    token_count: int | None = None
    usage: Usage | None = None
    cost: Decimal | None = None
    external_id: str | None = None
    tool_calls: list[ToolCall] = []
    created_at: datetime


class Conversation(Model):
    """A conversation, with its counts and totals."""

    id: str
    user_id: str | None = None
    agent_id: str | None = None
    title: str | None = None
    language: str | None = None
    status: str
    metadata: dict[str, Any] = {}
    preview: str | None = None
    last_seq: int
    read_seq: int = 0
    unread_count: int = 0
    version: int
    message_count: int
    tool_call_count: int = 0
    token_count: int
    usage: Usage | None = None
    cost: Decimal | None = None
    parent_id: str | None = None
    fork_seq: int | None = None
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime


class StartedConversation(Conversation):
    """A new conversation, with the messages that it was started with."""

    messages: list[Message] = []


class SearchHit(Model):
    """A message, or a title where `message_id` is None, in which the words were found."""

    conversation_id: str
    title: str | None = None
    message_id: str | None = None
    seq: int | None = None
    role: str | None = None
    snippet: list[dict[str, Any]] = []
    rank: float


class Event(Model):
    """Something that happened. id: where to go on after it; None for what can't be repeated."""

    event: str
    id: str | None = None
    data: Any = None

    @property
    def message(self) -> Message:
        """What was appended. Raises ValueError if the event is of another kind."""
        if self.event != "message":
            raise ValueError(f"an event `{self.event}` has no message")
        return Message.model_validate(self.data)
