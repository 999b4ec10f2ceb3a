"""The end of a tenant."""

import structlog

from tenants import audit, errors, schemas
from tenants.actor import Actor
from tenants.lifecycle.owner import lock_slug, owner_connection
from tenants.lifecycle.registry import get_tenant, in_registry, run_hooks
from tenants.models import Tenant, TenantStatus
from tenants.modules import get_modules

log = structlog.get_logger(__name__)


async def erase_tenant(slug: str, confirm_slug: str, *, by: Actor) -> None:
    """Remove a deleted tenant for good: schema, role, stamps, keys, domains, memberships.

    confirm_slug: the slug once more. A call that was cut off can be repeated.
    Raises ConfirmationMismatch (422), TenantNotFound (404), WrongState (409) if it has not been
    deleted first.
    """
    if confirm_slug != slug:
        raise errors.ConfirmationMismatch
    tenant = await get_tenant(slug)
    if tenant.status != TenantStatus.DELETING:
        raise errors.WrongState(f"The tenant `{slug}` is {tenant.status}; delete it first.")
    async with owner_connection() as connection:
        # Else the schema that a creator is about to commit would be left over.
        if not await lock_slug(connection, slug):
            raise errors.WrongState(f"The tenant `{slug}` is still being created or erased.")
        # Also the modules that it has no more: their rows are still there. None if the schema
        # was dropped before; then the hooks have run.
        made = await schemas.read_revisions(connection, tenant.ref)
        hooks = [module.hooks.tenant_deleted for module in get_modules() if module.name in made]
        await run_hooks(tenant, hooks)
        await schemas.drop_schema(connection, tenant.ref)
        await connection.commit()
    await _forget(tenant, by)
    log.info("tenant.erased", tenant=slug, tenant_id=str(tenant.id))


@in_registry
def _forget(tenant: Tenant, by: Actor) -> None:
    """Remove the row and all that refers to it; the audit log stays."""
    audit.record(by, "tenant.erased", tenant, name=tenant.name)
    tenant.delete()
