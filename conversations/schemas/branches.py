"""Forks, edits and the tree that they make."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from conversations.schemas.base import ForeignId, Input, Metadata, PageQuery, Title
from conversations.schemas.content import Content
from conversations.schemas.tool_calls import NewToolCall


class BranchDetails(Input):
    """What a new conversation has of its own. What is absent is taken from the one it branches
    off; a null title or user removes it."""

    title: Title | None = None
    metadata: Metadata = Field(default={})
    user_id: ForeignId | None = None


class NewFork(BranchDetails):
    """at_seq: the position of the last message that the fork takes over; 0 for none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"at_seq": 1, "title": "Oslo, by train this time"}]}
    )

    at_seq: Annotated[int, Field(ge=0, le=2**63 - 1)]


class EditedMessage(BranchDetails):
    """What stands in the message's place. Its role stays, and with it the call that it answers.

    content: text, or a list of parts. tool_calls: for the role `assistant`.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"content": "What's the weather in Bergen?"}]}
    )

    content: Content | None = Field(default=None, examples=["What's the weather in Bergen?"])
    model: Annotated[str, Field(max_length=255)] | None = None
    token_count: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    tool_calls: list[NewToolCall] = Field(default=[], max_length=100)

    @model_validator(mode="after")
    def _says_something(self) -> "EditedMessage":
        if self.content is None and not self.tool_calls:
            raise ValueError("a message has content or tool_calls")
        return self


class BranchQuery(PageQuery):
    """Which page of the branches."""


class Branch(TypedDict):
    """A conversation in the tree. fork_seq: the last position that it shares with the one it
    branches off; null for the first of all."""

    id: str
    title: str | None
    fork_seq: int | None
    created_at: datetime


class Branches(TypedDict):
    """Where a conversation stands in its tree.

    path: from the first conversation of all to this one. data: those that branch off from this
    one, by where they do. A deleted conversation is left out, and what branches off from it
    branches off from the one before, where it does share its messages.
    """

    path: list[Branch]
    data: list[Branch]
    has_more: bool
    next_cursor: str | None
