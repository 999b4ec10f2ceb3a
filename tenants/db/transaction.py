"""One transaction of one tenant, on one connection of the pool.

SQLAlchemy's pool hands out the connection, and its adapter of asyncpg keeps track of the
transaction. But begin, commit and the statements of `fetch` don't pass through its `Connection`
and `Session`: for a request of one statement these took more processor time than all the rest.
Whoever wants them gets them, in this same transaction, from `core`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from time import monotonic
from typing import Any

from sqlalchemy import Connection, exc
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from tenants.db.statement import CompiledStatement
from tenants.tenant import TenantRef


class ScopedTransaction:
    """A transaction inside a tenant. Raises DBAPIError as SQLAlchemy itself does."""

    def __init__(
        self, engine: AsyncEngine, pooled: Any, tenant: TenantRef, *, read_only: bool
    ) -> None:
        self._engine = engine.sync_engine
        self._pooled = pooled
        # SQLAlchemy's face of the connection, and asyncpg's.
        self._adapter: Any = pooled.dbapi_connection
        self._driver: Any = pooled.driver_connection
        self._scope = {"tenant": tenant, "read_only": read_only}
        self._opened_at = monotonic()

    @classmethod
    async def open(
        cls, engine: AsyncEngine, tenant: TenantRef, *, read_only: bool
    ) -> "ScopedTransaction":
        """Take a connection; the transaction begins with the first statement.

        Raises SQLAlchemy's TimeoutError if none gets free in time.
        """
        try:
            pooled = await engine.raw_connection()
        except engine.dialect.loaded_dbapi.Error as error:
            raise exc.DBAPIError.instance(
                None, None, error, engine.dialect.loaded_dbapi.Error, dialect=engine.dialect
            ) from error
        return cls(engine, pooled, tenant, read_only=read_only)

    async def fetch(self, statement: CompiledStatement, values: Mapping[str, Any]) -> list[Any]:
        """The statement's rows, read by column name: `row["id"]`. JSON columns are parsed."""
        with self._database_errors(statement.sql):
            # The adapter's own lock: whoever waits for an answer on this connection holds it.
            async with self._adapter._execute_mutex:
                # The adapter has no public way to begin: it does so before its own statements.
                if self._adapter._transaction is None:
                    self._driver.tenant = self._scope["tenant"]
                    self._driver.read_only = self._scope["read_only"]
                    await self._adapter._start_transaction()
                rows: list[Any] = await self._driver.fetch(
                    statement.sql, *statement.arguments(values)
                )
        return rows

    @cached_property
    def core(self) -> Connection:
        """SQLAlchemy's connection, in the same transaction."""
        return Connection(self._engine, self._pooled).execution_options(**self._scope)

    @property
    def age_seconds(self) -> float:
        return monotonic() - self._opened_at

    async def commit(self) -> None:
        with self._database_errors("COMMIT"):
            if self._adapter._transaction is not None:
                await self._adapter._call_and_discard(self._adapter._transaction.commit)

    async def close(self) -> None:
        """Give the connection back; what is not committed is rolled back."""
        # A task that outlives its block may be about to begin a transaction that nobody would
        # end: the next tenant on this connection would find itself inside it.
        if self._adapter._execute_mutex.locked():
            self.discard()
        # From here on it is another's: a session that is used too late must not reach it.
        self._adapter = self._driver = None
        await greenlet_spawn(self._pooled.close)

    def discard(self) -> None:
        """Close the connection instead of using it again: it may still be busy."""
        if self._pooled.is_valid:
            self._pooled.invalidate()

    @contextmanager
    def _database_errors(self, sql: str) -> Iterator[None]:
        """Turn the driver's errors, and the adapter's, into SQLAlchemy's; values never show."""
        adapter, driver = self._adapter, self._driver
        database_error = adapter.dbapi.Error
        try:
            try:
                yield
            except Exception as error:
                if isinstance(error, database_error):
                    raise
                adapter._handle_exception(error)  # Raises the adapter's error for it.
        except database_error as error:
            raise exc.DBAPIError.instance(
                sql,
                None,
                error,
                database_error,
                connection_invalidated=driver.is_closed(),
                dialect=self._engine.dialect,
            ) from error
