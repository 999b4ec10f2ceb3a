"""The beginning of a tenant."""

from collections.abc import Iterable

import structlog
from asgiref.sync import sync_to_async
from django.db import transaction

from tenants import errors, schemas
from tenants.lifecycle.keys import DEFAULT_SCOPES, IssuedKey, add_key
from tenants.lifecycle.owner import lock_slug, owner_connection
from tenants.lifecycle.registry import run_hooks
from tenants.models import Tenant, TenantStatus
from tenants.modules import get_modules, with_required
from tenants.names import validate_name, validate_slug
from tenants.revisions import ensure_stamps_table, migrate_schema

log = structlog.get_logger(__name__)


async def create_tenant(
    slug: str, name: str, modules: Iterable[str] | None = None
) -> tuple[Tenant, IssuedKey]:
    """Onboard a tenant: its registry row, role, schema, tables and first API key.

    modules: names of those to enable, with what they require; None means all that are loaded.
    A call that was cut off leaves the tenant in state provisioning, where nobody can see it;
    the same call again completes it.
    Raises InvalidInput (422), SlugTaken (409; also while another call is creating it).
    """
    slug, name = validate_slug(slug), validate_name(name)
    chosen = get_modules() if modules is None else with_required(modules)
    async with owner_connection() as connection:
        await ensure_stamps_table(connection)
        if not await lock_slug(connection, slug):
            raise errors.SlugTaken(slug)
        tenant = await _register(slug, name, [module.name for module in chosen])
        await schemas.create_schema(connection, tenant.ref)
        await migrate_schema(connection, tenant.ref, chosen)
        await connection.commit()
    await run_hooks(tenant, [module.hooks.tenant_created for module in chosen])
    key = await _activate(tenant, name, [module.name for module in chosen])
    log.info("tenant.created", tenant=tenant.slug, tenant_id=str(tenant.id))
    return tenant, key


@sync_to_async
def _register(slug: str, name: str, modules: list[str]) -> Tenant:
    """The tenant's row in state provisioning: a new one, or the one a dead creator left."""
    tenant, created = Tenant.objects.get_or_create(
        slug=slug, defaults={"name": name, "modules": modules}
    )
    if not created and tenant.status != TenantStatus.PROVISIONING:
        raise errors.SlugTaken(slug)
    # What the call at hand says wins over the one that died; it is written when it has come true.
    tenant.name, tenant.modules = name, modules
    return tenant


@sync_to_async
def _activate(tenant: Tenant, name: str, modules: list[str]) -> IssuedKey:
    """Make the tenant visible, as this call made it: another may have registered it meanwhile."""
    with transaction.atomic():
        activated = Tenant.objects.filter(pk=tenant.pk, status=TenantStatus.PROVISIONING).update(
            status=TenantStatus.ACTIVE, name=name, modules=modules
        )
        if not activated:
            raise errors.SlugTaken(tenant.slug)
        tenant.refresh_from_db()
        return add_key(tenant, "First key", DEFAULT_SCOPES, None)
