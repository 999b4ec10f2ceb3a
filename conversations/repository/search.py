"""Search over titles and messages."""

from collections.abc import Iterator, Mapping
from secrets import token_hex
from typing import Any
from uuid import UUID

from conversations import schemas
from conversations.schemas import CONVERSATION_PREFIX, MESSAGE_PREFIX
from conversations.statements import search_statement
from tenants.db.unit_of_work import ReadSession
from tenants.ids import show_id

_SNIPPET = "MaxWords=32, MinWords=12"


async def search(
    session: ReadSession,
    filters: Mapping[str, Any],
    *,
    query: str,
    after: tuple[float, UUID] | None,
    limit: int,
) -> list[tuple[schemas.SearchHit, tuple[float, str]]]:
    """Up to `limit` hits beyond a position of rank and id, best first, each with its own position.

    filters: `user_id`, `agent_id`, `status` and `language`, where not None.
    """
    # Drawn anew each time, so that no text can hold them.
    start, stop = token_hex(16), token_hex(16)
    given = {name: value for name, value in filters.items() if value is not None}
    position = {} if after is None else {"after_rank": after[0], "after_id": after[1]}
    rows = await session.fetch(
        search_statement(frozenset(given), goes_on=after is not None),
        q=query,
        marks=f"{_SNIPPET}, StartSel={start}, StopSel={stop}",
        limit=limit,
        **given,
        **position,
    )
    return [
        (_show_hit(row, list(_split(row["snippet"], start, stop))), (row["rank"], str(row["id"])))
        for row in rows
    ]


def _split(marked: str, start: str, stop: str) -> Iterator[schemas.SnippetPart]:
    before, *rest = marked.split(start)
    if before:
        yield {"text": before, "highlighted": False}
    for part in rest:
        word, _, after = part.partition(stop)
        yield {"text": word, "highlighted": True}
        if after:
            yield {"text": after, "highlighted": False}


def _show_hit(row: Any, snippet: list[schemas.SnippetPart]) -> schemas.SearchHit:
    return {
        "conversation_id": show_id(CONVERSATION_PREFIX, row["conversation_id"]),
        "title": row["title"],
        "message_id": show_id(MESSAGE_PREFIX, row["message_id"]) if row["message_id"] else None,
        "seq": row["seq"],
        "role": row["role"],
        "snippet": snippet,
        "rank": row["rank"],
    }
