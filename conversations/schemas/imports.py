"""Imports: what a request says beside its body, and the report."""

from typing import Literal

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from conversations.schemas.base import ForeignId

# Lines of JSON; `application/jsonl` is read, too.
LINES_TYPE = "application/x-ndjson"
# Reasons that a report lists; it counts all.
LISTED_REASONS = 100

ImportFormat = Literal["tenantry", "openai-chat", "chatgpt"]


class ImportQuery(BaseModel):
    """user_id, agent_id: for conversations whose source names none."""

    format: ImportFormat = Field(default="tenantry", description="What the records are.")
    user_id: ForeignId | None = Field(
        default=None, description="Whose conversations they are, where the source doesn't say."
    )
    agent_id: ForeignId | None = Field(
        default=None, description="With which agent, where the source doesn't say."
    )


class Tally(TypedDict):
    """imported: written now. already_there: found as an earlier import left them."""

    imported: int
    already_there: int


class SkippedLine(TypedDict):
    """line: of the body, counted from 1; in a JSON array the item."""

    line: int
    reason: str


class ImportReport(TypedDict):
    """What became of an import.

    complete: whether the file was whole by its own last line; null where a format has none.
    skipped: how many lines were not imported, of which the first hundred are listed.
    """

    format: ImportFormat
    lines: int
    complete: bool | None
    conversations: Tally
    messages: Tally
    tool_calls: Tally
    summaries: Tally
    feedback: Tally
    skipped: int
    skipped_lines: list[SkippedLine]
