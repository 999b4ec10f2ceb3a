"""One Alembic environment for every module, working on one tenant's schema at a time.

    alembic -x tenant=acme current
    alembic -x tenant=acme upgrade conversations@head

The tenant's stamps are moved in the same transaction, as `tenants.revisions` does, and its requests
are kept waiting for a lock no longer than they would wait themselves.
`manage.py make_revision` passes a connection of its own; that is the other way in here.
"""

import asyncio
import os
from typing import Any

import django
from sqlalchemy import Connection, event, text

from alembic import context

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")


def run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _migrate(connection, context.config.attributes["tenant"])
        return
    if context.is_offline_mode():
        raise SystemExit("Without --sql: the way up or down needs a tenant's database.")
    from project.dev.database import ensure_database

    with ensure_database():
        django.setup()
        asyncio.run(_migrate_tenant())


async def _migrate_tenant() -> None:
    from tenants.db.engine import create_owner_engine
    from tenants.models import Tenant

    slug = context.get_x_argument(as_dictionary=True).get("tenant")
    if not slug:
        raise SystemExit("Name the tenant: alembic -x tenant=<slug> …")
    tenant = await Tenant.objects.filter(slug=slug).afirst()
    if tenant is None:
        raise SystemExit(f"There is no tenant {slug!r}.")
    engine = create_owner_engine()
    async with engine.begin() as connection:
        await connection.run_sync(_migrate, tenant.ref)


def _migrate(connection: Connection, tenant: Any) -> None:
    from tenants.apps import get_settings
    from tenants.modules import get_modules
    from tenants.revisions import lock_key, make_ordinary

    def fit_in(_connection: Any, _cursor: Any, sql: str, values: Any, *_rest: Any) -> Any:
        """Alembic runs all in one transaction, so what is meant to run outside one does as well."""
        return make_ordinary(sql, tenant), values

    only = context.config.attributes.get("module")
    modules = [only] if only else [m for m in get_modules() if m.name in tenant.modules]
    tables = {table for module in modules for table in module.metadata.tables}

    def is_ours(_object: Any, name: str | None, kind: str, *_rest: Any) -> bool:
        """Tables of modules that the tenant has no more stay; they are not dropped ones.

        A scratch schema has one module's tables only: what its models don't know is dropped.
        """
        return kind != "table" or only is not None or name in tables

    connection.execute(text("SELECT pg_advisory_xact_lock(:high, :low)"), lock_key(tenant.id))
    connection.execute(text(f'SET LOCAL search_path TO "{tenant.schema}"'))
    # Not before the schema's own lock, for whose holder it is worth to wait.
    timeout = f"{get_settings().lock_timeout_seconds * 1000:.0f}"
    connection.execute(text(f"SET LOCAL lock_timeout = {timeout}"))
    event.listen(connection, "before_cursor_execute", fit_in, retval=True)
    # What reflection takes for the schema of unqualified names.
    connection.dialect.default_schema_name = tenant.schema
    context.configure(
        connection=connection,
        target_metadata=[module.metadata for module in modules],
        include_object=is_ours,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    _repeat_stamps(connection, tenant)


def _repeat_stamps(connection: Connection, tenant: Any) -> None:
    """Write to `tenant_stamps` what Alembic has left in `alembic_version`."""
    from tenants.revisions import find_module_of_revision

    versions = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
    stamps = [
        {"tenant_id": tenant.id, "module": module.name, "revision": version}
        for version in versions
        if (module := find_module_of_revision(version)) is not None
    ]
    connection.execute(
        text("DELETE FROM tenantry.tenant_stamps WHERE tenant_id = :id"), {"id": tenant.id}
    )
    if stamps:
        connection.execute(
            text(
                "INSERT INTO tenantry.tenant_stamps (tenant_id, module, revision) "
                "VALUES (:tenant_id, :module, :revision)"
            ),
            stamps,
        )


run()
