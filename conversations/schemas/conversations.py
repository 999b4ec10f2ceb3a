"""Conversations."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from conversations.schemas.base import (
    ForeignId,
    FutureMoment,
    Input,
    Language,
    Metadata,
    MetadataFilter,
    Moment,
    PageQuery,
    Title,
    settings,
)
from conversations.schemas.messages import Message, NewMessage
from conversations.schemas.usage import ShownCost, UsageTotals

ConversationStatus = Literal["active", "archived"]


class NewConversation(Input):
    """user_id and agent_id are the end user's and the agent's ids in your own system.

    language: of its messages, as ISO 639-1 has it; search then knows the stems of their words.
    expires_at: when it is to be erased, null for never; where absent, as the tenant's
    `retention_days` say.
    legal_hold: whether nothing of it may be erased, whatever else is said.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": "user-7",
                    "agent_id": "travel-assistant",
                    "title": "Oslo",
                    "language": "en",
                    "metadata": {"channel": "web"},
                    "messages": [{"role": "user", "content": "Hello"}],
                }
            ]
        }
    )

    user_id: ForeignId | None = None
    agent_id: ForeignId | None = None
    title: Title | None = None
    language: Language | None = None
    metadata: Metadata = Field(default={})
    expires_at: FutureMoment | None = None
    legal_hold: bool = False
    messages: list[NewMessage] = Field(default=[], max_length=settings.max_batch_messages)


class ConversationChanges(Input):
    """What is absent stays; metadata is replaced as a whole; null removes title, language and end.

    language: of all its messages, those of before too. read_seq: how far the user has read, from 0
    to `last_seq`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"title": "A weekend in Oslo", "metadata": {"channel": "app"}},
                {"language": "nl", "read_seq": 0},
            ]
        }
    )

    title: Title | None = None
    language: Language | None = None
    status: ConversationStatus = "active"
    metadata: Metadata = Field(default={})
    expires_at: FutureMoment | None = None
    legal_hold: bool = False
    read_seq: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0

    @model_validator(mode="after")
    def _changes_something(self) -> "ConversationChanges":
        if not self.model_fields_set:
            raise ValueError(f"give at least one of {', '.join(type(self).model_fields)}")
        return self


class ConversationQuery(PageQuery):
    """Filters of the list of conversations; those that are given must all hold."""

    user_id: ForeignId | None = None
    agent_id: ForeignId | None = None
    status: ConversationStatus | None = None
    metadata: Annotated[MetadataFilter, Field(examples=['{"channel":"web"}'])] | None = Field(
        default=None, description="A JSON object that the metadata must contain."
    )
    active_after: Moment | None = Field(default=None, description="Last activity after this.")
    active_before: Moment | None = Field(default=None, description="Last activity before this.")
    unread: bool = Field(default=False, description="Only those with messages beyond `read_seq`.")
    order: Literal["asc", "desc"] = Field(
        default="desc", description="By last activity; `desc` has the newest first."
    )


class Conversation(TypedDict):
    """A conversation. `last_seq` is the position of its newest message.

    message_count, tool_call_count, token_count, usage, cost: sums over its messages.
    expires_at: when it is hidden and erased, null for never; not while `legal_hold`.
    parent_id, fork_seq: for a branch, the conversation that it branched off, and the last position
    that it took over from there.
    """

    id: Annotated[str, Field(examples=["conv_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"])]
    user_id: str | None
    agent_id: str | None
    title: str | None
    language: str | None
    status: ConversationStatus
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
    usage: UsageTotals
    cost: ShownCost
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime


class ConversationWithMessages(Conversation):
    """A new conversation, with the messages that it was started with."""

    messages: list[Message]
