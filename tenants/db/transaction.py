"""One transaction of one tenant, on one connection of the pool.

SQLAlchemy's adapter of asyncpg keeps track of the transaction. But begin, commit and the
statements of `fetch` don't pass through its `Connection` and `Session`: for a request of one
statement these took more processor time than all the rest. Whoever wants them gets them, in this
same transaction, from `core`.
"""

from collections.abc import Mapping
from functools import cached_property
from time import monotonic
from typing import Any, cast

from sqlalchemy import Connection, exc
from sqlalchemy.util import greenlet_spawn

from tenants.db.pool import Pool, PooledConnection
from tenants.db.statement import CompiledStatement
from tenants.tenant import TenantRef


class ScopedTransaction:
    """A transaction inside a tenant. Raises DBAPIError as SQLAlchemy itself does."""

    def __init__(
        self, pool: Pool, pooled: PooledConnection, tenant: TenantRef, *, read_only: bool
    ) -> None:
        self._pool = pool
        self._pooled = pooled
        self._adapter: Any = pooled.adapter
        self._driver: Any = pooled.driver
        self._scope = {"tenant": tenant, "read_only": read_only}
        self._opened_at = monotonic()

    @classmethod
    async def open(cls, pool: Pool, tenant: TenantRef, *, read_only: bool) -> "ScopedTransaction":
        """Take a connection, as `Pool.take`; the transaction begins with the first statement."""
        pooled = await pool.take(tenant.schema)
        return cls(pool, pooled, tenant, read_only=read_only)

    async def fetch(self, statement: CompiledStatement, values: Mapping[str, Any]) -> list[Any]:
        """The statement's rows, read by column name: `row["id"]`. JSON columns are parsed."""
        pooled, adapter, driver = self._pooled, self._adapter, self._driver
        try:
            # The adapter's own lock: whoever waits for an answer on this connection holds it.
            async with adapter._execute_mutex:
                # The adapter has no public way to begin: it does so before its own statements.
                if adapter._transaction is None:
                    driver.tenant = self._scope["tenant"]
                    driver.read_only = self._scope["read_only"]
                    await adapter._start_transaction()
                sql = pooled.text_of(statement)
                rows: list[Any] = await driver.fetch(sql, *statement.arguments(values))
        except Exception as error:
            if wrapped := self._wrap(error, adapter, statement.sql):
                raise wrapped from error
            raise
        return rows

    @cached_property
    def core(self) -> Connection:
        """SQLAlchemy's connection, in the same transaction."""
        return self._pooled.borrow(self._pool.engine, **self._scope)

    @property
    def age_seconds(self) -> float:
        return monotonic() - self._opened_at

    async def commit(self) -> None:
        adapter = self._adapter
        if adapter._transaction is None:
            return
        try:
            await adapter._call_and_discard(adapter._transaction.commit)
        except Exception as error:
            if wrapped := self._wrap(error, adapter, "COMMIT"):
                raise wrapped from error
            raise

    async def close(self) -> None:
        """Give the connection back; what is not committed is rolled back."""
        pool, pooled = self._pool, self._pooled
        # A task that outlives its block may be about to begin a transaction that nobody would
        # end: the next tenant on this connection would find itself inside it.
        if self._adapter._execute_mutex.locked():
            self.discard()
        # From here on it is another's: a session that is used too late must not reach it.
        self._adapter = self._driver = self._pooled = None  # type: ignore[assignment]
        try:
            if "core" in self.__dict__:
                await greenlet_spawn(self.core.close)
            if pooled.adapter._transaction is not None:
                await greenlet_spawn(pooled.adapter.rollback)
        except Exception:
            pooled.discard()
        except BaseException:
            pooled.discard()
            raise
        finally:
            pool.give_back(pooled)

    def discard(self) -> None:
        """Close the connection instead of using it again: it may still be busy."""
        self._pooled.discard()

    def _wrap(self, error: Exception, adapter: Any, sql: str) -> exc.DBAPIError | None:
        """SQLAlchemy's error for one of the driver or the adapter, without the values.

        Returns None for any other.
        """
        database_error = adapter.dbapi.Error
        adapted = error
        if not isinstance(error, database_error):
            try:
                adapter._handle_exception(error)
            except Exception as raised:  # The adapter's error for it, or itself.
                adapted = raised
        if not isinstance(adapted, database_error):
            return None
        return cast(
            exc.DBAPIError,
            exc.DBAPIError.instance(
                sql,
                None,
                adapted,
                database_error,
                connection_invalidated=adapter.driver_connection.is_closed(),
                dialect=self._pool.engine.dialect,
            ),
        )
