"""A pool of runtime connections, for the units of work of one event loop.

SQLAlchemy opens the connections, so that its Core and its ORM can be used on them, and looks after
each while it lives. But to hand one out and take it back cost its own pool as much processor time
as asyncpg takes for a statement; here it is a list, and a queue of those who have to wait.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, exc
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool at one moment: its bound, the connections handed out, and the requests waiting."""

    size: int
    in_use: int
    waiting: int


@dataclass(slots=True)
class PooledConnection:
    """A connection. adapter: SQLAlchemy's face of it; driver: asyncpg's own.

    tenants: whom it has served. Its backend remembers the tables of each.
    """

    fairy: Any
    adapter: Any
    driver: Any
    opened_at: float
    tenants: set[UUID] = field(default_factory=set)

    def borrow(self, engine: AsyncEngine, **options: Any) -> Connection:
        """SQLAlchemy's `Connection` on it, which leaves it open when it is itself closed."""
        self.fairy._counter += 1
        return Connection(engine.sync_engine, self.fairy).execution_options(**options)

    def discard(self) -> None:
        """Close it at once; it may be busy."""
        if self.fairy.is_valid:
            self.fairy.invalidate()


class Pool:
    """Up to `size` connections, the most recently used first: its backend has the warmest caches.

    engine: one that keeps no connections itself.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        size: int,
        *,
        timeout_seconds: float,
        recycle_seconds: float,
        recycle_tenants: int,
    ) -> None:
        self.engine = engine
        self._size = size
        self._timeout_seconds = timeout_seconds
        self._recycle_seconds = recycle_seconds
        self._recycle_tenants = recycle_tenants
        self._idle: list[PooledConnection] = []
        self._in_use = 0
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._loop = asyncio.get_running_loop()
        self._is_closed = False

    @property
    def state(self) -> PoolState:
        return PoolState(self._size, self._in_use, len(self._waiting))

    async def take(self) -> PooledConnection:
        """A connection that nobody else uses, until it is given back.

        Raises SQLAlchemy's TimeoutError if none gets free in time, DBAPIError or OSError if none
        can be opened.
        """
        if self._in_use < self._size:
            self._in_use += 1
        else:
            await self._wait()
        try:
            while self._idle:
                connection = self._idle.pop()
                if self._is_alive(connection):
                    return connection
                connection.discard()
            return await self._open()
        except BaseException:
            self._leave()
            raise

    def give_back(self, connection: PooledConnection) -> None:
        if not self._is_closed and self._is_alive(connection) and self._is_clean(connection):
            self._idle.append(connection)
        else:
            connection.discard()
        self._leave()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[PooledConnection]:
        """Take a connection, and give it back unless something went wrong on it."""
        connection = await self.take()
        try:
            yield connection
        except BaseException:
            connection.discard()
            raise
        finally:
            self.give_back(connection)

    async def close(self) -> None:
        """Close the connections: those in use when they are given back."""
        self._is_closed = True
        while self._idle:
            await greenlet_spawn(self._idle.pop().fairy.close)

    async def _wait(self) -> None:
        """Until somebody leaves, whose place is then the caller's."""
        place = self._loop.create_future()
        self._waiting[place] = None
        timer = self._loop.call_later(self._timeout_seconds, self._give_up, place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled() and place.exception() is None:
                self._leave()  # It had just been given.
            raise
        finally:
            timer.cancel()
            self._waiting.pop(place, None)

    def _give_up(self, place: asyncio.Future[None]) -> None:
        if not place.done():
            place.set_exception(exc.TimeoutError("no connection got free in time"))

    async def _open(self) -> PooledConnection:
        driver_error = self.engine.dialect.loaded_dbapi.Error
        try:
            fairy: Any = await self.engine.raw_connection()
        except driver_error as error:
            raise exc.DBAPIError.instance(
                None, None, error, driver_error, dialect=self.engine.dialect
            ) from error
        return PooledConnection(fairy, fairy.dbapi_connection, fairy.driver_connection, monotonic())

    def _is_alive(self, connection: PooledConnection) -> bool:
        """Whether it is open, and not too old: what time alone can change.

        asyncpg notices a closed socket without asking; a ping before every use costs three round
        trips.
        """
        is_open = not connection.driver.is_closed()
        return is_open and monotonic() - connection.opened_at < self._recycle_seconds

    def _is_clean(self, connection: PooledConnection) -> bool:
        """Whether whoever had it left it as it came, and it has not met too many tenants.

        It must be alive: a closed driver can't be asked. One that was left in a transaction would
        put the next in that one's tenant; one whose transactions were given other characteristics
        would keep them.
        """
        adapter = connection.adapter
        return (
            connection.fairy.is_valid
            and not connection.driver.is_in_transaction()
            and adapter.isolation_level is None
            and not adapter.readonly
            and not adapter.deferrable
            and len(connection.tenants) < self._recycle_tenants
        )

    def _leave(self) -> None:
        """Hand one's place to whoever has waited longest."""
        while self._waiting:
            place, _ = self._waiting.popitem(last=False)
            if not place.done():
                place.set_result(None)
                return
        self._in_use -= 1
