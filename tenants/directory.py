"""What a process knows of keys, hosts and tenants, so that a request needn't ask the registry.

Each process keeps what it has looked up and polls the registry's version row, which triggers
increment with every change to a tenant, key or domain. Another version means: forget all. No
answer for a second means: trust nothing, and answer 503 rather than let a revoked key in.

A poll speaks for the moment at which it was sent, so trust is counted from there. LISTEN would
be the wrong tool: through a transaction pooler it hears nothing, and a frozen backend looks
alive.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.apps import get_settings
from tenants.db.engine import create_engine
from tenants.errors import DatabaseUnavailable
from tenants.limits import Limits, merge_limits
from tenants.settings import EngineSettings
from tenants.tenant import TenantRef

log = structlog.get_logger(__name__)

_MAX_ENTRIES = 100_000
_LAST_USED_FLUSH_SECONDS = 10.0

TENANT_COLUMNS = "t.id, t.slug, t.status, t.modules, t.database, t.plan, t.limits"
_FIND_KEY = text(
    f"SELECT k.public_id, k.secret_hash, k.scopes, k.expires_at, k.revoked_at, {TENANT_COLUMNS} "  # noqa: S608
    "FROM tenants_apikey k JOIN tenants_tenant t ON t.id = k.tenant_id "
    "WHERE k.public_id = :public_id"
)
_FIND_OPERATOR = text(
    "SELECT public_id, name, secret_hash, scopes, expires_at, revoked_at "
    "FROM tenants_operatorkey WHERE public_id = :public_id"
)
# A tenant that is still being made has no host, and a domain counts once it is verified.
_FIND_SLUG = text(
    f"SELECT {TENANT_COLUMNS} FROM tenants_tenant t "  # noqa: S608
    "WHERE t.slug = :slug AND t.status <> 'provisioning'"
)
_FIND_DOMAIN = text(
    f"SELECT {TENANT_COLUMNS} FROM tenants_domain d JOIN tenants_tenant t "  # noqa: S608
    "ON t.id = d.tenant_id "
    "WHERE d.host = :host AND d.verified_at IS NOT NULL AND t.status <> 'provisioning'"
)
_VERSION = text("SELECT version FROM tenants_registryversion WHERE id = 1")
_TOUCH = (
    "UPDATE {table} k SET last_used_at = u.used_at FROM used u WHERE k.public_id = u.public_id "
    "AND (k.last_used_at IS NULL OR k.last_used_at < u.used_at)"
)
_TOUCH_KEYS = text(
    "WITH used AS (SELECT * FROM "  # noqa: S608
    "unnest(CAST(:public_ids AS text[]), CAST(:used_at AS timestamptz[])) AS u(public_id, used_at)"
    f"), of_tenants AS ({_TOUCH.format(table='tenants_apikey')}) "
    f"{_TOUCH.format(table='tenants_operatorkey')}"
)


@dataclass(frozen=True, slots=True)
class TenantEntry:
    """A tenant, its status, and the limits that hold for it."""

    ref: TenantRef
    status: str
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """A key that exists; whether it is still valid is for the caller to say."""

    public_id: str
    secret_hash: bytes
    scopes: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantKeyEntry(KeyEntry):
    tenant: TenantEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorEntry(KeyEntry):
    name: str


class Directory:
    """The cache, its poller, and the look-ups behind it. One per process."""

    def __init__(
        self, settings: EngineSettings, on_change: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """on_change: called after the cache was emptied, since the registry has changed."""
        self._settings = settings
        self._on_change = on_change
        self._changes: set[asyncio.Task[None]] = set()
        # The poll has a connection of its own: however many strangers ask for what isn't there,
        # a process goes on hearing of changes.
        self._engine = _create_registry_engine(settings, connections=2)
        self._poll_engine = _create_registry_engine(settings, connections=1)
        self._keys: dict[str, TenantKeyEntry] = {}
        self._operators: dict[str, OperatorEntry] = {}
        self._hosts: dict[str, TenantEntry] = {}
        self._last_used: dict[str, datetime] = {}
        self._version: int | None = None
        # Counts the times the cache was emptied: a look-up that was under way is not kept.
        self._generation = 0
        self._confirmed_at = float("-inf")
        self._poller: asyncio.Task[None] | None = None
        self._refresh: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin polling. Returns when the first answer is in.

        Raises DatabaseUnavailable (503) if the registry can't be read.
        """
        await self._poll()
        self._poller = asyncio.create_task(self._keep_polling(), name="registry poller")

    async def stop(self) -> None:
        """End polling, write down the last uses of keys, close the connections."""
        if self._poller is not None:
            self._poller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._poller
        with contextlib.suppress(DatabaseUnavailable):
            await self._write_last_used()
        await self._engine.dispose()
        await self._poll_engine.dispose()

    async def find_key(self, public_id: str) -> TenantKeyEntry | None:
        """The API key with this public id, or None. Raises DatabaseUnavailable (503)."""
        await self._confirm()
        entry = self._keys.get(public_id)
        if entry is None:
            generation = self._generation
            row = await self.fetch(_FIND_KEY, public_id=public_id)
            if row is None:
                return None
            entry = TenantKeyEntry(**_key_values(row), tenant=make_tenant_entry(row))
            self._keep(self._keys, public_id, entry, generation)
        return entry

    async def find_operator(self, public_id: str) -> OperatorEntry | None:
        """The operator's key with this public id, or None. Raises DatabaseUnavailable (503)."""
        await self._confirm()
        entry = self._operators.get(public_id)
        if entry is None:
            generation = self._generation
            row = await self.fetch(_FIND_OPERATOR, public_id=public_id)
            if row is None:
                return None
            entry = OperatorEntry(**_key_values(row), name=row.name)
            self._keep(self._operators, public_id, entry, generation)
        return entry

    async def find_host(self, host: str) -> TenantEntry | None:
        """The tenant that a host name belongs to, or None. Raises DatabaseUnavailable (503)."""
        await self._confirm()
        entry = self._hosts.get(host)
        if entry is None:
            generation = self._generation
            label, dot, parent = host.partition(".")
            if dot and parent == self._settings.base_domain:
                row = await self.fetch(_FIND_SLUG, slug=label)
            else:
                row = await self.fetch(_FIND_DOMAIN, host=host)
            if row is None:
                return None
            entry = make_tenant_entry(row)
            self._keep(self._hosts, host, entry, generation)
        return entry

    def note_use(self, public_id: str) -> None:
        """Remember that a key was used now; written to the registry every ten seconds."""
        self._last_used[public_id] = datetime.now(UTC)

    async def check(self) -> None:
        """Raises DatabaseUnavailable (503) if the registry has not answered for a second."""
        await self._confirm()

    async def fetch(self, statement: Any, **parameters: Any) -> Any:
        """The first row of a query on the registry, or None. Raises DatabaseUnavailable (503)."""
        return await self._fetch(self._engine, statement, parameters)

    async def fetch_all(self, statement: Any, **parameters: Any) -> Sequence[Any]:
        """The rows of a query on the registry. Raises DatabaseUnavailable (503)."""
        return await self._fetch_all(self._engine, statement, parameters)

    def _keep(self, cache: dict[str, Any], name: str, entry: Any, generation: int) -> None:
        if generation == self._generation:
            if len(cache) >= _MAX_ENTRIES:
                cache.clear()
            cache[name] = entry

    async def _confirm(self) -> None:
        if time.monotonic() - self._confirmed_at < self._settings.registry_trust_seconds:
            return
        # All requests that find the cache too old wait for one poll together.
        if self._refresh is None or self._refresh.done():
            self._refresh = asyncio.create_task(self._poll(), name="registry refresh")
        await asyncio.shield(self._refresh)

    async def _poll(self) -> None:
        sent_at = time.monotonic()
        row = await self._fetch(self._poll_engine, _VERSION, {})
        if row is None:  # Without it no change would ever be noticed.
            raise DatabaseUnavailable("The registry is not available: its version row is missing.")
        if row.version != self._version:
            self._version = row.version
            self._generation += 1
            self._keys.clear()
            self._operators.clear()
            self._hosts.clear()
            self._announce()
        self._confirmed_at = max(self._confirmed_at, sent_at)

    def _announce(self) -> None:
        if self._on_change is not None:
            task = asyncio.ensure_future(self._on_change())
            self._changes.add(task)
            task.add_done_callback(self._changes.discard)

    async def _keep_polling(self) -> None:
        flushed_at = time.monotonic()
        while True:
            await asyncio.sleep(self._settings.registry_poll_interval_seconds)
            try:
                await self._poll()
                if time.monotonic() - flushed_at > _LAST_USED_FLUSH_SECONDS:
                    flushed_at = time.monotonic()
                    await self._write_last_used()
            except DatabaseUnavailable as error:
                log.warning("registry.unavailable", reason=repr(error.__cause__))
            except Exception:  # Whatever it is, a process that stops polling would serve 503.
                log.exception("registry.poll_failed")

    async def _write_last_used(self) -> None:
        used, self._last_used = self._last_used, {}
        if not used:
            return
        try:
            await self.fetch(_TOUCH_KEYS, public_ids=list(used), used_at=list(used.values()))
        except DatabaseUnavailable:
            self._last_used = used | self._last_used  # For the next time.
            raise

    async def _fetch(self, engine: AsyncEngine, statement: Any, parameters: dict[str, Any]) -> Any:
        rows = await self._fetch_all(engine, statement, parameters)
        return rows[0] if rows else None

    async def _fetch_all(
        self, engine: AsyncEngine, statement: Any, parameters: dict[str, Any]
    ) -> Sequence[Any]:
        """The rows, within the time for which an old answer would be trusted."""
        try:
            async with asyncio.timeout(self._settings.registry_trust_seconds):
                async with engine.connect() as connection:
                    result = await connection.execute(statement, parameters)
                    return result.all() if result.returns_rows else []
        except (SQLAlchemyError, OSError) as error:  # A timeout is an OSError.
            raise DatabaseUnavailable("The registry is not available. Try again.") from error


def _create_registry_engine(settings: EngineSettings, connections: int) -> AsyncEngine:
    return create_engine(
        settings.registry_url.get_secret_value(),
        settings,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=settings.pool_timeout_seconds,
        isolation_level="AUTOCOMMIT",
    )


def make_tenant_entry(row: Any) -> TenantEntry:
    """From a row that has `TENANT_COLUMNS`."""
    # The driver's UUID is a subclass, which not every library takes for one.
    limits = merge_limits(get_settings().plans.get(row.plan), row.limits)
    ref = TenantRef(
        UUID(int=row.id.int),
        row.slug,
        frozenset(row.modules),
        row.database,
        limits.retention_days,
    )
    return TenantEntry(ref, row.status, limits)


def _key_values(row: Any) -> dict[str, Any]:
    return {
        "public_id": row.public_id,
        "secret_hash": bytes(row.secret_hash),
        "scopes": frozenset(row.scopes),
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
    }


_directory: Directory | None = None


def set_directory(directory: Directory | None) -> None:
    """Install this process's directory; the server's lifespan does it."""
    global _directory
    _directory = directory


def get_directory() -> Directory:
    if _directory is None:
        raise RuntimeError("the directory is not started; the server's lifespan starts it")
    return _directory
