"""What every format is read into."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from conversations.schemas import FeedbackRecord, SummaryRecord
from conversations.settings import get_settings


class Refused(Exception):
    """Why a conversation, or a line of one, can't be imported."""


@dataclass(frozen=True)
class DraftMessage:
    """source_id: names it in its conversation.

    row: its columns, but for ids and position. calls: those of its tool calls, likewise.
    """

    line: int
    seq: int
    source_id: str
    row: dict[str, Any]
    calls: list[dict[str, Any]] = field(default_factory=list)


class Branch(NamedTuple):
    """A conversation and the one that it branched off, each by its source and its own id."""

    source: str
    own_id: UUID | None
    parent_source: str
    parent_own_id: UUID | None


@dataclass
class Draft:
    """A conversation to import, or a further part of one.

    source: the format, and what names the conversation there. values: its columns, but for those
    that follow from its messages; None in a part without its beginning. read_seq: up to where it
    has been read. own_id: its id, if it may come from this tenant. branch: where it branched off.
    Each summary and opinion has the line that it stood on.
    """

    line: int
    source: str
    values: dict[str, Any] | None
    read_seq: int = 0
    own_id: UUID | None = None
    branch: Branch | None = None
    messages: list[DraftMessage] = field(default_factory=list)
    summaries: list[tuple[int, SummaryRecord]] = field(default_factory=list)
    feedback: list[tuple[int, FeedbackRecord]] = field(default_factory=list)


def derive_id(namespace: UUID, kind: str, name: str) -> UUID:
    """The same id for the same thing, at every import. Source: RFC 9562, section 5.5."""
    return uuid5(namespace, f"{kind}:{name}")


def conversation_ids(tenant_id: UUID, source: str, own_id: UUID | None) -> list[UUID]:
    """Under which ids a conversation may be here already; it is made under the last."""
    derived = derive_id(tenant_id, "conversation", source)
    return [derived] if own_id is None else [own_id, derived]


def read_text(content: str | list[dict[str, Any]] | None) -> str | None:
    """What can be read of a content. Raises Refused if that is too long."""
    if isinstance(content, list):
        texts = [part["text"] for part in content if part["type"] == "text"]
        text = "\n".join(texts) if texts else None
    else:
        text = content
    longest = get_settings().max_text_characters
    if text is not None and len(text) > longest:
        raise Refused(f"a message has more than {longest} characters")
    return text


def message_row(
    role: str,
    content: str | list[dict[str, Any]] | None,
    created_at: datetime | None,
    **values: Any,
) -> dict[str, Any]:
    """A row as other services' messages make it."""
    return {
        "role": role,
        "content": content if isinstance(content, list) else None,
        "text": read_text(content),
        "created_at": created_at,
        **values,
    }
