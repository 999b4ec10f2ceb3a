"""The bare peer's page of messages, with their tool calls."""

from typing import Any

import asyncpg
import orjson

from benchmarks.peers.statements import MOMENT, PAGE
from tenants.ids import find_id, show_id

_TOKEN_KINDS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")


async def read_page(
    connection: asyncpg.Connection, conversation: str, query: bytes
) -> tuple[int, bytes]:
    limit = int(query.removeprefix(b"limit=") or 20)
    key = find_id("conv", conversation)
    rows = key and await connection.fetch(PAGE, key, limit + 1, MOMENT)
    if not rows:
        return 404, b"{}"
    messages = [_show(row, conversation) for row in rows if row["id"] is not None]
    page = {"data": messages[:limit], "has_more": len(messages) > limit, "next_cursor": None}
    return 200, orjson.dumps(page, option=orjson.OPT_UTC_Z)


def _show(row: Any, conversation: str) -> dict[str, Any]:
    usage = {kind: row[kind] for kind in _TOKEN_KINDS}
    return {
        "id": show_id("msg", row["id"]),
        "conversation_id": conversation,
        "seq": row["seq"],
        "role": row["role"],
        "kind": row["kind"],
        "status": row["status"],
        "content": row["text"] if row["content"] is None else orjson.Fragment(row["content"]),
        "call_id": row["call_id"],
        "external_id": row["external_id"],
        "model": row["model"],
        "token_count": row["token_count"],
        "usage": usage if any(count is not None for count in usage.values()) else None,
        "cost": row["cost"] and format(row["cost"].normalize(), "f"),
        "tool_calls": orjson.Fragment(row["tool_calls"]) if row["tool_calls"] else [],
        "created_at": row["created_at"],
    }
