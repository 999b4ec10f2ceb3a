"""The usage report."""

from datetime import date
from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, BaseModel, Field
from typing_extensions import TypedDict

from conversations.schemas.base import ForeignId

Dimension = Literal["day", "model", "agent", "user"]
# By what a report can be grouped, and the field that says so in a row.
DIMENSIONS: dict[Dimension, str] = {
    "day": "day",
    "model": "model",
    "agent": "agent_id",
    "user": "user_id",
}


def _names_dimensions(text: str) -> str:
    names = text.split(",")
    if len(set(names)) < len(names) or not set(names) <= set(DIMENSIONS):
        raise ValueError(f"give some of {', '.join(DIMENSIONS)}, with commas between them")
    return text


class UsageQuery(BaseModel):
    """What to count. Days begin and end as they do in the time zone."""

    from_: date | None = Field(
        default=None, alias="from", description="The first day; else thirty days before `to`."
    )
    to: date | None = Field(
        default=None, description="The day after the last one; else tomorrow, so that today counts."
    )
    group_by: Annotated[str, AfterValidator(_names_dimensions)] = Field(
        default="day",
        description="What a row is for: some of `day`, `model`, `agent` and `user`.",
        examples=["day,model"],
    )
    timezone: Annotated[str, Field(max_length=64)] = Field(
        default="UTC",
        description="A name of the IANA time zone database.",
        examples=["Europe/Oslo"],
    )
    user_id: ForeignId | None = None
    agent_id: ForeignId | None = None
    model: Annotated[str, Field(max_length=255)] | None = None
    format: Literal["json", "csv"] | None = Field(
        default=None, description="Else as the header `Accept` says; JSON if it doesn't."
    )

    @property
    def columns(self) -> list[str]:
        """The fields by which rows are grouped, in their own order, whatever the query's."""
        wanted = self.group_by.split(",")
        return [field for name, field in DIMENSIONS.items() if name in wanted]


class UsageSums(TypedDict):
    """Tokens, the cost as a decimal number in text, and how many of what there are."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    total_tokens: int
    cost: Annotated[str, Field(examples=["0.0125"])]
    messages: int
    tool_calls: int
    conversations: int


class UsageRow(UsageSums):
    """Has the fields that it is grouped by. A model, agent or user that is not known is null."""

    day: NotRequired[date]
    model: NotRequired[str | None]
    agent_id: NotRequired[str | None]
    user_id: NotRequired[str | None]


# Written so since `from` is a word of Python's.
_Range = TypedDict("_Range", {"from": date, "to": date})


class UsageReport(_Range):
    """Days from `from` until before `to`; `data` in the order of what it is grouped by.

    A row's conversations are those that have a message in it, so `totals` has fewer than all
    rows together.
    """

    timezone: str
    data: list[UsageRow]
    totals: UsageSums
