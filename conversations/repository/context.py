"""What a context is made of."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from conversations import schemas
from conversations.repository.messages import show_message
from conversations.repository.summaries import show_summary
from conversations.statements import context_statement
from tenants.db.unit_of_work import ReadSession

# More than anybody keeps that reach equally far; what is older is reached by deleting these.
_SUMMARY_LIMIT = 8


@dataclass(frozen=True)
class History:
    """The end of a history, and what stands for the rest.

    messages: in order; all from `start` on, and before that those that instruct the model.
    first_seq: where messages begin that could be left out, None while there are none.
    summaries: the ones that reach furthest, in this order.
    """

    messages: list[schemas.Message]
    start: int
    first_seq: int | None
    summaries: list[schemas.Summary]


async def read_history(
    session: ReadSession, conversation_id: UUID, *, budget: int, cap: int
) -> History | None:
    """Read backwards until `budget` tokens are surely passed, after `cap` messages at the latest.

    Returns None if there is no such conversation.
    """
    rows = await session.fetch(
        context_statement(),
        target=conversation_id,
        budget=budget,
        cap=cap,
        summary_limit=_SUMMARY_LIMIT,
    )
    if not rows:
        return None
    summaries = orjson.loads(rows[0]["summaries"] or b"[]")
    return History(
        messages=[_show_with_calls(row) for row in rows if row["id"] is not None],
        start=rows[0]["start"],
        first_seq=rows[0]["first_seq"],
        summaries=[show_summary(_from_json(summary)) for summary in summaries],
    )


def _show_with_calls(row: Any) -> schemas.Message:
    """A message whose calls are to be looked into."""
    return {**show_message(row), "tool_calls": orjson.loads(row["tool_calls"] or b"[]")}


def _from_json(summary: dict[str, Any]) -> dict[str, Any]:
    return {
        **summary,
        "id": UUID(summary["id"]),
        "conversation_id": UUID(summary["conversation_id"]),
        "created_at": datetime.fromisoformat(summary["created_at"]),
    }
