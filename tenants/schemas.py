"""A tenant's schema and role in PostgreSQL: made whole, dropped whole.

The schema and its tables belong to the owner login; the tenant's role may use them. The runtime
login may become that role, and inherits nothing from it.
"""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.apps import get_settings
from tenants.db.engine import get_server_version
from tenants.revisions import VERSION_TABLE, execute_script
from tenants.tenant import TenantRef

_SCHEMA_EXISTS = text("SELECT to_regnamespace(:schema) IS NOT NULL")
_READ_COMMENT = text("SELECT obj_description(to_regnamespace(:schema), 'pg_namespace')")
_RESTORED = "restored from a backup"
_CREATE_ROLE = 'CREATE ROLE "{name}" NOLOGIN NOINHERIT;'
_GRANT = 'GRANT {names} TO "{runtime}"{membership};'
# The version table comes before the default privileges: a tenant's role has no business there.
_CREATE_SCHEMA = """
CREATE SCHEMA "{name}";
GRANT USAGE ON SCHEMA "{name}" TO "{name}";
SET LOCAL search_path TO "{name}";
{version_table};
ALTER DEFAULT PRIVILEGES IN SCHEMA "{name}"
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{name}";
"""
# Of a creation that was cut off early, the list of spares may still have the schema.
_FORGET = text("""
WITH unlisted AS (DELETE FROM tenantry.spares WHERE id = :id)
DELETE FROM tenantry.tenant_stamps WHERE tenant_id = :id
""")
_DROP = """
SET LOCAL lock_timeout = '5s';
DROP SCHEMA IF EXISTS "{name}" CASCADE;
DROP ROLE IF EXISTS "{name}";
"""


async def create_schema(connection: AsyncConnection, tenant: TenantRef) -> None:
    """Make the tenant's role and its schema, holding only the version table, if they are missing.

    In the open transaction of an owner connection, so that either both are there or none.
    """
    if not await schema_exists(connection, tenant):
        await create_schemas(connection, [tenant])


async def schema_exists(connection: AsyncConnection, tenant: TenantRef) -> bool:
    found = await connection.execute(_SCHEMA_EXISTS, {"schema": tenant.schema})
    return bool(found.scalar_one())


async def create_schemas(connection: AsyncConnection, tenants: Sequence[TenantRef]) -> None:
    """The same for several, none of which is there.

    Their roles are granted in one statement: after each, every open backend looks anew at all
    that the runtime login is a member of.
    """
    # Before version 16 a grant says nothing of inheritance: there the login is NOINHERIT.
    says_inheritance = get_server_version(connection) >= 16
    membership = " WITH INHERIT FALSE, SET TRUE" if says_inheritance else ""
    runtime = make_url(get_settings().runtime_url.get_secret_value()).username or ""
    names = [tenant.schema for tenant in tenants]
    grant = _GRANT.format(
        names=", ".join(f'"{name}"' for name in names),
        runtime=runtime.replace('"', '""'),
        membership=membership,
    )
    script = [
        *(_CREATE_ROLE.format(name=name) for name in names),
        grant,
        *(_CREATE_SCHEMA.format(name=name, version_table=VERSION_TABLE) for name in names),
    ]
    await execute_script(connection, "\n".join(script))


async def mark_restored(connection: AsyncConnection, tenant: TenantRef) -> None:
    """Note in the schema itself that there is another's data in it, from its first moment on."""
    await execute_script(connection, f"COMMENT ON SCHEMA \"{tenant.schema}\" IS '{_RESTORED}'")


async def is_restored(connection: AsyncConnection, tenant: TenantRef) -> bool:
    found = await connection.execute(_READ_COMMENT, {"schema": tenant.schema})
    return bool(found.scalar_one() == _RESTORED)


async def read_revisions(connection: AsyncConnection, tenant: TenantRef) -> dict[str, str]:
    """The revision of each module with tables in the tenant's schema, enabled or not."""
    rows = await connection.execute(
        text("SELECT module, revision FROM tenantry.tenant_stamps WHERE tenant_id = :id"),
        {"id": tenant.id},
    )
    return {row.module: row.revision for row in rows}


async def drop_schema(connection: AsyncConnection, tenant: TenantRef) -> None:
    """Drop the tenant's schema, role and stamps in the open transaction, if they are there."""
    await connection.execute(_FORGET, {"id": tenant.id})
    await execute_script(connection, _DROP.format(name=tenant.schema))
