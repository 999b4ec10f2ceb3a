"""Checks of the PostgreSQL server: version, room for locks and connections, clock."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tenants.doctor.connection import connect
from tenants.doctor.finding import Finding, count, ok, problem, warning
from tenants.logins import MINIMUM_VERSION
from tenants.settings import EngineSettings

# A new grant makes each backend recompute its memberships, which older servers do slowly.
ADVISED_VERSION, MANY_TENANTS = 17, 1000
# Connections that a worker keeps beside its pool, three of the registry login and one for notices;
# room for administration and for commands.
OTHER_CONNECTIONS, ROOM = 4, 10
# So many of the largest tenants can be dropped at the same time before the room gets short.
DROPS_AT_ONCE = 10

_FACTS = r"""
SELECT current_setting('max_locks_per_transaction')::int AS locks_per_transaction,
       current_setting('max_connections')::int AS max_connections,
       current_setting('max_prepared_transactions')::int AS max_prepared_transactions,
       current_setting('superuser_reserved_connections')::int
           + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
       (SELECT count(*) FROM pg_namespace WHERE nspname ~ '^t_[0-9a-f]{32}$') AS tenants,
       (SELECT count(*) FROM pg_class WHERE relkind = 'r') AS tables
"""
# Dropping a schema locks everything that depends on it: tables, indexes, constraints, triggers,
# types, defaults. They are counted in the schema that has the most tables and indexes.
_DROP_LOCKS = r"""
WITH RECURSIVE largest AS (
    SELECT relnamespace AS oid FROM pg_class
    WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^t_[0-9a-f]{32}$')
    GROUP BY relnamespace ORDER BY count(*) DESC LIMIT 1
), dropped AS (
    SELECT 'pg_namespace'::regclass::oid AS classid, oid AS objid FROM largest
    UNION
    SELECT d.classid, d.objid FROM dropped
    JOIN pg_depend d ON d.refclassid = dropped.classid AND d.refobjid = dropped.objid
)
SELECT count(*) FROM dropped
"""


@dataclass(frozen=True, slots=True)
class Server:
    """What the server says of itself.

    tenants: schemas of tenants. tables: of all schemas. drop_locks: locks that dropping the
    largest tenant takes. reserved: connections that ordinary logins don't get. ahead: its clock,
    less ours.
    """

    version: int
    locks_per_transaction: int
    max_connections: int
    max_prepared_transactions: int
    reserved: int
    tenants: int
    tables: int
    drop_locks: int
    ahead: timedelta
    has_plpgsql: bool

    @property
    def lock_slots(self) -> int:
        """As many objects can be locked at once, by all transactions together."""
        return self.locks_per_transaction * (self.max_connections + self.max_prepared_transactions)


async def check_server(settings: EngineSettings, workers: int) -> list[Finding]:
    server = await read_server(settings)
    return [
        check_version(server),
        check_locks(server),
        check_connections(server, settings.pool_size, workers),
        check_plpgsql(server),
        check_clock(server),
    ]


async def read_server(settings: EngineSettings) -> Server:
    async with connect(settings.registry_url, settings) as registry:
        plpgsql = await registry.fetchval("SELECT 1 FROM pg_language WHERE lanname = 'plpgsql'")
    async with connect(settings.owner_url, settings) as owner:
        facts: dict[str, Any] = dict(await owner.fetchrow(_FACTS))
        drop_locks = await owner.fetchval(_DROP_LOCKS)
        before = datetime.now(UTC)
        theirs = await owner.fetchval("SELECT clock_timestamp()")
        ours = before + (datetime.now(UTC) - before) / 2
        return Server(
            version=owner.get_server_version().major,
            drop_locks=drop_locks,
            ahead=theirs - ours,
            has_plpgsql=plpgsql is not None,
            **facts,
        )


def check_version(server: Server) -> Finding:
    name, found = "server version", f"PostgreSQL {server.version}"
    if server.version < MINIMUM_VERSION:
        return problem(name, found, f"Move to {MINIMUM_VERSION} or newer.")
    if server.version < ADVISED_VERSION and server.tenants > MANY_TENANTS:
        return warning(
            name,
            f"{found} with {count(server.tenants, 'tenant')}: each new tenant slows all down.",
            f"Move to {ADVISED_VERSION} or newer.",
        )
    return ok(name, found)


def check_locks(server: Server) -> Finding:
    """Whether a tenant can be dropped or migrated, beside whatever else goes on."""
    name = "max_locks_per_transaction"
    found = (
        f"{server.locks_per_transaction} give room for {server.lock_slots:,} locks; dropping the "
        f"largest tenant takes {server.drop_locks:,}"
    )
    backends = server.max_connections + server.max_prepared_transactions
    enough = -(-server.drop_locks * DROPS_AT_ONCE // backends)
    mend = f"Set {name} to {enough} or more in postgresql.conf, and restart the server."
    if server.drop_locks > server.lock_slots:
        return problem(name, f"{found}: it can't be done.", mend)
    if server.drop_locks * DROPS_AT_ONCE > server.lock_slots:
        return warning(name, f"{found}: a few at once fail.", mend)
    if server.tables > server.lock_slots:
        return ok(name, f"{found}. Back up by schema: a dump of all tables locks each of them.")
    return ok(name, f"{found}.")


def check_connections(server: Server, pool_size: int, workers: int) -> Finding:
    name = "max_connections"
    usable = server.max_connections - server.reserved
    needed = workers * (pool_size + OTHER_CONNECTIONS)
    found = (
        f"Of {usable}, {count(workers, 'worker')} with {pool_size} in the pool and "
        f"{OTHER_CONNECTIONS} beside it take {needed}"
    )
    mend = (
        f"Set max_connections to {needed + ROOM + server.reserved} or more and restart the server, "
        "or lower TENANTRY_POOL_SIZE or the number of workers."
    )
    if needed > usable:
        return problem(name, f"{found}: under load requests will be refused.", mend)
    if needed + ROOM > usable:
        return warning(name, f"{found}: too little is left for administration and commands.", mend)
    return ok(name, f"{found}.")


def check_plpgsql(server: Server) -> Finding:
    """The one extension that is needed: the registry's triggers are written in it."""
    if server.has_plpgsql:
        return ok("extensions", "plpgsql is there; no other is needed.")
    return problem("extensions", "plpgsql is missing.", "CREATE EXTENSION plpgsql;")


def check_clock(server: Server) -> Finding:
    seconds = server.ahead.total_seconds()
    found = f"The database's is {abs(seconds):.1f} s {'ahead' if seconds > 0 else 'behind'}."
    mend = "Let NTP set the clocks of both machines: expiries and timestamps go by them."
    if abs(seconds) > 5:
        return problem("clock", found, mend)
    if abs(seconds) > 1:
        return warning("clock", found, mend)
    return ok("clock", "The database's agrees with ours.")
