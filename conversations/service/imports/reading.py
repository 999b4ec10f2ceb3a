"""Reads a body into drafts, whatever its format."""

from collections.abc import Iterator

from conversations.schemas import ImportQuery
from conversations.service.imports import chatgpt, openai_chat, tenantry
from conversations.service.imports.drafts import Draft, Refused
from conversations.service.imports.framing import Item, read_items
from conversations.service.imports.report import Report

_CONVERSATION_READERS = {"openai-chat": openai_chat.read, "chatgpt": chatgpt.read}


def read_drafts(
    body: bytes, query: ImportQuery, report: Report, *, is_lines: bool
) -> Iterator[Draft]:
    """One draft after the other, so that no more than one is in memory.

    is_lines: whether the body has a record in each line; else it is an array of them, or one.
    Raises MalformedBody (400), InvalidInput (422) for a version of our format that isn't known.
    """
    items = read_items(body, is_lines=is_lines, report=report)
    for draft in _read(items, query, report):
        if draft.values is not None:
            for name in ("user_id", "agent_id"):
                draft.values[name] = draft.values.get(name) or getattr(query, name)
        yield draft


def _read(items: Iterator[Item], query: ImportQuery, report: Report) -> Iterator[Draft]:
    if query.format == "tenantry":
        yield from tenantry.read(items, report)
        return
    read = _CONVERSATION_READERS[query.format]
    for item in items:
        try:
            yield read(item)
        except Refused as reason:
            report.skip(item.line, str(reason))
