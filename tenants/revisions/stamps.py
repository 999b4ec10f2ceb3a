"""Where a schema stands: Alembic's own table in it, and the same for all in one table."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import StampMismatch, TenantUnavailable
from tenants.module import Module
from tenants.revisions.scripts import list_line
from tenants.tenant import TenantRef

VERSION_TABLE = (
    "CREATE TABLE alembic_version (version_num varchar(128) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
# The spares are schemas that are made ahead, for tenants to come; see `tenants.spares`.
_FLEET_TABLES = """
SELECT pg_advisory_xact_lock(hashtext('tenantry.tenant_stamps'));
CREATE SCHEMA IF NOT EXISTS tenantry;
CREATE TABLE IF NOT EXISTS tenantry.spares (
    id uuid NOT NULL,
    modules text[] NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT spares_pkey PRIMARY KEY (id)
);
CREATE TABLE IF NOT EXISTS tenantry.tenant_stamps (
    tenant_id uuid NOT NULL,
    module text NOT NULL,
    revision text NOT NULL,
    stamped_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenant_stamps_pkey PRIMARY KEY (tenant_id, module)
)"""
_FLEET_TABLES_EXIST = text(
    "SELECT to_regclass('tenantry.tenant_stamps') IS NOT NULL "
    "AND to_regclass('tenantry.spares') IS NOT NULL"
)
_READ_STAMPS = text(
    "SELECT module, revision FROM tenantry.tenant_stamps WHERE tenant_id = :tenant_id"
)
# Fails with a division by zero unless both places say where the module was, and nothing else.
_STAMP = """
WITH before AS (SELECT version_num FROM alembic_version WHERE version_num IN ({line})),
version AS ({version} RETURNING 1),
stamp AS ({stamp} RETURNING 1)
SELECT 1 / ((SELECT count(*) FROM before) = {rows} AND EXISTS (SELECT FROM version)
            AND EXISTS (SELECT FROM stamp))::int;
"""
_BEGIN_LINE = (
    "INSERT INTO alembic_version VALUES ('{end}')",
    "INSERT INTO tenantry.tenant_stamps (tenant_id, module, revision) "
    "VALUES ('{tenant_id}', '{module}', '{end}')",
)
_MOVE = (
    "UPDATE alembic_version SET version_num = '{end}' WHERE version_num = '{start}'",
    "UPDATE tenantry.tenant_stamps SET revision = '{end}', stamped_at = now() "
    "WHERE tenant_id = '{tenant_id}' AND module = '{module}' AND revision = '{start}'",
)
_LEAVE_LINE = (
    "DELETE FROM alembic_version WHERE version_num = '{start}'",
    "DELETE FROM tenantry.tenant_stamps "
    "WHERE tenant_id = '{tenant_id}' AND module = '{module}' AND revision = '{start}'",
)
_UNDEFINED_TABLE = "42P01"


async def ensure_fleet_tables(connection: AsyncConnection) -> None:
    """Make the tenant database's tables of stamps and of spares if they are missing. Commits."""
    if not (await connection.execute(_FLEET_TABLES_EXIST)).scalar_one():
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.execute(_FLEET_TABLES)
    await connection.commit()


async def read_stamps(connection: AsyncConnection, tenant: TenantRef) -> dict[str, str]:
    """A tenant's revision per module, checked and locked until the transaction's end.

    Leaves the search path at the tenant's schema. Raises StampMismatch (409) where
    `alembic_version` and the stamps disagree, and TenantUnavailable (503) if the schema isn't
    there.
    """
    await connection.execute(text("SELECT pg_advisory_xact_lock(:high, :low)"), lock_key(tenant.id))
    await connection.execute(text(f'SET LOCAL search_path TO "{tenant.schema}"'))
    try:
        result = await connection.execute(text("SELECT version_num FROM alembic_version"))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _UNDEFINED_TABLE:
            raise TenantUnavailable(f"There is no schema {tenant.schema}.") from error
        raise
    versions = set(result.scalars())
    rows = await connection.execute(_READ_STAMPS, {"tenant_id": tenant.id})
    stamps = {row.module: row.revision for row in rows}
    if versions != set(stamps.values()):
        raise StampMismatch(
            f"{tenant.schema}: alembic_version has {sorted(versions)}, "
            f"tenant_stamps has {sorted(stamps.values())}."
        )
    return stamps


def stamp_script(tenant_id: UUID, module: Module, start: str | None, end: str | None) -> str:
    """SQL that moves a module's stamp from `start` to `end`, in both places; None: not there.

    It fails where they are not at `start`. The search path is to be at the tenant's schema.
    The words are ours: ids, module names and revision names.
    """
    if start is None:
        version, stamp = _BEGIN_LINE
    else:
        version, stamp = _LEAVE_LINE if end is None else _MOVE
    words = {"tenant_id": tenant_id, "module": module.name, "start": start, "end": end}
    return _STAMP.format(
        line=", ".join(f"'{script.revision}'" for script in list_line(module)),
        version=version.format(**words),
        stamp=stamp.format(**words),
        rows=0 if start is None else 1,
    )


def lock_key(tenant_id: UUID) -> dict[str, int]:
    """The two halves of the advisory lock on a tenant's schema.

    Taken from the end of the id, which is random; its beginning is the time.
    """
    low_bits = tenant_id.int & (2**64 - 1)
    return {"high": _signed(low_bits >> 32), "low": _signed(low_bits & (2**32 - 1))}


def _signed(value: int) -> int:
    return value - 2**32 if value >= 2**31 else value
