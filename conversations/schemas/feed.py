"""The live feed: what opens a stream, and the drafts that are passed on to its readers."""

from typing import Annotated

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from conversations.schemas.base import ForeignId, Input

# What a notice between processes has room for, beside what says where the draft belongs.
_MAX_DELTA_BYTES = 6_000


def _is_short(delta: str) -> str:
    # As JSON, since quotes and line breaks take more room there.
    if len(orjson.dumps(delta)) > _MAX_DELTA_BYTES:
        raise ValueError(f"may have {_MAX_DELTA_BYTES} bytes as JSON")
    return delta


class FeedQuery(BaseModel):
    after: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        default=None,
        description="The `seq` after which the stream begins; by default that of the newest "
        "message. The header `Last-Event-ID` goes before it.",
    )


class UserFeedQuery(BaseModel):
    user_id: ForeignId = Field(description="The end user whose conversations are followed.")
    after: Annotated[str, Field(max_length=20_000)] | None = Field(
        default=None,
        description="The `id` of the last event that was received; by default the stream begins "
        "now. The header `Last-Event-ID` goes before it.",
    )


class Draft(Input):
    """A piece of a message that is being written.

    index: counts the pieces of a draft from 0, so that readers notice one that got lost.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"delta": "It is rain", "index": 0}]})

    delta: Annotated[str, Field(min_length=1), AfterValidator(_is_short)]
    index: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
