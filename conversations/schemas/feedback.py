"""Feedback."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from conversations.schemas.base import ForeignId, Input, PageQuery

Rating = Literal["up", "down"]


class GivenFeedback(Input):
    """What somebody thinks of a message. It takes the place of what the same author said before.

    author: an id in your own system. A null rating leaves it to the comment.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"author": "user-7", "rating": "down", "comment": "It rained all day."},
                {"author": "user-7", "rating": "up"},
            ]
        }
    )

    author: ForeignId
    rating: Rating | None
    comment: Annotated[str, Field(min_length=1, max_length=10_000)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "GivenFeedback":
        if self.rating is None and self.comment is None:
            raise ValueError("give a rating or a comment")
        return self


class FeedbackQuery(PageQuery):
    """Which page of the feedback."""


class Feedback(TypedDict):
    """What an author thinks of a message. seq: the position of that message."""

    id: Annotated[str, Field(examples=["fb_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"])]
    conversation_id: str
    message_id: str
    seq: int
    author: str
    rating: Rating | None
    comment: str | None
    created_at: datetime
    updated_at: datetime
