"""Whether the process lives, and whether it can serve."""

import asyncio
from typing import Any

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from tenants.db.engine import get_pool
from tenants.db.unit_of_work import get_pool_state
from tenants.directory import get_directory
from tenants.errors import DatabaseUnavailable

_CHECK_TIMEOUT_SECONDS = 2.0


class Readiness:
    """Says no from the moment the process was told to stop, so that load balancers turn away."""

    draining = False


readiness = Readiness()


async def report_readiness() -> tuple[int, dict[str, Any]]:
    """Status 200 or 503, and the state of the registry, the tenants' database and its pool."""
    pool = get_pool_state()
    checks = {"registry": await _check_registry(), "database": "ok"}
    # With all connections at work the database answers; waiting for one would only report load.
    if pool.in_use < pool.size:
        checks["database"] = await _check_database()
    ready = not readiness.draining and all(result == "ok" for result in checks.values())
    return (200 if ready else 503), {
        "status": "draining" if readiness.draining else "ready" if ready else "unavailable",
        "checks": checks,
        "pool": {"size": pool.size, "in_use": pool.in_use, "waiting": pool.waiting},
    }


async def _check_registry() -> str:
    try:
        await get_directory().check()
    except DatabaseUnavailable:
        return "unavailable"
    return "ok"


async def _check_database() -> str:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_SECONDS), get_pool().lend() as connection:
            await connection.driver.fetchval("SELECT 1")
    except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return "unavailable"
    return "ok"
