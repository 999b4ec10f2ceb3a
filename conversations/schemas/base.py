"""What the shapes have in common."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
)

from conversations.settings import get_settings
from tenants.errors import ApplicationError
from tenants.strict_json import parse_json

settings = get_settings()
# What ids begin with where they are shown.
CONVERSATION_PREFIX, MESSAGE_PREFIX, CALL_PREFIX = "conv", "msg", "call"
SUMMARY_PREFIX, FEEDBACK_PREFIX = "sum", "fb"
ATTACHMENT_PREFIX, ERASURE_PREFIX = "att", "era"


def _is_modest(metadata: dict[str, Any]) -> dict[str, Any]:
    if len(orjson.dumps(metadata)) > settings.max_metadata_bytes:
        raise ValueError(f"may have {settings.max_metadata_bytes} bytes as JSON")
    return metadata


def _is_strict(text: str) -> str:
    """JSON in a query obeys the rules that a body's does."""
    try:
        parse_json(text.encode())
    except ApplicationError as error:
        raise ValueError(str(error)) from error
    return text


def _is_text(moment: Any) -> Any:
    """Pydantic would take numbers, and dates written as numbers, for moments too."""
    if not isinstance(moment, str) or moment[4:5] != "-":
        raise ValueError("must be a moment such as 2030-01-31T12:00:00Z")
    return moment


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is before the year 1 or after 9999 in UTC") from error


def _is_ahead(moment: datetime) -> datetime:
    if moment <= datetime.now(UTC):
        raise ValueError("must lie in the future")
    return moment


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_is_text, json_schema_input_type=str),
    AfterValidator(_in_utc),
    Field(strict=False, examples=["2099-12-31T00:00:00Z"]),
]
FutureMoment = Annotated[Moment, AfterValidator(_is_ahead)]
Metadata = Annotated[dict[str, Any], AfterValidator(_is_modest)]
MetadataFilter = Annotated[Json[dict[str, Any]], BeforeValidator(_is_strict)]
MessageText = Annotated[str, Field(max_length=settings.max_text_characters)]
ForeignId = Annotated[str, Field(min_length=1, max_length=255)]
Title = Annotated[str, Field(max_length=500)]
# The client's own name for a message that is being written.
DraftId = Annotated[
    str,
    Field(pattern=r"^[!-.0-~]{1,255}$", examples=["draft_1"]),
]
# Printable ASCII without space and slash: every provider's ids, and whole in a path.
CallId = Annotated[str, Field(pattern=r"^[!-.0-~]{1,255}$", examples=["call_8Zt1"])]


# Those whose words can be reduced to their stems: the keys of `models.LANGUAGES`.
Language = Literal[
    "ar",
    "ca",
    "da",
    "de",
    "el",
    "en",
    "es",
    "eu",
    "fi",
    "fr",
    "ga",
    "hi",
    "hu",
    "hy",
    "id",
    "it",
    "lt",
    "ne",
    "nl",
    "no",
    "pt",
    "ro",
    "ru",
    "sr",
    "sv",
    "ta",
    "tr",
    "yi",
]


class Input(BaseModel):
    """What a client sends: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class PageQuery(BaseModel):
    limit: Annotated[int, Field(ge=1, le=100)] = settings.default_page_limit
    after: Annotated[str, Field(max_length=1000)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )
