"""Work in the tenants' database as the login that owns their schemas."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.db.engine import create_owner_engine
from tenants.db.unit_of_work import translate


@asynccontextmanager
async def owner_connection() -> AsyncIterator[AsyncConnection]:
    """A connection of the owner login; what the block doesn't commit is rolled back.

    Raises what a unit of work does where the database reports an error.
    """
    engine = create_owner_engine()
    try:
        async with engine.connect() as connection:
            yield connection
    except (SQLAlchemyError, asyncpg.PostgresError, OSError) as error:
        translated = translate(error, in_doubt=False)
        if translated is None:
            raise
        raise translated from error


async def lock_slug(connection: AsyncConnection, slug: str) -> bool:
    """Be the only one who creates or erases this slug, until the transaction's end.

    The server frees the lock when its holder dies, so that a repetition needn't guess whether
    the first still runs. Returns whether it was free.
    """
    locked = await connection.execute(
        text("SELECT pg_try_advisory_xact_lock(hashtext('tenantry.slug'), hashtext(:slug))"),
        {"slug": slug},
    )
    return bool(locked.scalar_one())
