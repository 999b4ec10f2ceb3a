"""Exports: conversations with all that belongs to them, as lines of JSON, a page at a time.

Each page is read in a transaction of its own, so that none is open while a slow client takes
what it got. What leads from one page to the next is an `Export`, a plain value.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from conversations import errors, repository
from conversations.repository import FIRST_KEY, Key, Row
from conversations.service import records
from conversations.service.keys import conversation_key
from tenants.db.unit_of_work import ReadSession, read_session
from tenants.errors import ConnectionLost, TransactionConflict
from tenants.tenant import TenantRef

PAGE_ROWS = 200
_PAGE_BYTES = 4 * 1024 * 1024
_PAGE_CONVERSATIONS = 50
_KINDS = ("conversations", "messages", "tool_calls", "summaries", "feedback", "attachments")
# What comes after a conversation's messages: how it is read, and how it is written.
_PARTS = {
    "summaries": (repository.read_summaries, records.summary),
    "feedback": (repository.read_feedback, records.feedback),
    "attachments": (repository.read_attachments, records.attachment),
}


@dataclass(frozen=True)
class Large:
    """A conversation that is written in pages of its own.

    part: the part that is being written. seq, key: the last message of it that is, or other row.
    """

    head: Row
    part: str = "messages"
    seq: int = 0
    key: Key = FIRST_KEY


@dataclass(frozen=True)
class Export:
    """Where an export stands.

    conversation_id, user_id: what is exported; with neither, all. after: the last conversation
    that is written whole. loose: whether only the files are left that belong to no conversation;
    loose_after: the last of these. counts: of what is written.
    """

    conversation_id: UUID | None = None
    user_id: str | None = None
    after: UUID | None = None
    large: Large | None = None
    loose: bool = False
    loose_after: UUID | None = None
    counts: Counter[str] = field(default_factory=Counter)
    finished: bool = False


Page = tuple[bytes, Export]


async def export_conversation(session: ReadSession, conversation_id: str) -> Page:
    """The first lines of one conversation. Raises ConversationNotFound (404)."""
    lines, export = await read_page(session, Export(conversation_key(conversation_id)))
    if not export.counts:
        raise errors.ConversationNotFound
    return records.header() + lines, export


async def export_user(session: ReadSession, user_id: str) -> Page:
    """The first lines of a user's conversations and files. Raises UserNotFound (404)."""
    lines, export = await read_page(session, Export(user_id=user_id))
    if not export.counts:
        raise errors.UserNotFound
    return records.header() + lines, export


async def export_all(session: ReadSession) -> Page:
    """The first lines of everything that a tenant has."""
    lines, export = await read_page(session, Export())
    return records.header() + lines, export


async def read_page(session: ReadSession, export: Export) -> Page:
    """The next lines, and where the export stands after them. The last one says what there was."""
    written = _Written()
    if export.large is not None:
        large = await _read_large(session, export.large, written)
        after = export.after if large else export.large.head["id"]
        export = replace(export, large=large, after=after)
    elif not export.loose:
        export = await _read_next(session, export, written)
    else:
        export = await _read_loose(session, export, written)
    export = replace(export, counts=export.counts + written.counts)
    if export.finished:
        written.lines.append(records.end({kind: export.counts[kind] for kind in _KINDS}))
    return b"".join(written.lines), export


async def stream_pages(tenant: TenantRef, page: Page) -> AsyncGenerator[bytes, None]:
    """The page, which is there already, and those after it, each read when it is asked for."""
    lines, export = page
    yield lines
    while not export.finished:
        lines, export = await _read_again_if_lost(tenant, export)
        if lines:
            yield lines


async def stream_all(tenant: TenantRef) -> AsyncGenerator[bytes, None]:
    """Everything that a tenant has, in whole lines."""
    async with read_session(tenant) as session:
        page = await export_all(session)
    async for lines in stream_pages(tenant, page):
        yield lines


async def _read_again_if_lost(tenant: TenantRef, export: Export) -> Page:
    """Once more where the transaction left no trace, as any other request would be repeated."""
    try:
        return await _read_in_session(tenant, export)
    except (TransactionConflict, ConnectionLost):
        return await _read_in_session(tenant, export)


async def _read_in_session(tenant: TenantRef, export: Export) -> Page:
    async with read_session(tenant) as session:
        return await read_page(session, export)


class _Written:
    """Lines, and of what they are."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, line: bytes) -> None:
        self.lines.append(line)
        self.counts[kind] += 1

    def add_message(self, row: Row, calls: Sequence[Row]) -> None:
        self.add("messages", records.message(row, calls))
        self.counts["tool_calls"] += len(calls)


async def _read_next(session: ReadSession, export: Export, written: _Written) -> Export:
    """As many whole conversations as fit a page, or the beginning of one that doesn't."""
    heads = await repository.list_heads(
        session, export.conversation_id, export.user_id, export.after, _PAGE_CONVERSATIONS
    )
    small = await _read_small(session, _take_small(heads), written)
    if len(small) == len(heads) < _PAGE_CONVERSATIONS:
        # There are no more. Beside one conversation there are no files, either.
        return replace(export, loose=True, finished=export.conversation_id is not None)
    if small:
        return replace(export, after=small[-1]["id"])
    written.add("conversations", records.conversation(heads[0]))
    return replace(export, large=Large(heads[0]))


def _take_small(heads: Sequence[Row]) -> list[Row]:
    """The first conversations, as long as their messages fit a page together."""
    small: list[Row] = []
    rows = 0
    for head in heads:
        rows += head["last_seq"]
        if rows > PAGE_ROWS:
            break
        small.append(head)
    return small


async def _read_small(
    session: ReadSession, heads: Sequence[Row], written: _Written
) -> Sequence[Row]:
    """Write whole conversations; returns those that are. None is if a part doesn't fit a page."""
    lasts = {head["id"]: head["last_seq"] for head in heads}
    messages = await _read_messages(session, lasts)
    by_conversation: dict[UUID, list[tuple[Row, list[Row]]]] = {}
    for row, calls in messages:
        by_conversation.setdefault(row["conversation_id"], []).append((row, calls))
    whole = []
    for head in heads:
        if len(by_conversation.get(head["id"], [])) < head["last_seq"]:
            break  # Its messages have too many bytes for this page.
        whole.append(head)
    parts: dict[UUID, list[tuple[str, bytes]]] = {head["id"]: [] for head in whole}
    for kind, (read, write) in _PARTS.items():
        rows = await read(session, list(parts), FIRST_KEY, PAGE_ROWS + 1) if parts else []
        if len(rows) > PAGE_ROWS:
            return []
        for row in rows:
            if _is_within(row, lasts[row["conversation_id"]]):
                parts[row["conversation_id"]].append((kind, write(row)))
    for head in whole:
        written.add("conversations", records.conversation(head))
        for row, calls in by_conversation.get(head["id"], []):
            written.add_message(row, calls)
        for kind, line in parts[head["id"]]:
            written.add(kind, line)
    return whole


async def _read_large(session: ReadSession, large: Large, written: _Written) -> Large | None:
    """The next page of a large conversation; returns where it goes on, None after its last."""
    head, parts = large.head, list(_PARTS)
    if large.part == "messages":
        messages = await _read_messages(session, {head["id"]: head["last_seq"]}, large.seq)
        for row, calls in messages:
            written.add_message(row, calls)
        if messages:
            return replace(large, seq=messages[-1][0]["seq"])
        return replace(large, part=parts[0])
    read, write = _PARTS[large.part]
    rows = await read(session, [head["id"]], large.key, PAGE_ROWS)
    for row in rows:
        if _is_within(row, head["last_seq"]):
            written.add(large.part, write(row))
    if rows:
        return replace(large, key=(head["id"], rows[-1]["id"]))
    following = parts[parts.index(large.part) + 1 :]
    return replace(large, part=following[0], key=FIRST_KEY) if following else None


async def _read_loose(session: ReadSession, export: Export, written: _Written) -> Export:
    rows = await repository.read_loose_attachments(
        session, export.user_id, export.loose_after, PAGE_ROWS
    )
    for row in rows:
        written.add("attachments", records.attachment(row))
    if len(rows) < PAGE_ROWS:
        return replace(export, finished=True)
    return replace(export, loose_after=rows[-1]["id"])


async def _read_messages(
    session: ReadSession, lasts: dict[UUID, int], after: int = 0
) -> list[tuple[Row, list[Row]]]:
    if not lasts:
        return []
    return await repository.read_messages(session, lasts, after, PAGE_ROWS, _PAGE_BYTES)


def _is_within(row: Row, last_seq: int) -> bool:
    """Whether it is about messages that the export has: later ones may have come meanwhile."""
    return bool(row.get("to_seq", row.get("seq", 0)) <= last_seq)
