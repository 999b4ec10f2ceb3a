"""A fleet that grows: tenants with all their tables, made quickly, and carried like a command."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
import uvloop

ResultT = TypeVar("ResultT")

# Spares become tenants that are only there, and never called.
_CROWD = """
INSERT INTO public.tenants_tenant
    (id, slug, name, status, plan, limits, modules, database, created_at, updated_at)
SELECT id, 'crowd-' || replace(id::text, '-', ''), 'Crowd', 'active', 'standard', '{}', modules,
       'default', now(), now()
FROM tenantry.spares;
DELETE FROM tenantry.spares;
"""


def grow(superuser_url: str, count: int) -> None:
    """Add tenants to the fleet."""
    from tenants import lifecycle

    in_process(lambda: lifecycle.fill_spares(count))
    with psycopg.connect(superuser_url, dbname="tenantry", autocommit=True) as connection:
        connection.execute(_CROWD)
        connection.execute("VACUUM ANALYZE")


def carry(module: str, revision: str, expected: int) -> float:
    """Carry the fleet, ledger and all, and return the seconds from the call to its return.

    Raises RuntimeError if it did not go well for exactly so many.
    """
    from tenants.actor import acting_command
    from tenants.rollouts import Options, Scope, start_rollout

    scope, options = Scope(modules=[module], targets={module: revision}), Options(concurrency=4)

    async def start() -> float:
        started_at = time.perf_counter()
        rollout = await start_rollout(scope, options, lambda _event: None, by=acting_command())
        seconds = time.perf_counter() - started_at
        found = (rollout.status, rollout.migrated, rollout.failed)
        if found != ("completed", expected, 0):
            raise RuntimeError(f"{expected} were to be carried, but: {found}, {rollout.note}")
        return seconds

    return in_process(start)


def in_process(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Do something with the engine in this process, as a command does."""
    from tenants.db.engine import dispose_engines

    async def run() -> ResultT:
        try:
            return await work()
        finally:
            await dispose_engines()

    return uvloop.run(run())


def render_tables() -> list[str]:
    """The statements that make the tables of a tenant's conversations, for a peer to have them."""
    from tenants.modules import get_module
    from tenants.revisions import SCHEMA, get_head, plan_segments

    module = get_module("conversations")
    segments = plan_segments(module, None, get_head(module))
    # It names no schema, and can't leave the transaction.
    return [
        statement.replace(" CONCURRENTLY", "").replace(f"{SCHEMA}.", "")
        for segment in segments
        for statement in segment.statements
    ]
