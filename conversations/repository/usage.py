"""What was used, by day, model, agent and user."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from conversations.schemas import TOKEN_KINDS
from conversations.statements import usage_statement
from tenants.db.unit_of_work import ReadSession

_SUMS = (*TOKEN_KINDS, "total_tokens", "messages", "tool_calls", "conversations")


async def sum_usage(
    session: ReadSession,
    midnights: Sequence[datetime],
    dimensions: Sequence[str],
    filters: Mapping[str, Any],
    limit: int,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Totals, and up to `limit` rows in the order of their dimensions.

    midnights: where each day begins, and where the last one ends; a row's `day` counts them from
    1. filters: `user_id`, `agent_id` and `model`, where not None. Sums are by column name, the
    cost a Decimal.
    """
    statement = usage_statement(midnights, dimensions, dict(filters), limit)
    totals, *rows = (await session.execute(statement)).all()
    return _show_sums(totals), [
        {**{name: getattr(row, name) for name in dimensions}, **_show_sums(row)} for row in rows
    ]


def _show_sums(row: Any) -> dict[str, Any]:
    return {"cost": row.cost, **{name: getattr(row, name) for name in _SUMS}}
