"""The records of our own format, line by line, as docs/transfer.md tells of them.

An export writes them. An import reads them with these models, which don't trust a file because
it looks like ours.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from typing_extensions import TypedDict

from conversations.schemas.base import CallId, ForeignId, MessageText, Metadata, Title
from conversations.schemas.conversations import ConversationStatus
from conversations.schemas.messages import Role
from conversations.schemas.tool_calls import CallStatus

FORMAT_NAME, FORMAT_VERSION = "tenantry", 1
Language = Annotated[str, Field(min_length=2, max_length=35)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Position = Annotated[int, Field(ge=1, le=2**62)]
Cost = Annotated[Decimal, Field(ge=0, max_digits=20, decimal_places=10)]
Object = dict[str, Any]
_CALL_ID: TypeAdapter[str] = TypeAdapter(CallId)
# The same, or what was made of it so that another call could take it.
_KeptCallId = Annotated[str, Field(pattern=r"^[!-.0-~]{1,255}( [!-~]{1,44})?$")]
# Far enough from the ends of the calendar that every zone can show it.
Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(1900, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC)),
]


def _is_part(part: Object) -> Object:
    """Parts of types that we don't know are kept as they came; a text has its text."""
    if not isinstance(part.get("type"), str):
        raise ValueError("a part has a type")
    if part["type"] == "text" and not isinstance(part.get("text"), str):
        raise ValueError("a part of type text has a text")
    return part


def _content_tag(content: object) -> str:
    """Of which of the two kinds a content is; errors then speak of that one alone."""
    return "<parts>" if isinstance(content, list) else "<text>"


Part = Annotated[Object, AfterValidator(_is_part)]
Content = Annotated[
    Annotated[MessageText, Tag("<text>")]
    | Annotated[list[Part], Field(min_length=1), Tag("<parts>")],
    Discriminator(_content_tag),
]


class Record(BaseModel):
    """A line of our own format. JSON has no times and no decimals, so their texts are read."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Header(Record):
    type: Literal["header"]
    format: Literal["tenantry"]
    version: Literal[1]
    exported_at: Moment


class ConversationRecord(Record):
    type: Literal["conversation"]
    id: ForeignId
    user_id: ForeignId | None = None
    agent_id: ForeignId | None = None
    title: Title | None = None
    language: Language | None = None
    status: ConversationStatus = "active"
    metadata: Metadata = Field(default={})
    parent_id: ForeignId | None = None
    fork_seq: Position | None = None
    read_seq: Annotated[int, Field(ge=0, le=2**62)] = 0
    expires_at: Moment | None = None
    legal_hold: bool = False
    last_seq: Annotated[int, Field(ge=0, le=2**62)] = 0
    created_at: Moment
    updated_at: Moment
    last_activity_at: Moment


class UsageRecord(Record):
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_tokens: Count | None = None
    reasoning_tokens: Count | None = None


class CallRecord(Record):
    """deleted_at: of a call that is hidden, of which there is nothing else but its ids.

    call_id: that of a hidden one may have been changed, so that another could take it.
    """

    id: ForeignId
    call_id: _KeptCallId
    name: Annotated[str, Field(max_length=255)] = ""
    arguments: Object = Field(default={})
    status: CallStatus = "requested"
    error: MessageText | None = None
    attempts: Annotated[int, Field(ge=0, le=2**15 - 1)] = 0
    deadline: Moment | None = None
    decided_by: Annotated[str, Field(max_length=255)] | None = None
    decided_at: Moment | None = None
    reason: MessageText | None = None
    external_id: ForeignId | None = None
    extra: Object | None = None
    output_message_id: str | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
    deleted_at: Moment | None = None

    @model_validator(mode="after")
    def _has_a_call_id(self) -> "CallRecord":
        try:
            if self.deleted_at is None:
                _CALL_ID.validate_python(self.call_id)
        except ValidationError:
            raise ValueError("call_id is not that of a tool call") from None
        return self


class MessageRecord(Record):
    """text: what can be read of a content of parts. call_id, deleted_at: as for a call."""

    type: Literal["message"]
    conversation_id: ForeignId
    id: ForeignId
    seq: Position
    role: Role
    kind: Annotated[str, Field(min_length=1, max_length=255)] = "message"
    status: Literal["in_progress", "completed", "incomplete"] = "completed"
    content: Content | None = None
    text: MessageText | None = None
    language: Language | None = None
    call_id: _KeptCallId | None = None
    model: Annotated[str, Field(max_length=255)] | None = None
    token_count: Count | None = None
    usage: UsageRecord | None = None
    cost: Cost | None = None
    external_id: ForeignId | None = None
    extra: Object | None = None
    tool_calls: list[CallRecord] = Field(default=[], max_length=1000)
    created_at: Moment | None = None
    deleted_at: Moment | None = None

    @model_validator(mode="after")
    def _fits_its_role(self) -> "MessageRecord":
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only an assistant's message has tool_calls")
        if self.call_id is not None and self.role != "tool":
            raise ValueError("only a message of role tool has a call_id")
        # What another wire makes of an output may have no call in the conversation.
        is_plain = self.kind == "message" and self.deleted_at is None
        if self.role == "tool" and self.call_id is None and is_plain:
            raise ValueError("a message of role tool has a call_id")
        return self


class SummaryRecord(Record):
    type: Literal["summary"]
    conversation_id: ForeignId
    id: ForeignId
    from_seq: Position
    to_seq: Position
    text: MessageText
    model: Annotated[str, Field(max_length=255)] | None = None
    token_count: Count | None = None
    created_at: Moment

    @model_validator(mode="after")
    def _is_a_range(self) -> "SummaryRecord":
        if self.from_seq > self.to_seq:
            raise ValueError("from_seq stands behind to_seq")
        return self


class FeedbackRecord(Record):
    """seq: the position of the message that it is about."""

    type: Literal["feedback"]
    conversation_id: ForeignId
    id: ForeignId
    message_id: ForeignId
    seq: Position
    author: ForeignId
    rating: Literal["up", "down"] | None = None
    comment: MessageText | None = None
    created_at: Moment
    updated_at: Moment


class AttachmentRecord(Record):
    """What is known of a file; its bytes are not in an export."""

    type: Literal["attachment"]
    conversation_id: ForeignId | None
    id: ForeignId
    user_id: ForeignId | None
    name: str
    media_type: str
    size: int
    sha256: str
    created_at: Moment


class Counts(TypedDict):
    conversations: int
    messages: int
    tool_calls: int
    summaries: int
    feedback: int
    attachments: int


class End(Record):
    type: Literal["end"]
    counts: Counts


AnyRecord = Annotated[
    Header
    | ConversationRecord
    | MessageRecord
    | SummaryRecord
    | FeedbackRecord
    | AttachmentRecord
    | End,
    Field(discriminator="type"),
]
RECORDS: TypeAdapter[AnyRecord] = TypeAdapter(AnyRecord)
