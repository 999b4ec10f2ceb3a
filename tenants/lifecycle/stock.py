"""Keeps a number of spares ready, and removes them.

Any number of processes may fill the stock: an advisory lock of each batch's transaction lets one
of them, so that all of it works through a transaction pooler.
"""

import asyncio
from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

import structlog
from sqlalchemy import text

from tenants import schemas, spares
from tenants.apps import get_settings
from tenants.lifecycle.owner import owner_connection
from tenants.lifecycle.registry import in_registry
from tenants.models import Tenant
from tenants.revisions import ensure_fleet_tables
from tenants.tenant import TenantRef

log = structlog.get_logger(__name__)

# Made, or dropped, in one transaction. Each changes a few hundred rows of the catalog, of which
# every backend hears; with more at once it would forget all that it has cached.
_BATCH = 10
# How long a server waits before each batch, so that requests have the machine to themselves most
# of the time, and how often it looks whether enough are missing for one.
_PAUSE_SECONDS = 0.25
_LOOK_SECONDS = 1.0
_RETRY_SECONDS = 10.0
_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext('tenantry.spares'))")


@dataclass(frozen=True, slots=True)
class Stock:
    """wanted: the setting. ready: spares that a new tenant with all modules can take over.

    other: those that it can't, with other modules or revisions of another release.
    """

    wanted: int
    ready: int
    other: int


async def get_stock() -> Stock:
    async with owner_connection() as connection:
        await ensure_fleet_tables(connection)
        ready, listed = await spares.count_spares(connection)
    return Stock(get_settings().spares, ready, listed - ready)


async def fill_spares(count: int) -> int:
    """Have at least so many spares ready. Returns how many had to be made."""
    made = 0
    while (batch := await _fill_batch(count, least=1)) != 0:
        made += batch or 0
        if batch is None:
            await asyncio.sleep(_PAUSE_SECONDS)  # Another process is at it.
    return made


async def drop_spares() -> int:
    """Remove all spares, past those that are just being taken over. Returns how many."""
    dropped = 0
    while True:
        async with owner_connection() as connection:
            await ensure_fleet_tables(connection)
            taken = await spares.take_any_spares(connection, _BATCH)
            # The list is one thing, a tenant's data another: nothing that is in the registry is
            # ever dropped here. Such an id is what a creation that was cut off has left.
            unused = set(taken) - set(await _find_tenants(taken))
            for spare in unused:
                await schemas.drop_schema(connection, TenantRef(spare, ""))
            await connection.commit()
        dropped += len(unused)
        if not taken:
            return dropped


async def keep_filled() -> NoReturn:
    """Keep as many spares ready as the settings say, for as long as a server runs.

    It waits until a whole batch is missing, or half of them, since a batch costs requests as much
    as a single spare: a grant.
    """
    wanted = get_settings().spares
    least = min(_BATCH, (wanted + 1) // 2)
    while True:
        try:
            made = await _fill_batch(wanted, least, _PAUSE_SECONDS)
            rest_seconds = 0.0 if made else _LOOK_SECONDS
        except Exception as error:  # Whatever it is, tenants can be created without spares.
            log.warning("spares.not_filled", reason=repr(error.__cause__ or error))
            rest_seconds = _RETRY_SECONDS
        await asyncio.sleep(rest_seconds)


async def _fill_batch(count: int, least: int, pause_seconds: float = 0.0) -> int | None:
    """Make some of those that are missing, if they are at least so many.

    The pause is made while this process is the one that may: however many want to fill, spares
    come no faster. Returns how many were made, or None if another process is at it.
    """
    async with owner_connection() as connection:
        await ensure_fleet_tables(connection)
        if not (await connection.execute(_LOCK)).scalar_one():
            return None
        ready, _ = await spares.count_spares(connection)
        missing = count - ready
        if missing < least:
            return 0
        await asyncio.sleep(pause_seconds)
        made = min(missing, _BATCH)
        await spares.add_spares(connection, made)
        await connection.commit()
    log.info("spares.made", count=made)
    return made


@in_registry
def _find_tenants(ids: list[UUID]) -> list[UUID]:
    return list(Tenant.objects.filter(id__in=ids).values_list("id", flat=True))
