"""Units of work: the one place that begins, commits and rolls back.

`async with write_session(tenant) as session: …` is one transaction inside the tenant. It commits
when the block ends and rolls back when it is left by an exception or a cancellation. What the
database reports is translated here, once, into the errors of `tenants.errors`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import QueuePool

from tenants import errors
from tenants.db.engine import PoolState, get_engine
from tenants.tenant import TenantRef

SessionT = TypeVar("SessionT", bound="ReadSession")

# How many units of work wait for a connection now, by database.
_waiting: dict[str, int] = {}

_BY_SQLSTATE: dict[str, type[errors.ApplicationError]] = {
    asyncpg.DeadlockDetectedError.sqlstate: errors.TransactionConflict,
    asyncpg.SerializationError.sqlstate: errors.TransactionConflict,
    asyncpg.LockNotAvailableError.sqlstate: errors.LockTimeout,
    asyncpg.QueryCanceledError.sqlstate: errors.StatementTimeout,
    asyncpg.DiskFullError.sqlstate: errors.StorageFull,
    # The role to enter is gone: `role "t_…" does not exist`.
    asyncpg.InvalidParameterValueError.sqlstate: errors.TenantUnavailable,
}
# Insufficient resources, operator intervention, system error, connection exception.
_UNAVAILABLE_CLASSES = ("53", "57", "58", "08")


class ReadSession(AsyncSession):
    """A session in a READ ONLY transaction of one tenant."""

    tenant: TenantRef


class WriteSession(ReadSession):
    """A session in a transaction of one tenant that commits when its block ends."""


@asynccontextmanager
async def read_session(tenant: TenantRef) -> AsyncIterator[ReadSession]:
    """Read in one READ ONLY transaction inside the tenant."""
    async with _unit_of_work(ReadSession, tenant, read_only=True) as session:
        yield session


@asynccontextmanager
async def write_session(tenant: TenantRef) -> AsyncIterator[WriteSession]:
    """Write in one transaction inside the tenant, committed when the block ends."""
    async with _unit_of_work(WriteSession, tenant, read_only=False) as session:
        yield session


@asynccontextmanager
async def _unit_of_work(
    kind: type[SessionT], tenant: TenantRef, *, read_only: bool
) -> AsyncIterator[SessionT]:
    scoped = get_engine(tenant.database).execution_options(tenant=tenant, read_only=read_only)
    session = kind(bind=scoped, expire_on_commit=False)
    session.tenant = tenant
    committing = False
    try:
        _waiting[tenant.database] = _waiting.get(tenant.database, 0) + 1
        try:
            await session.connection()
        finally:
            _waiting[tenant.database] -= 1
        yield session
        committing = True
        await session.commit()
    except (exc.SQLAlchemyError, asyncpg.PostgresError, OSError) as error:
        # A connection that timed out may still be busy; nothing is sent over it any more.
        if isinstance(error, TimeoutError):
            await session.invalidate()
        translated = _translate(error, in_doubt=committing and not read_only)
        if translated is None:
            raise
        raise translated from error
    finally:
        await session.close()


def _translate(error: BaseException, *, in_doubt: bool) -> errors.ApplicationError | None:
    """The application's error for what the database reported, or None for a defect of ours."""
    if isinstance(error, exc.TimeoutError):
        return errors.PoolExhausted()
    if not isinstance(error, exc.DBAPIError):
        return (
            errors.DatabaseUnavailable()
            if isinstance(error, OSError | asyncpg.PostgresError)
            else None
        )
    original = error.orig.__cause__ if error.orig is not None else None
    if isinstance(original, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError):
        return errors.TransactionConflict()
    sqlstate = getattr(error.orig, "sqlstate", None) or ""
    if sqlstate in _BY_SQLSTATE:
        return _BY_SQLSTATE[sqlstate]()
    if sqlstate.startswith("22"):
        return errors.InvalidInput("The database can't store one of the values.")
    if error.connection_invalidated:
        return errors.CommitInDoubt() if in_doubt else errors.ConnectionLost()
    if sqlstate[:2] in _UNAVAILABLE_CLASSES:
        return errors.DatabaseUnavailable()
    return None


def get_pool_state(database: str = "default") -> PoolState:
    """The running loop's pool of a tenant database."""
    pool = get_engine(database).sync_engine.pool
    assert isinstance(pool, QueuePool)
    return PoolState(pool.size(), pool.checkedout(), _waiting.get(database, 0))
