"""Connections of the owner login for rollouts, which may lead through a transaction pooler.

Nothing is kept in a session: no prepared statement, no setting, no lock. Whatever belongs together
is one message, or one transaction. A connection that is lost is replaced when it is next used.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from tenants.settings import EngineSettings


class Wire:
    """One connection, opened when it is first used. Not for two tasks at once."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._connection: asyncpg.Connection | None = None

    async def send(self, script: str) -> None:
        """Run statements as one message; a transaction that an error leaves open is rolled back.

        Raises asyncpg.PostgresError, asyncpg.InterfaceError or OSError.
        """
        connection = await self._connect()
        try:
            await connection.execute(script)
        except BaseException as error:
            await self._recover(connection, error)
            raise

    async def fetch(self, query: str, *values: Any) -> Sequence[Any]:
        """The rows of a query, which is a transaction of its own. Raises as `send` does."""
        connection = await self._connect()
        try:
            async with connection.transaction():
                rows: Sequence[Any] = await connection.fetch(query, *values)
                return rows
        except BaseException as error:
            await self._recover(connection, error)
            raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError, asyncpg.InterfaceError):
                await connection.close(timeout=1)

    async def _connect(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await _open_connection(self._settings)
        return self._connection

    async def _recover(self, connection: asyncpg.Connection, error: BaseException) -> None:
        """Leave no transaction open; where that can't be made sure of, leave no connection."""
        if isinstance(error, Exception) and not isinstance(error, asyncpg.PostgresError):
            connection.terminate()
        if connection.is_closed():
            return
        try:
            if connection.is_in_transaction():
                await connection.execute("ROLLBACK")
        except Exception:
            connection.terminate()
        except BaseException:
            connection.terminate()
            raise


async def _open_connection(settings: EngineSettings) -> asyncpg.Connection:
    return await asyncpg.connect(
        settings.owner_url.get_secret_value(),
        timeout=settings.connect_timeout_seconds,
        statement_cache_size=0,
    )
