"""Work in the tenants' database as the login that owns their schemas."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tenants.db.engine import create_owner_engine
from tenants.db.unit_of_work import translate
from tenants.revisions import ensure_fleet_tables

# Opening a connection takes longer than all that onboarding does with it.
_KEPT_CONNECTIONS = 2
_LOCK_SLUG = text(
    "SELECT pg_try_advisory_xact_lock(hashtext('tenantry.slug'), hashtext(:slug)) AS locked, "
    "to_regclass('tenantry.spares') IS NOT NULL AS has_tables"
)
# By the event loop that opened them.
_keeping: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncEngine] = WeakKeyDictionary()


@asynccontextmanager
async def owner_connection() -> AsyncIterator[AsyncConnection]:
    """A connection of the owner login; what the block doesn't commit is rolled back.

    Raises what a unit of work does where the database reports an error.
    """
    engine = _keeping.get(asyncio.get_running_loop()) or create_owner_engine()
    try:
        async with engine.connect() as connection:
            yield connection
    except (SQLAlchemyError, asyncpg.PostgresError, OSError) as error:
        translated = translate(error, in_doubt=False)
        if translated is None:
            raise
        raise translated from error


def keep_owner_connections() -> None:
    """Leave a few connections open after their use, in the running loop; a server does so."""
    loop = asyncio.get_running_loop()
    if loop not in _keeping:
        _keeping[loop] = create_owner_engine(_KEPT_CONNECTIONS)


async def close_owner_connections() -> None:
    """Close what the running loop keeps, and keep none any more."""
    engine = _keeping.pop(asyncio.get_running_loop(), None)
    if engine is not None:
        await engine.dispose()


async def lock_slug(connection: AsyncConnection, slug: str) -> bool:
    """Be the only one who creates or erases this slug, until the transaction's end.

    The server frees the lock when its holder dies, so that a repetition needn't guess whether
    the first still runs. Returns whether it was free. The fleet's tables are there afterwards.
    """
    row = (await connection.execute(_LOCK_SLUG, {"slug": slug})).one()
    if not row.has_tables:
        await ensure_fleet_tables(connection)  # It commits, which frees the lock.
        return await lock_slug(connection, slug)
    return bool(row.locked)
