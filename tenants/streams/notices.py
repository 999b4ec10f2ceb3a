"""Tells the server's other processes that something was written, or said: NOTIFY.

It makes streams fast and nothing more: through a transaction pooler nothing arrives, and streams
hear of writes at their next look. A notice is sent after the commit and on a connection of its
own, so that no writer waits for PostgreSQL's one queue of notifications; what comes within a
moment goes together. A notice of a write names the tenant and nothing of its content; what is said
to streams goes along as it is, and reaches the sessions that listen: those of this service.
"""

import asyncio
import contextlib
import itertools
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import structlog

from tenants.db.engine import get_settings
from tenants.streams.topic import Topic

log = structlog.get_logger(__name__)

CHANNEL = "tenantry_streams"
# PostgreSQL takes 7,999 bytes; what is said comes with the names of its topic.
MAX_NOTICE_BYTES = 7_900
_TENANTS_A_NOTICE = 200
_MAX_WAITING = 2_000
_GATHER_SECONDS = 0.02
_RECONNECT_SECONDS = 1.0
# Nobody waits for a notice to be on disk.
_SEND = (
    "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, notice) "
    "FROM unnest($2::text[]) AS notice"
)


class Notices:
    """One connection of a process, on which it listens and notifies."""

    def __init__(
        self,
        url: str,
        on_write: Callable[[UUID], None],
        on_said: Callable[[UUID, Topic, bytes], None],
    ) -> None:
        """on_write, on_said: called with what another process has sent."""
        self._url = url
        self._on_write, self._on_said = on_write, on_said
        # Tells ours from the others'; the number keeps two notices of the same words apart, of
        # which PostgreSQL would deliver one.
        self._sender = secrets.token_hex(8)
        self._numbers = itertools.count()
        self._written: set[UUID] = set()
        self._said: deque[str] = deque(maxlen=_MAX_WAITING)
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_connected(), name="notices")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def note_write(self, tenant_id: UUID) -> None:
        """Have the others know that something was written in a tenant."""
        self._written.add(tenant_id)
        self._wanted.set()

    def say(self, tenant_id: UUID, topic: Topic, content: bytes) -> None:
        """Have the others hear it, unless it is too long for a notice. content: JSON."""
        said = orjson.Fragment(content)
        notice = self._encode(tenant=tenant_id.hex, topic=[*topic], said=said)
        if len(notice.encode()) <= MAX_NOTICE_BYTES:
            self._said.append(notice)
            self._wanted.set()

    async def _keep_connected(self) -> None:
        while True:
            try:
                await self._carry()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("notices.unavailable", reason=repr(error))
            except Exception:  # Without it streams would only be slower, but for ever.
                log.exception("notices.failed")
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _carry(self) -> None:
        """Listen and notify until the connection breaks; an OSError then."""
        settings = get_settings()
        connection: Any = await asyncpg.connect(
            self._url,
            timeout=settings.connect_timeout_seconds,
            command_timeout=settings.statement_timeout_seconds,
            statement_cache_size=0,
            server_settings={"application_name": "tenantry notices"},
        )
        try:
            connection.add_termination_listener(lambda _: self._wanted.set())
            await connection.add_listener(CHANNEL, self._receive)
            while not connection.is_closed():
                await self._wanted.wait()
                self._wanted.clear()
                if notices := self._take():
                    await connection.execute(_SEND, CHANNEL, notices)
                    await asyncio.sleep(_GATHER_SECONDS)
            raise ConnectionError("the connection was closed")
        finally:
            connection.terminate()

    def _take(self) -> list[str]:
        """What waits to be sent."""
        tenants = [tenant_id.hex for tenant_id in self._written]
        notices = [
            self._encode(written=tenants[start : start + _TENANTS_A_NOTICE])
            for start in range(0, len(tenants), _TENANTS_A_NOTICE)
        ]
        notices += self._said
        self._written.clear()
        self._said.clear()
        return notices

    def _encode(self, **content: Any) -> str:
        number = next(self._numbers)
        return orjson.dumps({"from": self._sender, "number": number, **content}).decode()

    def _receive(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        notice = orjson.loads(payload)
        if notice["from"] == self._sender:
            return
        for tenant in notice.get("written", ()):
            self._on_write(UUID(hex=tenant))
        if "said" in notice:
            said = orjson.dumps(notice["said"])
            self._on_said(UUID(hex=notice["tenant"]), Topic(*notice["topic"]), said)
