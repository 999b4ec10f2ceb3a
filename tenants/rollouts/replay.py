"""One segment, carried to one schema: what is sent, and what an error means.

Plain SQL is one message and one transaction: the lock, the new stamp, the statements. So a runner
that dies leaves a schema before it or behind it, and never between. The same goes for a server that
dies, which is why no schema waits for the disk: all do so once, at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.errors import StampMismatch
from tenants.revisions import (
    SCHEMA,
    Kind,
    Segment,
    list_line,
    lock_key,
    read_stamps,
    run_segments,
    stamp_script,
)
from tenants.rollouts.wire import Wire
from tenants.tenant import TenantRef

# A server that is gone, restarts, or is full.
_AWAY = (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError, OSError)
# A connection that was cut off, by such a server or alone.
_CUT_OFF = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
# What else is over by itself, sooner or later.
_IN_THE_WAY = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
# The stamp is moved first, which is a look whether it is where it should be.
_BEGIN = """
BEGIN;
SET LOCAL synchronous_commit TO off;
SET LOCAL search_path TO "{schema}";
SET LOCAL lock_timeout = {lock_timeout_ms};
SELECT pg_advisory_xact_lock({high}, {low});
{stamp}
"""
_READ_STAMPS = """
SELECT (SELECT revision FROM tenantry.tenant_stamps WHERE tenant_id = $1 AND module = $2),
       (SELECT string_agg(version_num, ', ') FROM "{schema}".alembic_version
        WHERE version_num = ANY($3))
"""
# Writes to the server's log, and so waits for all that was written there before.
_SETTLE = "SELECT pg_logical_emit_message(true, 'tenantry', 'rollout')"
# What a concurrent build leaves when it is cut off; it would pass for the index it was to be.
_INVALID_INDEXES = """
SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = to_regnamespace($1) AND NOT i.indisvalid
"""


class Moved(Exception):
    """A schema was carried meanwhile, such as by what a runner had sent before it died."""


@dataclass(frozen=True, slots=True)
class Replayer:
    """Carries segments over one wire, and those that run Python over the engine."""

    wire: Wire
    engine: AsyncEngine
    lock_timeout_ms: int

    async def carry(self, tenant: TenantRef, segment: Segment) -> None:
        """Take a schema from the segment's start to its end, stamps included.

        Raises Moved or StampMismatch (409) if it isn't at the start, and what the database
        reports; see `is_passing`.
        """
        try:
            match segment.kind:
                case Kind.SQL:
                    await self._send(tenant, segment, segment.sql)
                case Kind.PYTHON:
                    await self._run_python(tenant, segment)
                case Kind.OUTSIDE:
                    await self._run_outside(tenant, segment)
        except (asyncpg.PostgresError, DBAPIError) as error:
            if not is_passing(error):
                await self._check_stamps(tenant, segment, error)
            raise

    async def rehearse(self, tenant: TenantRef, segments: Sequence[Segment]) -> None:
        """Go the whole way in one transaction that is rolled back. Raises as `carry` does."""
        async with self.engine.connect() as connection:
            timeout = f"SET LOCAL lock_timeout = {self.lock_timeout_ms}"
            await connection.exec_driver_sql(timeout)
            await read_stamps(connection, tenant)
            await run_segments(connection, tenant, segments)

    async def settle(self) -> None:
        """Wait for the disk to have all that was carried so far, over whichever wire.

        Raises as `Wire.send` does.
        """
        await self.wire.fetch(_SETTLE)

    async def _send(self, tenant: TenantRef, segment: Segment, sql: str) -> None:
        await self.wire.send(f"{self._begin(tenant, segment)}{sql}\nCOMMIT;")

    async def _run_python(self, tenant: TenantRef, segment: Segment) -> None:
        async with self.engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            await connection.exec_driver_sql("SELECT 1")  # Begins SQLAlchemy's transaction.
            await raw.execute(self._begin(tenant, segment).replace("BEGIN;", "", 1))
            await connection.run_sync(segment.run)
            await connection.commit()

    async def _run_outside(self, tenant: TenantRef, segment: Segment) -> None:
        await self.wire.send(f"{self._begin(tenant, segment)}ROLLBACK;")
        for row in await self.wire.fetch(_INVALID_INDEXES, tenant.schema):
            await self.wire.send(f'DROP INDEX CONCURRENTLY "{tenant.schema}"."{row[0]}"')
        for statement in segment.statements:
            await self.wire.send(statement.replace(f"{SCHEMA}.", f'"{tenant.schema}".'))
        await self._send(tenant, segment, "")

    def _begin(self, tenant: TenantRef, segment: Segment) -> str:
        return _BEGIN.format(
            schema=tenant.schema,
            lock_timeout_ms=self.lock_timeout_ms,
            stamp=stamp_script(tenant.id, segment.module, segment.start, segment.end),
            **lock_key(tenant.id),
        )

    async def _check_stamps(
        self, tenant: TenantRef, segment: Segment, error: BaseException
    ) -> None:
        """Raise Moved or StampMismatch (409) if a schema isn't where the segment starts."""
        line = [script.revision for script in list_line(segment.module)]
        query = _READ_STAMPS.format(schema=tenant.schema)
        try:
            rows = await self.wire.fetch(query, tenant.id, segment.module.name, line)
        except asyncpg.UndefinedTableError:
            return
        stamped, found = rows[0]
        if stamped == found == segment.start:
            return
        mismatch = (
            f"the module {segment.module.name} should be at {segment.start or 'nothing'}; "
            f"tenant_stamps has {stamped or 'nothing'}, alembic_version has {found or 'nothing'}"
        )
        raise (Moved if stamped == found else StampMismatch)(mismatch) from error


def is_passing(error: BaseException) -> bool:
    """Whether the same may succeed a little later. What was sent may have been committed, too."""
    return isinstance(_original(error), (Moved, *_IN_THE_WAY, *_CUT_OFF, *_AWAY))


def is_unreachable(error: BaseException) -> bool:
    """Whether the server, or the way to it, is to blame, and not the schema."""
    return isinstance(_original(error), (*_CUT_OFF, *_AWAY))


def is_away(error: BaseException) -> bool:
    """Whether no schema at all can be reached just now."""
    return isinstance(_original(error), _AWAY)


def _original(error: BaseException) -> BaseException:
    """The driver's error, where SQLAlchemy has wrapped it."""
    if isinstance(error, DBAPIError) and error.orig is not None and error.orig.__cause__:
        return error.orig.__cause__
    return error
