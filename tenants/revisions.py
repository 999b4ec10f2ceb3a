"""A module's Alembic revisions: rendered once, replayed in any tenant's schema.

Running Alembic's operations for each tenant spends milliseconds in Python to produce the same
SQL each time. So the SQL from one revision to another is rendered once per process, and carried
to a tenant as one message in one transaction, together with its stamps.

A module's revisions are one line, labelled with its name. Each schema has its own
`alembic_version`, with a row per module; the table `tenantry.tenant_stamps` of the same database
holds the same for all tenants, so that one query shows the fleet. Both are written in the
transaction of the change itself.
"""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from uuid import UUID

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import StampMismatch, TenantUnavailable
from tenants.module import Module
from tenants.modules import get_modules
from tenants.tenant import TenantRef

# Alembic's env.py and the template of new revisions, for all modules.
ENVIRONMENT = Path(__file__).resolve().parent.parent / "alembic"
VERSION_TABLE = (
    "CREATE TABLE alembic_version (version_num varchar(128) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
_STAMPS_EXIST = text("SELECT to_regclass('tenantry.tenant_stamps') IS NOT NULL")
_STAMPS_TABLE = """
SELECT pg_advisory_xact_lock(hashtext('tenantry.tenant_stamps'));
CREATE SCHEMA IF NOT EXISTS tenantry;
CREATE TABLE IF NOT EXISTS tenantry.tenant_stamps (
    tenant_id uuid NOT NULL,
    module text NOT NULL,
    revision text NOT NULL,
    stamped_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenant_stamps_pkey PRIMARY KEY (tenant_id, module)
)"""
_READ_STAMPS = text(
    "SELECT module, revision FROM tenantry.tenant_stamps WHERE tenant_id = :tenant_id"
)
_INSERT_VERSION = "INSERT INTO alembic_version VALUES ('{end}');"
_UPDATE_VERSION = "UPDATE alembic_version SET version_num = '{end}' WHERE version_num = '{start}';"
_STAMP = """
INSERT INTO tenantry.tenant_stamps (tenant_id, module, revision)
VALUES ('{tenant_id}', '{module}', '{end}')
ON CONFLICT (tenant_id, module) DO UPDATE SET revision = excluded.revision, stamped_at = now();
"""
_UNDEFINED_TABLE = "42P01"


def get_head(module: Module) -> str | None:
    """The newest revision of a module, or None while it has none."""
    return _script_directory(module).get_current_head()


@cache
def render(module: Module, start: str | None, end: str) -> str:
    """The SQL that takes a schema from revision `start` (None: nothing there) to `end`.

    It names no schema, opens no transaction and writes no stamp: whoever replays it does.
    Returns "" if `start` is `end`. Raises RevisionError, Alembic's, for an unknown revision.
    """
    buffer = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql",
        # Where parameters are marked by percent signs, those of the SQL come out doubled.
        dialect_opts={"paramstyle": "named"},
        opts={"as_sql": True, "output_buffer": buffer},
    )
    with Operations.context(context):
        for script in _revisions_between(module, start, end):
            script.module.upgrade()
    return buffer.getvalue()


async def ensure_stamps_table(connection: AsyncConnection) -> None:
    """Make the tenant database's table of stamps if it is missing. Commits."""
    if not (await connection.execute(_STAMPS_EXIST)).scalar_one():
        await execute_script(connection, _STAMPS_TABLE)
    await connection.commit()


async def execute_script(connection: AsyncConnection, script: str) -> None:
    """Run several statements as one message.

    SQLAlchemy's way prepares each statement, so the script goes to the driver: the transaction
    must have begun with an ordinary statement.
    """
    raw = await connection.get_raw_connection()
    assert raw.driver_connection is not None
    await raw.driver_connection.execute(script)


async def migrate_schema(
    connection: AsyncConnection, tenant: TenantRef, modules: Sequence[Module]
) -> dict[str, str]:
    """Carry a tenant's schema to the heads of the given modules, in the open transaction.

    Locks the tenant's stamps first, so that two runners can't replay the same revision.
    Returns the new revision of every module that was behind; the caller commits.
    Raises StampMismatch (409) where `alembic_version` and the stamps disagree or name a revision
    that is not there, and TenantUnavailable (503) if the schema isn't there.
    """
    stamps = await read_stamps(connection, tenant)
    script = []
    changed = {}
    for module in modules:
        start, end = stamps.get(module.name), get_head(module)
        if end is not None and end != start:
            try:
                script.append(render(module, start, end))
            except RevisionError as error:
                raise StampMismatch(
                    f"{tenant.schema}: module {module.name} is at {start}, which is no revision "
                    f"of this release."
                ) from error
            script.append(stamp_script(tenant.id, module.name, start, end))
            changed[module.name] = end
    if script:
        await execute_script(connection, "\n".join(script))
    return changed


async def read_stamps(connection: AsyncConnection, tenant: TenantRef) -> dict[str, str]:
    """A tenant's revision per module, checked and locked until the transaction's end.

    Leaves the search path at the tenant's schema. Raises as `migrate_schema` does.
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


def stamp_script(tenant_id: UUID, module: str, start: str | None, end: str) -> str:
    """SQL that moves a module's stamp from `start` (None: not there) to `end`, in both places.

    The words are ours: ids, module names and revision names.
    """
    version = _INSERT_VERSION if start is None else _UPDATE_VERSION
    return (version + _STAMP).format(tenant_id=tenant_id, module=module, start=start, end=end)


def find_module_of_revision(revision: str) -> Module | None:
    """The module that a revision belongs to."""
    for module in get_modules():
        if any(s.revision == revision for s in _script_directory(module).walk_revisions()):
            return module
    return None


def lock_key(tenant_id: UUID) -> dict[str, int]:
    """The two halves of the advisory lock on a tenant's schema.

    Taken from the end of the id, which is random; its beginning is the time.
    """
    low_bits = tenant_id.int & (2**64 - 1)
    return {"high": _signed(low_bits >> 32), "low": _signed(low_bits & (2**32 - 1))}


def _signed(value: int) -> int:
    return value - 2**32 if value >= 2**31 else value


def _revisions_between(module: Module, start: str | None, end: str) -> list[Script]:
    scripts = list(_script_directory(module).iterate_revisions(end, start or "base"))
    return [script for script in reversed(scripts) if script.revision != start]


@cache
def _script_directory(module: Module) -> ScriptDirectory:
    return ScriptDirectory(str(module.revisions), version_locations=[str(module.revisions)])
