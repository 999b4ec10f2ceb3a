"""Carries one schema to the heads of modules, in a transaction that somebody else commits.

For schemas that no request uses yet: those being made, and modules being given to a tenant. What
would otherwise run outside a transaction runs inside it here, since nobody can be kept waiting.
The fleet's migrations are in `tenants.rollouts`.
"""

import re
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import StampMismatch, UnknownRevision
from tenants.module import Module
from tenants.revisions.scripts import SCHEMA, Kind, get_head
from tenants.revisions.segments import Segment, plan_segments
from tenants.revisions.stamps import read_stamps, stamp_script
from tenants.tenant import TenantRef

_CONCURRENTLY = re.compile(r"\b(INDEX|TABLE)\s+CONCURRENTLY\b", re.IGNORECASE)


async def migrate_schema(
    connection: AsyncConnection, tenant: TenantRef, modules: Sequence[Module]
) -> dict[str, str]:
    """Carry a tenant's schema to the heads of the given modules, in the open transaction.

    Locks the tenant's stamps first, so that two runners can't replay the same revision.
    Returns the new revision of every module that was behind; the caller commits.
    Raises as `read_stamps` does, also StampMismatch (409) for a stamp that this release doesn't
    know.
    """
    stamps = await read_stamps(connection, tenant)
    changed = {}
    segments: list[Segment] = []
    for module in modules:
        start, end = stamps.get(module.name), get_head(module)
        if end is None or end == start:
            continue
        try:
            segments += plan_segments(module, start, end)
        except UnknownRevision as error:
            raise StampMismatch(
                f"{tenant.schema}: module {module.name} is at {start}, which is no revision of "
                f"this release."
            ) from error
        changed[module.name] = end
    await run_segments(connection, tenant, segments)
    return changed


async def run_segments(
    connection: AsyncConnection, tenant: TenantRef, segments: Sequence[Segment]
) -> None:
    """Go a schema's way, stamps included, in the open transaction; see `read_stamps`."""
    waiting: list[str] = []
    for segment in segments:
        if segment.kind is Kind.PYTHON:
            if waiting:
                await execute_script(connection, "\n".join(waiting))
                waiting.clear()
            await connection.run_sync(segment.run)
        else:
            waiting.append(make_ordinary(segment.sql, tenant))
        waiting.append(stamp_script(tenant.id, segment.module, segment.start, segment.end))
    if waiting:
        await execute_script(connection, "\n".join(waiting))


async def execute_script(connection: AsyncConnection, script: str) -> None:
    """Run several statements as one message.

    SQLAlchemy's way prepares each statement, so the script goes to the driver: the transaction
    must have begun with an ordinary statement.
    """
    raw = await connection.get_raw_connection()
    assert raw.driver_connection is not None
    await raw.driver_connection.execute(script)


def make_ordinary(sql: str, tenant: TenantRef) -> str:
    """What is meant to run outside a transaction, so that it can run inside one."""
    return _CONCURRENTLY.sub(r"\1", sql).replace(f"{SCHEMA}.", f'"{tenant.schema}".')
