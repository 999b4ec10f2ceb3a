"""Carries tenants to the heads of their modules, one after another, past those that fail."""

from collections.abc import Collection
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import errors
from tenants.db.unit_of_work import describe_error
from tenants.lifecycle import owner_connection
from tenants.models import Tenant, TenantStatus
from tenants.modules import get_module, with_required
from tenants.revisions import ensure_stamps_table, migrate_schema

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went for one tenant.

    revisions: the new revision of each module that was behind. error: why it failed, if it did;
    its schema is then as it was.
    """

    slug: str
    revisions: dict[str, str] = field(default_factory=dict)
    error: str | None = None


async def migrate_tenants(
    slugs: Collection[str] | None = None, modules: Collection[str] | None = None
) -> list[Outcome]:
    """Migrate the named tenants (None: all), in the named modules (None: all they have).

    Each tenant is one transaction: it ends at its heads or stays as it was. Suspended tenants
    go along; those being made or deleted are left out, for creating ends at head.
    Raises TenantNotFound (404), InvalidInput (422) before anything is done.
    """
    for name in modules or ():
        get_module(name)
    tenants = [
        tenant
        async for tenant in Tenant.objects.filter(
            status__in=[TenantStatus.ACTIVE, TenantStatus.SUSPENDED],
            **({"slug__in": slugs} if slugs is not None else {}),
        ).order_by("slug")
    ]
    for slug in set(slugs or ()) - {tenant.slug for tenant in tenants}:
        raise errors.TenantNotFound(slug)
    outcomes = []
    async with owner_connection() as connection:
        await ensure_stamps_table(connection)
        for tenant in tenants:
            outcomes.append(await _migrate(connection, tenant, modules))
    return outcomes


async def _migrate(
    connection: AsyncConnection, tenant: Tenant, only: Collection[str] | None
) -> Outcome:
    try:
        modules = [
            module
            for module in with_required(tenant.modules)
            if only is None or module.name in only
        ]
        revisions = await migrate_schema(connection, tenant.ref, modules)
        await connection.commit()
    except Exception as error:  # Whatever one tenant or its revisions raise, the others go on.
        # The next tenant gets another connection: scripts go past SQLAlchemy, which would not
        # know that this one was cut.
        await connection.invalidate()
        await connection.rollback()
        reason = describe_error(error)
        log.error("tenant.migration_failed", tenant=tenant.slug, reason=reason)
        return Outcome(tenant.slug, error=reason)
    return Outcome(tenant.slug, revisions)
