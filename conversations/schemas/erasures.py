"""Erasures and their receipts."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from conversations.schemas.base import ForeignId, PageQuery

ErasureKind = Literal["conversation", "user"]


class ErasureQuery(PageQuery):
    """Filters of the list of receipts; those that are given must all hold."""

    kind: ErasureKind | None = None
    subject: ForeignId | None = Field(
        default=None, description="The id of the conversation or of the end user."
    )


class Removed(TypedDict):
    """How many of each kind have been removed. answers: remembered for repeated requests."""

    conversations: int
    messages: int
    tool_calls: int
    summaries: int
    feedback: int
    attachments: int
    attachment_bytes: int
    answers: int


class Erasure(TypedDict):
    """A receipt. It holds nothing of what was erased.

    subject: the id of the conversation, or of the end user. requested_by: the id of the key or
    member, or `retention`. kept: conversations that legal holds kept, the first thousand.
    """

    id: Annotated[str, Field(examples=["era_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"])]
    kind: ErasureKind
    subject: str
    requested_by: str
    status: Literal["running", "completed"]
    removed: Removed
    kept: list[str]
    created_at: datetime
    completed_at: datetime | None
