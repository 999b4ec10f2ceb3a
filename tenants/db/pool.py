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
from typing import Any, NamedTuple

from sqlalchemy import Connection, exc
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from tenants.db.statement import CompiledStatement

# For so long a tenant waits for a connection that knows it, and such a one may be held.
_PATIENCE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool at one moment: its bound, the connections handed out, and the requests waiting."""

    size: int
    in_use: int
    waiting: int


@dataclass(slots=True, eq=False)
class PooledConnection:
    """A connection. adapter: SQLAlchemy's face of it; driver: asyncpg's own.

    known: the schemas of the tenants that it has served. prepares_for_each: whether statements are
    prepared for each tenant. schema: whom it serves. taken_at: since when, on the event loop's
    clock.
    """

    fairy: Any
    adapter: Any
    driver: Any
    opened_at: float
    prepares_for_each: bool
    known: set[str] = field(default_factory=set)
    schema: str | None = None
    taken_at: float = 0.0

    def serve(self, schema: str | None, now: float) -> None:
        self.schema, self.taken_at = schema, now
        if schema is not None:
            self.known.add(schema)

    def text_of(self, statement: CompiledStatement) -> str:
        """A statement's text, for the tenant that is served.

        PostgreSQL plans a prepared statement anew when the search path is another one than at its
        last run. One of a tenant's own, told apart by a comment, is always run with the same.
        """
        if self.schema is None or statement.is_shared or not self.prepares_for_each:
            return statement.sql
        return f"{statement.sql}\n-- {self.schema}"

    def borrow(self, engine: AsyncEngine, **options: Any) -> Connection:
        """SQLAlchemy's `Connection` on it, which leaves it open when it is itself closed."""
        self.fairy._counter += 1
        return Connection(engine.sync_engine, self.fairy).execution_options(**options)

    def discard(self) -> None:
        """Close it at once; it may be busy."""
        if self.fairy.is_valid:
            self.fairy.invalidate()


# What is waited for: a connection, or None for the right to open one.
_Place = asyncio.Future[PooledConnection | None]


class _Wish(NamedTuple):
    """What kind is waited for: until then one that knows the schema, if there is one."""

    schema: str | None
    until: float = 0.0


class Pool:
    """Up to `size` connections, which keep to the tenants that they know.

    A backend reads a tenant's tables when it first meets them, and remembers them: milliseconds,
    and memory. So a tenant gets a connection that knows it, the last used first, and waits for
    one that is with another tenant just now. It gets to know one more when it has more requests
    at once than connections, when it has waited for long, and when others know far fewer tenants.

    engine: one that keeps no connections itself. recycle_tenants: how many tenants a connection
    gets to know before it is replaced. prepares_for_each: whether it prepares its statements for
    each of them; the driver keeps those that were used last.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        size: int,
        *,
        timeout_seconds: float,
        recycle_seconds: float,
        recycle_tenants: int,
        prepares_for_each: bool,
    ) -> None:
        self.engine = engine
        self._size = size
        self._timeout_seconds = timeout_seconds
        self._recycle_seconds = recycle_seconds
        self._recycle_tenants = recycle_tenants
        self._prepares_for_each = prepares_for_each
        self._idle: list[PooledConnection] = []
        self._busy: set[PooledConnection] = set()
        self._opening = 0
        self._waiting: OrderedDict[_Place, _Wish] = OrderedDict()
        self._relenting: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._is_closed = False

    @property
    def state(self) -> PoolState:
        return PoolState(self._size, len(self._busy) + self._opening, len(self._waiting))

    async def take(self, schema: str | None = None) -> PooledConnection:
        """A connection that nobody else uses, until it is given back.

        schema: of the tenant that it is to serve.
        Raises SQLAlchemy's TimeoutError if none gets free in time, DBAPIError or OSError if none
        can be opened.
        """
        connection = self._find_idle(schema)
        if connection is None:
            connection = await self._wait(schema if self._is_worth_waiting(schema) else None)
        if connection is None:
            connection = await self._open()
        connection.serve(schema, self._loop.time())
        self._busy.add(connection)
        return connection

    def give_back(self, connection: PooledConnection) -> None:
        self._busy.remove(connection)
        if not self._is_closed and self._is_alive(connection) and self._is_clean(connection):
            self._idle.append(connection)
        else:
            connection.discard()
            self._release_waiting()  # Some may have waited for this one.
        self._serve_waiting()

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

    async def _wait(self, schema: str | None) -> PooledConnection | None:
        """For a connection, or for the right to open one; it may be there at once."""
        place: _Place = self._loop.create_future()
        self._waiting[place] = _Wish(schema, self._loop.time() + _PATIENCE_SECONDS)
        self._serve_waiting()
        timer = self._loop.call_later(self._timeout_seconds, _give_up, place)
        if schema is not None and self._relenting is None:
            self._relenting = self._loop.call_later(_PATIENCE_SECONDS, self._relent)
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled() and place.exception() is None:
                self._decline(place.result())
            raise
        finally:
            timer.cancel()
            self._waiting.pop(place, None)

    def _serve_waiting(self) -> None:
        """Hand out what is there, to those first who have waited longest."""
        for place, (schema, _) in list(self._waiting.items()):
            if not self._idle and not self._has_room:
                return
            if place.done():
                continue
            connection = self._find_idle(schema)
            if connection is not None:
                self._busy.add(connection)
                place.set_result(connection)
            elif schema is None and self._has_room:
                self._opening += 1
                place.set_result(None)

    def _decline(self, connection: PooledConnection | None) -> None:
        if connection is not None:
            self.give_back(connection)
        else:
            self._opening -= 1
            self._serve_waiting()

    def _relent(self) -> None:
        self._relenting = None
        self._release_waiting()
        self._serve_waiting()
        if any(wish.schema is not None for wish in self._waiting.values()):
            self._relenting = self._loop.call_later(_PATIENCE_SECONDS, self._relent)

    def _release_waiting(self) -> None:
        """Let those take any connection who have waited for long, or in vain."""
        now = self._loop.time()
        for place, (schema, until) in list(self._waiting.items()):
            if schema is not None and (until <= now or not self._list_returning(schema)):
                self._waiting[place] = _Wish(None)

    def _is_worth_waiting(self, schema: str | None) -> bool:
        """Whether one that knows the tenant will soon be free, no other request of the same tenant
        needs it, and none that is idle is far less used."""
        if schema is None or self._has_room:
            return False
        returning = self._list_returning(schema)
        requests = sum(schema == each.schema for each in self._busy)
        requests += sum(schema == wish.schema for wish in self._waiting.values())
        if len(returning) <= requests:
            return False
        known = min(len(each.known) for each in returning)
        return all(2 * len(each.known) >= known for each in self._idle)

    def _list_returning(self, schema: str) -> list[PooledConnection]:
        """Those that know the tenant and have not been held for long."""
        since = self._loop.time() - _PATIENCE_SECONDS
        return [each for each in self._busy if schema in each.known and each.taken_at > since]

    def _find_idle(self, schema: str | None) -> PooledConnection | None:
        """Take out the last used that knows the tenant; for None, the one that knows the fewest."""
        while True:
            last_used_first = reversed(self._idle)
            if schema is None:
                found = min(last_used_first, key=lambda each: len(each.known), default=None)
            else:
                found = next((each for each in last_used_first if schema in each.known), None)
            if found is None:
                return None
            self._idle.remove(found)
            if self._is_alive(found):
                return found
            found.discard()

    @property
    def _has_room(self) -> bool:
        return len(self._idle) + len(self._busy) + self._opening < self._size

    async def _open(self) -> PooledConnection:
        """One more, for which room has been kept."""
        driver_error = self.engine.dialect.loaded_dbapi.Error
        try:
            fairy: Any = await self.engine.raw_connection()
        except BaseException as error:
            self._decline(None)
            if not isinstance(error, driver_error):
                raise
            raise exc.DBAPIError.instance(
                None, None, error, driver_error, dialect=self.engine.dialect
            ) from error
        self._opening -= 1
        return PooledConnection(
            fairy,
            fairy.dbapi_connection,
            fairy.driver_connection,
            monotonic(),
            self._prepares_for_each,
        )

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
            and len(connection.known) < self._recycle_tenants
        )


def _give_up(place: _Place) -> None:
    if not place.done():
        place.set_exception(exc.TimeoutError("no connection got free in time"))
