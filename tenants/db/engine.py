"""Engines, and one pool of runtime connections per tenant database and event loop.

An asyncpg connection belongs to the event loop that opened it, so pools are kept per loop: the
server has one loop and one pool, a command or a test may have others.
"""

import asyncio
import threading
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg
import orjson
from sqlalchemy import Connection, event, exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from tenants.db.connection import TenantConnection
from tenants.db.pool import Pool
from tenants.db.statement import dump_json
from tenants.settings import EngineSettings

# Statements of a connection that all tenants share.
_SHARED_STATEMENTS = 100

_settings: EngineSettings | None = None
_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Pool]] = WeakKeyDictionary()


class _Here(threading.local):
    """The loop that this thread was last seen running, and its pools.

    Before Python 3.12 each look for the running loop asks for the process's id, a system call.
    """

    loop: asyncio.AbstractEventLoop | None = None
    pools: dict[str, Pool]


_here = _Here()


def configure(settings: EngineSettings) -> None:
    """Set what engines are made from; called once, when Django's app registry is ready."""
    global _settings
    _settings = settings


def get_pool(database: str = "default") -> Pool:
    """The running loop's pool for a tenant database, made at the first call.

    Raises LookupError for an alias that no setting knows.
    """
    if database != "default":
        raise LookupError(f"there is no tenant database {database!r}")
    if _here.loop is None or not _here.loop.is_running():
        _here.loop = asyncio.get_running_loop()
        _here.pools = _pools.setdefault(_here.loop, {})
    pools = _here.pools
    if database not in pools:
        pools[database] = create_runtime_pool(get_settings())
    return pools[database]


async def dispose_engines() -> None:
    """Close the running loop's connections."""
    pools = _pools.get(asyncio.get_running_loop(), {})
    while pools:
        await pools.popitem()[1].close()


def create_runtime_pool(settings: EngineSettings) -> Pool:
    """A pool of the runtime login, whose every transaction enters its tenant."""
    engine = create_engine(settings.runtime_url.get_secret_value(), settings, poolclass=NullPool)
    event.listen(engine.sync_engine, "begin", _set_scope)
    return Pool(
        engine,
        settings.pool_size,
        timeout_seconds=settings.pool_timeout_seconds,
        recycle_seconds=settings.pool_recycle_seconds,
        recycle_tenants=settings.pool_recycle_tenants,
        prepares_for_each=settings.pool_statements > 0,
    )


def create_owner_engine(kept_connections: int = 0) -> AsyncEngine:
    """An engine of the owner login, whose statements aren't limited.

    It prepares no statement by name, so that it may lead through a transaction pooler.
    kept_connections: how many stay open when nobody uses them; however many may be in use.
    """
    settings = get_settings()
    pool: dict[str, Any] = {"poolclass": NullPool}
    if kept_connections:
        pool = {
            "poolclass": AsyncAdaptedQueuePool,
            "pool_size": kept_connections,
            "max_overflow": -1,
            "pool_recycle": settings.pool_recycle_seconds,
            "pool_use_lifo": True,
        }
    return create_engine(
        settings.owner_url.get_secret_value(), None, named_statements=False, **pool
    )


def create_engine(
    url: str, limits: EngineSettings | None, *, named_statements: bool = True, **options: Any
) -> AsyncEngine:
    """An asyncpg engine on a libpq-style URL (`host` may be a socket folder, `sslmode` works).

    limits: the statement and lock timeouts to set; None for work that may take its time.
    named_statements: whether statements stay prepared on their connection.
    """
    timeouts: dict[str, Any] = {}
    if limits is not None:
        timeouts = {
            "command_timeout": limits.statement_timeout_seconds + 1,
            # The least recently used gives way, and not what is some minutes old.
            "statement_cache_size": limits.pool_statements + _SHARED_STATEMENTS,
            "max_cached_statement_lifetime": 0,
            "server_settings": {
                "application_name": "tenantry",
                "statement_timeout": f"{limits.statement_timeout_seconds * 1000:.0f}",
                "lock_timeout": f"{limits.lock_timeout_seconds * 1000:.0f}",
                "idle_in_transaction_session_timeout": "60000",
                # A plan is kept while its tables grow: one that reads a table from end to end,
                # made when it was small, would be ever slower until the next ANALYZE.
                "enable_seqscan": "off",
                # Before PostgreSQL 18 that makes a table without an index look dear enough to
                # compile its query.
                "jit": "off",
                # Planned once. PostgreSQL would plan each statement five times before it keeps a
                # plan, and there are some of each tenant's own.
                "plan_cache_mode": "force_generic_plan",
            },
        }
    connect_timeout_seconds = get_settings().connect_timeout_seconds
    cache: dict[str, Any] = {} if named_statements else {"statement_cache_size": 0}

    async def connect(**_unused: Any) -> asyncpg.Connection:
        return await asyncpg.connect(
            url,
            connection_class=TenantConnection,
            timeout=connect_timeout_seconds,
            **timeouts,
            **cache,
        )

    adapter: dict[str, Any] = {"async_creator_fn": connect}
    if not named_statements:
        # What SQLAlchemy prepares has names of SQLAlchemy's.
        adapter |= {
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: "",
        }
    engine = create_async_engine(
        "postgresql+asyncpg://",
        connect_args=adapter,
        json_serializer=dump_json,
        json_deserializer=orjson.loads,
        # They are what users wrote; an error's text ends up in the log.
        hide_parameters=True,
        **options,
    )
    event.listen(engine.sync_engine, "checkout", _replace_if_unusable)
    return engine


def get_longest_transaction_seconds() -> float:
    """After how long a write is visible, or never will be, counted from its first clock reading.

    A unit of work commits within its time or not at all, and a COMMIT is given up after that of a
    statement.
    """
    settings = get_settings()
    return settings.transaction_timeout_seconds + settings.statement_timeout_seconds + 1


def get_server_version(connection: AsyncConnection) -> int:
    """The major version of the server."""
    version = connection.dialect.server_version_info
    assert version is not None  # It is read when an engine first connects.
    return int(version[0])


def get_settings() -> EngineSettings:
    """The settings that engines are made from."""
    if _settings is None:
        raise RuntimeError("tenants.db is not configured; Django's setup() does it")
    return _settings


def _set_scope(connection: Connection) -> None:
    """Hand the tenant of this engine to the driver, for the BEGIN that follows.

    It runs at every begin, also of a second transaction in one session. In AUTOCOMMIT mode there
    is no BEGIN, and SET LOCAL would silently do nothing, so that mode is refused.
    """
    pooled = connection.connection
    if getattr(pooled.dbapi_connection, "autocommit", False):
        raise exc.InvalidRequestError("a tenant can't be entered in AUTOCOMMIT mode")
    driver = pooled.driver_connection
    assert isinstance(driver, TenantConnection)
    options = connection.get_execution_options()
    driver.tenant = options.get("tenant")
    driver.read_only = options.get("read_only", False)


def _replace_if_unusable(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    """Make the pool open another connection where the server has closed this one.

    asyncpg notices a closed socket without asking; a ping before every use, SQLAlchemy's
    `pool_pre_ping`, costs three round trips. A connection that somebody left in a transaction is
    replaced too: whoever came next would be in that one's tenant.
    """
    driver = dbapi_connection.driver_connection
    if driver.is_closed() or driver.is_in_transaction():
        raise exc.DisconnectionError("this connection is closed, or left in a transaction")
