"""What the service answers with. Fields that a newer service adds are kept, as attributes too."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


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
    """A call that a message asks for. `call_id` is the model provider's.

    message_id, seq, index: where it stands; None in a message's own `tool_calls`.
    """

    id: str
    call_id: str
    name: str
    arguments: dict[str, Any]
    status: str
    error: str | None
    attempts: int
    deadline: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    output_message_id: str | None
    created_at: datetime
    updated_at: datetime
    message_id: str | None = None
    seq: int | None = None
    index: int | None = None


class Message(Model):
    """One entry of a conversation, at position `seq`, counted from 1.

    kind: `message`, or the type of an item that the OpenAI wire alone shows.
    synthetic: whether the service wrote it, as the output of a call that has no result.
    """

    id: str
    conversation_id: str
    seq: int
    role: str
    kind: str
    status: str
    content: str | list[Any] | None
    call_id: str | None
    external_id: str | None
    model: str | None
    token_count: int | None
    usage: Usage | None
    cost: Decimal | None
    tool_calls: list[ToolCall]
    synthetic: bool = False
    created_at: datetime


class Conversation(Model):
    """A conversation, with the counts and sums of its messages."""

    id: str
    user_id: str | None
    agent_id: str | None
    title: str | None
    language: str | None
    status: str
    metadata: dict[str, Any]
    expires_at: datetime | None
    legal_hold: bool
    parent_id: str | None
    fork_seq: int | None
    preview: str | None
    last_seq: int
    read_seq: int
    unread_count: int
    version: int
    message_count: int
    tool_call_count: int
    token_count: int
    usage: Usage
    cost: Decimal
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime


class StartedConversation(Conversation):
    """A new conversation, with the messages that it was started with."""

    messages: list[Message]


class Branch(Model):
    """A conversation in the tree. fork_seq: the last position that it shares."""

    id: str
    title: str | None
    fork_seq: int | None
    created_at: datetime


class Branches(Model):
    """path: from the first conversation to this one. data: what branches off, a page of it."""

    path: list[Branch]
    data: list[Branch]
    has_more: bool
    next_cursor: str | None


class Summary(Model):
    """A text that stands for the messages from `from_seq` to `to_seq`, both included."""

    id: str
    conversation_id: str
    from_seq: int
    to_seq: int
    text: str
    model: str | None
    token_count: int | None
    created_at: datetime


class Range(Model):
    """Positions, both included."""

    from_seq: int
    to_seq: int


class Context(Model):
    """The part of a history that fits a model. request: what the provider's SDK takes."""

    conversation_id: str
    format: str
    request: dict[str, Any]
    from_seq: int | None
    to_seq: int | None
    max_tokens: int
    token_count: int
    estimated_count: int
    truncated: bool
    summary: Summary | None
    unsummarized: Range | None


class Finding(Model):
    """One thing that is wrong, or was."""

    kind: str
    detail: str
    seq: int | None
    message_id: str | None
    call_id: str | None


class Check(Model):
    ok: bool
    findings: list[Finding]


class Repair(Model):
    """ok: whether nothing is left; else repeat it."""

    ok: bool
    mended: list[Finding]


class Feedback(Model):
    """What an author thinks of a message. seq: the position of that message."""

    id: str
    conversation_id: str
    message_id: str
    seq: int
    author: str
    rating: str | None
    comment: str | None
    created_at: datetime
    updated_at: datetime


class Attachment(Model):
    """An uploaded file. size: in bytes. media_type: as it was said, not as anybody has seen."""

    id: str
    conversation_id: str | None
    user_id: str | None
    name: str
    media_type: str
    size: int
    sha256: str
    created_at: datetime


class Erasure(Model):
    """A receipt. status: `running` until all is gone. kept: what legal holds kept."""

    id: str
    kind: str
    subject: str
    requested_by: str
    status: str
    removed: dict[str, int]
    kept: list[str]
    created_at: datetime
    completed_at: datetime | None


class SnippetPart(Model):
    text: str
    highlighted: bool


class SearchHit(Model):
    """A message, or a title where `message_id` is None, in which the words were found."""

    conversation_id: str
    title: str | None
    message_id: str | None
    seq: int | None
    role: str | None
    snippet: list[SnippetPart]
    rank: float


class UsageSums(Model):
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    total_tokens: int
    cost: Decimal
    messages: int
    tool_calls: int
    conversations: int


class UsageRow(UsageSums):
    """Has what it is grouped by; a model, agent or user that is not known is None, too."""

    day: date | None = None
    model: str | None = None
    agent_id: str | None = None
    user_id: str | None = None


class UsageReport(Model):
    """Days from `start` until before `end`."""

    start: date = Field(alias="from")
    end: date = Field(alias="to")
    timezone: str
    data: list[UsageRow]
    totals: UsageSums


class Tally(Model):
    imported: int
    already_there: int


class SkippedLine(Model):
    line: int
    reason: str


class ImportReport(Model):
    """complete: whether the file was whole by its own last line; None where it can't be known."""

    format: str
    lines: int
    complete: bool | None
    conversations: Tally
    messages: Tally
    tool_calls: Tally
    summaries: Tally
    feedback: Tally
    skipped: int
    skipped_lines: list[SkippedLine]


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
