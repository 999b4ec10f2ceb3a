"""Summaries."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from conversations.schemas.base import Input, PageQuery, settings

Position = Annotated[int, Field(ge=1, le=2**63 - 1)]


class NewSummary(Input):
    """A text that stands for the messages from one position to another, both included.

    token_count: of the text, as your model counts; without it the service estimates.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from_seq": 1,
                    "to_seq": 1,
                    "text": "The user plans a weekend in Oslo and asked for the weather.",
                    "model": "example-model-1",
                    "token_count": 14,
                }
            ]
        }
    )

    from_seq: Position
    to_seq: Position
    text: Annotated[str, Field(min_length=1, max_length=settings.max_summary_characters)]
    model: Annotated[str, Field(max_length=255)] | None = None
    token_count: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None

    @model_validator(mode="after")
    def _runs_forwards(self) -> "NewSummary":
        if self.from_seq > self.to_seq:
            raise ValueError("from_seq may not be greater than to_seq")
        return self


class SummaryQuery(PageQuery):
    order: Literal["asc", "desc"] = Field(
        default="desc", description="By `to_seq`; `desc` has the one that reaches furthest first."
    )


class Summary(TypedDict):
    """What was kept of the messages from `from_seq` to `to_seq`, both included."""

    id: Annotated[str, Field(examples=["sum_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"])]
    conversation_id: str
    from_seq: int
    to_seq: int
    text: str
    model: str | None
    token_count: int | None
    created_at: datetime
