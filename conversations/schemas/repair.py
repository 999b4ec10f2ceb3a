"""What is wrong in a conversation, and what was mended."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict


class Finding(TypedDict):
    """One thing that is wrong. seq, message_id, call_id: what it concerns, as far as it does."""

    kind: Annotated[str, Field(examples=["call_without_output"])]
    detail: str
    seq: int | None
    message_id: str | None
    call_id: str | None


class Check(TypedDict):
    """What is wrong in a conversation, up to a hundred findings of each kind."""

    ok: bool
    findings: list[Finding]


class Repair(TypedDict):
    """What was mended. ok: whether nothing is left; else repeat it."""

    ok: bool
    mended: list[Finding]
