"""Reads a body into drafts, whatever its format."""

from collections.abc import Iterable, Iterator

from conversations.schemas import ImportQuery
from conversations.service.imports import chatgpt, openai_chat, tenantry
from conversations.service.imports.drafts import Draft, Refused
from conversations.service.imports.framing import Item, read_items
from conversations.service.imports.report import Report

_CONVERSATION_READERS = {"openai-chat": openai_chat.read, "chatgpt": chatgpt.read}


def read_drafts(
    records: Iterable[bytes], query: ImportQuery, report: Report, most_messages: int | None = None
) -> Iterator[Draft]:
    """One draft after the other, so that no more than one is in memory.

    most_messages: how many a draft may have; the rest of a conversation of our format is another.
    Raises InvalidInput (422) for a version of our format that isn't known.
    """
    items = read_items(records, report)
    for draft in _read(items, query, report, most_messages):
        if draft.values is not None:
            for name in ("user_id", "agent_id"):
                draft.values[name] = draft.values.get(name) or getattr(query, name)
        yield draft


def _read(
    items: Iterator[Item], query: ImportQuery, report: Report, most_messages: int | None
) -> Iterator[Draft]:
    if query.format == "tenantry":
        yield from tenantry.read(items, report, most_messages)
        return
    read = _CONVERSATION_READERS[query.format]
    for item in items:
        try:
            yield read(item)
        except Refused as reason:
            report.skip(item.line, str(reason))
