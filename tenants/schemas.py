"""A tenant's schema and role in PostgreSQL: made whole, dropped whole.

The schema and its tables belong to the owner login; the tenant's role may use them. The runtime
login may become that role, and inherits nothing from it.
"""

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.apps import get_settings
from tenants.revisions import VERSION_TABLE, execute_script
from tenants.tenant import TenantRef

_SCHEMA_EXISTS = text("SELECT to_regnamespace(:schema) IS NOT NULL")
# The version table comes before the default privileges: a tenant's role has no business there.
_CREATE = """
CREATE ROLE "{name}" NOLOGIN NOINHERIT;
GRANT "{name}" TO "{runtime}"{membership};
CREATE SCHEMA "{name}";
GRANT USAGE ON SCHEMA "{name}" TO "{name}";
SET LOCAL search_path TO "{name}";
{version_table};
ALTER DEFAULT PRIVILEGES IN SCHEMA "{name}"
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{name}";
"""
_DROP = """
SET LOCAL lock_timeout = '5s';
DROP SCHEMA IF EXISTS "{name}" CASCADE;
DROP ROLE IF EXISTS "{name}";
"""


async def create_schema(connection: AsyncConnection, tenant: TenantRef) -> None:
    """Make the tenant's role and its schema, holding only the version table, if they are missing.

    In the open transaction of an owner connection, so that either both are there or none.
    """
    exists = await connection.execute(_SCHEMA_EXISTS, {"schema": tenant.schema})
    if exists.scalar_one():
        return
    # Before version 16 a grant says nothing of inheritance: there the login is NOINHERIT.
    version = connection.dialect.server_version_info or (0,)
    membership = " WITH INHERIT FALSE, SET TRUE" if version >= (16,) else ""
    runtime = make_url(get_settings().runtime_url.get_secret_value()).username or ""
    await execute_script(
        connection,
        _CREATE.format(
            name=tenant.schema,
            runtime=runtime.replace('"', '""'),
            membership=membership,
            version_table=VERSION_TABLE,
        ),
    )


async def read_revisions(connection: AsyncConnection, tenant: TenantRef) -> dict[str, str]:
    """The revision of each module with tables in the tenant's schema, enabled or not."""
    rows = await connection.execute(
        text("SELECT module, revision FROM tenantry.tenant_stamps WHERE tenant_id = :id"),
        {"id": tenant.id},
    )
    return {row.module: row.revision for row in rows}


async def drop_schema(connection: AsyncConnection, tenant: TenantRef) -> None:
    """Drop the tenant's schema, role and stamps in the open transaction, if they are there."""
    await connection.execute(
        text("DELETE FROM tenantry.tenant_stamps WHERE tenant_id = :id"), {"id": tenant.id}
    )
    await execute_script(connection, _DROP.format(name=tenant.schema))
