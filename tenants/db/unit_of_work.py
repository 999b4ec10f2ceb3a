"""Units of work: the one place that begins, commits and rolls back.

`async with write_session(tenant) as session: …` is one transaction inside the tenant. It commits
when the block ends and rolls back when it is left by an exception or a cancellation. What the
database reports is translated here, once, into the errors of `tenants.errors`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import Connection, exc
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from tenants import errors
from tenants.db.engine import get_pool, get_settings
from tenants.db.pool import PoolState
from tenants.db.statement import CompiledStatement
from tenants.db.transaction import ScopedTransaction
from tenants.tenant import TenantRef

SessionT = TypeVar("SessionT", bound="ReadSession")

# Called with the tenant after each write that was committed. They must not raise.
write_listeners: list[Callable[[TenantRef], None]] = []

_BY_SQLSTATE: dict[str, type[errors.ApplicationError]] = {
    asyncpg.DeadlockDetectedError.sqlstate: errors.TransactionConflict,
    asyncpg.SerializationError.sqlstate: errors.TransactionConflict,
    asyncpg.LockNotAvailableError.sqlstate: errors.LockTimeout,
    asyncpg.QueryCanceledError.sqlstate: errors.StatementTimeout,
    asyncpg.DiskFullError.sqlstate: errors.StorageFull,
    # The role to enter is gone: `role "t_…" does not exist`.
    asyncpg.InvalidParameterValueError.sqlstate: errors.TenantUnavailable,
}
# Insufficient resources, operator intervention, system error, connection exception, and a login
# or a database that is refused, as while its password is being changed or it is being restored.
_UNAVAILABLE_CLASSES = ("53", "57", "58", "08", "28", "3D")


class _SessionInTransaction(Session):
    """An ORM session over a transaction that is there already."""

    transaction: ScopedTransaction

    def get_bind(self, *_args: Any, **_options: Any) -> Connection:
        return self.transaction.core


class ReadSession(AsyncSession):
    """A session in a READ ONLY transaction of one tenant."""

    sync_session_class = _SessionInTransaction

    def __init__(self, transaction: ScopedTransaction, tenant: TenantRef) -> None:
        self.transaction = transaction
        self.tenant = tenant

    def __getattr__(self, name: str) -> Any:
        """Make SQLAlchemy's part when it is first used; most units of work never do."""
        if name not in ("sync_session", "_proxied"):
            raise AttributeError(name)
        super().__init__(expire_on_commit=False)
        self.sync_session.transaction = self.transaction  # type: ignore[attr-defined]
        return getattr(self, name)

    @property
    def is_in_use(self) -> bool:
        """Whether SQLAlchemy's part has something to commit or to roll back."""
        return "sync_session" in self.__dict__ and self.in_transaction()

    async def fetch(self, statement: CompiledStatement, **values: Any) -> list[Any]:
        """Run a statement on the driver itself; for what is asked so often that it pays.

        Rows are read by column name, `row["id"]`. Raises as `execute` does.
        """
        return await self.transaction.fetch(statement, values)


class WriteSession(ReadSession):
    """A session in a transaction of one tenant that commits when its block ends."""


def read_session(tenant: TenantRef) -> AbstractAsyncContextManager[ReadSession]:
    """Read in one READ ONLY transaction inside the tenant."""
    return _unit_of_work(ReadSession, tenant, read_only=True)


def write_session(tenant: TenantRef) -> AbstractAsyncContextManager[WriteSession]:
    """Write in one transaction inside the tenant, committed when the block ends."""
    return _unit_of_work(WriteSession, tenant, read_only=False)


@asynccontextmanager
async def _unit_of_work(
    kind: type[SessionT], tenant: TenantRef, *, read_only: bool
) -> AsyncIterator[SessionT]:
    committing = False
    try:
        transaction = await ScopedTransaction.open(
            get_pool(tenant.database), tenant, read_only=read_only
        )
        session = kind(transaction, tenant)
        try:
            yield session
            if (
                not read_only
                and transaction.age_seconds > get_settings().transaction_timeout_seconds
            ):
                raise errors.StatementTimeout("The transaction took too long. Try again.")
            committing = True
            if session.is_in_use:
                await session.commit()
            await transaction.commit()
            if not read_only:
                for listener in write_listeners:
                    listener(tenant)
        except TimeoutError:
            transaction.discard()
            raise
        finally:
            try:
                if session.is_in_use:
                    await session.close()
            finally:
                await transaction.close()
    except (exc.SQLAlchemyError, asyncpg.PostgresError, OSError) as error:
        translated = translate(error, in_doubt=committing and not read_only)
        if isinstance(translated, errors.DatabaseDefect):
            # Without its cause, whose text ends up in the log.
            raise translated.with_traceback(error.__traceback__) from None
        if translated is None:
            raise
        raise translated from error


def translate(error: BaseException, *, in_doubt: bool) -> errors.ApplicationError | None:
    """The application's error for what the database reported, or None if it reported nothing.

    in_doubt: whether a COMMIT may have been under way.
    """
    if isinstance(error, exc.TimeoutError):
        return errors.PoolExhausted()
    reported = isinstance(error, exc.DBAPIError)
    original = error.orig.__cause__ if isinstance(error, exc.DBAPIError) and error.orig else error
    if not reported and not isinstance(error, OSError | asyncpg.PostgresError):
        return None
    if not reported and in_doubt:
        return errors.CommitInDoubt()
    if isinstance(original, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError):
        return errors.TransactionConflict()
    if type(original) is asyncpg.InternalClientError:
        # What a server says while it ends the session may reach the driver before the end does;
        # it then waits for more, and refuses to send.
        return errors.CommitInDoubt() if in_doubt else errors.ConnectionLost()
    sqlstate = getattr(getattr(error, "orig", error), "sqlstate", None) or ""
    if sqlstate in _BY_SQLSTATE:
        return _BY_SQLSTATE[sqlstate]()
    if sqlstate.startswith("22"):
        return errors.InvalidInput("The database can't store one of the values.")
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        # The driver itself refuses to send over a connection that it knows to be closed.
        unsent = isinstance(original, asyncpg.InterfaceError)
        return errors.CommitInDoubt() if in_doubt and not unsent else errors.ConnectionLost()
    if sqlstate[:2] in _UNAVAILABLE_CLASSES or isinstance(error, OSError):
        return errors.DatabaseUnavailable()
    return errors.DatabaseDefect(describe_error(error))


def describe_error(error: BaseException) -> str:
    """A database error without its DETAIL and its statement, which may hold what users wrote."""
    original = error.orig.__cause__ if isinstance(error, exc.DBAPIError) and error.orig else error
    if isinstance(original, asyncpg.PostgresError):
        return f"{type(original).__name__} {original.sqlstate}: {original.args[0]}"
    return str(error) or repr(error)


def get_pool_state(database: str = "default") -> PoolState:
    """The running loop's pool of a tenant database."""
    return get_pool(database).state
