"""The bare peer's append: a message with its tool calls, once if its sender says so."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from benchmarks.peers.repeats import Keyed, oldest_kept
from benchmarks.peers.statements import APPEND, APPEND_ONCE, FIND_ANSWER
from tenants.ids import new_id, show_id

_REPLAYED = (b"idempotent-replayed", b"true")
# Where the position comes in an answer. Inside a string the quotation marks would be escaped, and
# no other such name comes before.
_SEQ = b'"seq":0,'


class IsRepeat(Exception):
    """What was sent has been answered before; nothing of it may stay written."""


async def replay(
    connection: asyncpg.Connection, keyed: Keyed
) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    found = await connection.fetchrow(FIND_ANSWER, keyed.digest, oldest_kept())
    if found is None:
        return 409, b"{}", []
    if found["fingerprint"] != keyed.fingerprint:
        return 422, b"{}", []
    return found["status"], found["body"], [_REPLAYED]


class Append:
    """What is appended, and the answer to it but for the position."""

    def __init__(self, conversation_id: UUID, body: bytes) -> None:
        new, message_id, now = orjson.loads(body), new_id(), datetime.now(UTC)
        calls = [
            {"id": new_id(), "index": index, **call}
            for index, call in enumerate(new.get("tool_calls", ()))
        ]
        self._values = (
            conversation_id,
            message_id,
            now,
            new["role"],
            new.get("content"),
            new.get("model"),
            new.get("token_count"),
            orjson.dumps(calls).decode(),
        )
        answer = _show(new, message_id, conversation_id, calls, now)
        self._before, _, self._after = answer.partition(_SEQ)

    async def perform(self, connection: asyncpg.Connection) -> tuple[int, bytes]:
        return self._answer(await connection.fetchrow(APPEND, *self._values))

    async def perform_once(self, connection: asyncpg.Connection, keyed: Keyed) -> tuple[int, bytes]:
        """Raises IsRepeat; then the transaction must be rolled back."""
        row = await connection.fetchrow(
            APPEND_ONCE,
            *self._values,
            keyed.digest,
            keyed.fingerprint,
            self._before + b'"seq":',
            b"," + self._after,
            oldest_kept(),
        )
        return self._answer(row)

    def _answer(self, row: asyncpg.Record | None) -> tuple[int, bytes]:
        if row is None:
            return 404, b"{}"
        if not row["is_new"]:
            raise IsRepeat
        return 201, b'%b"seq":%d,%b' % (self._before, row["last_seq"], self._after)


def _show(
    new: dict[str, Any], key: UUID, conversation_id: UUID, calls: list[Any], now: datetime
) -> bytes:
    return orjson.dumps(
        {
            "id": show_id("msg", key),
            "conversation_id": show_id("conv", conversation_id),
            "seq": 0,
            "role": new["role"],
            "kind": "message",
            "status": "completed",
            "content": new.get("content"),
            "call_id": None,
            "external_id": None,
            "model": new.get("model"),
            "token_count": new.get("token_count"),
            "usage": None,
            "cost": None,
            "tool_calls": [
                {
                    "id": show_id("call", call["id"]),
                    "call_id": call["call_id"],
                    "name": call["name"],
                    "arguments": call["arguments"],
                    "status": "requested",
                    "error": None,
                    "attempts": 0,
                    "deadline": None,
                    "decided_by": None,
                    "decided_at": None,
                    "reason": None,
                    "output_message_id": None,
                    "created_at": now,
                    "updated_at": now,
                }
                for call in calls
            ],
            "created_at": now,
        },
        option=orjson.OPT_UTC_Z,
    )
