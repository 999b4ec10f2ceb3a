"""Work in the tenants' database as the login that owns their schemas."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.db.engine import create_owner_engine


@asynccontextmanager
async def owner_connection() -> AsyncIterator[AsyncConnection]:
    """A connection of the owner login; what the block doesn't commit is rolled back."""
    engine = create_owner_engine()
    async with engine.connect() as connection:
        yield connection


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
