"""Conversations."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from conversations.schemas.base import (
    ForeignId,
    FutureMoment,
    Input,
    Metadata,
    MetadataFilter,
    PageQuery,
    Title,
    settings,
)
from conversations.schemas.messages import Message, NewMessage

ConversationStatus = Literal["active", "archived"]


class NewConversation(Input):
    """user_id and agent_id are the end user's and the agent's ids in your own system.

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
                    "metadata": {"channel": "web"},
                    "messages": [{"role": "user", "content": "Hello"}],
                }
            ]
        }
    )

    user_id: ForeignId | None = None
    agent_id: ForeignId | None = None
    title: Title | None = None
    metadata: Metadata = Field(default={})
    expires_at: FutureMoment | None = None
    legal_hold: bool = False
    messages: list[NewMessage] = Field(default=[], max_length=settings.max_batch_messages)


class ConversationChanges(Input):
    """What is absent stays; metadata is replaced as a whole; null removes a title and the end."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"title": "A weekend in Oslo", "metadata": {"channel": "app"}}]
        }
    )

    title: Title | None = None
    status: ConversationStatus = "active"
    metadata: Metadata = Field(default={})
    expires_at: FutureMoment | None = None
    legal_hold: bool = False

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
    order: Literal["asc", "desc"] = Field(
        default="desc", description="By last activity; `desc` has the newest first."
    )


class Conversation(TypedDict):
    """A conversation. `last_seq` is the position of its newest message.

    expires_at: when it is hidden and erased, null for never; not while `legal_hold`.
    parent_id, fork_seq: for a branch, the conversation that it branched off, and the last position
    that it took over from there.
    """

    id: Annotated[str, Field(examples=["conv_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"])]
    user_id: str | None
    agent_id: str | None
    title: str | None
    status: ConversationStatus
    metadata: dict[str, Any]
    expires_at: datetime | None
    legal_hold: bool
    parent_id: str | None
    fork_seq: int | None
    preview: str | None
    last_seq: int
    version: int
    message_count: int
    token_count: int
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime


class ConversationWithMessages(Conversation):
    """A new conversation, with the messages that it was started with."""

    messages: list[Message]
