"""Which modules a tenant has."""

from collections.abc import Iterable

from tenants import errors
from tenants.actor import Actor
from tenants.lifecycle.owner import owner_connection
from tenants.lifecycle.registry import LIVING, change_row, get_tenant, require, run_hooks
from tenants.models import Tenant
from tenants.modules import get_module, with_required
from tenants.revisions import migrate_schema


async def enable_module(slug: str, name: str, *, by: Actor) -> Tenant:
    """Give a tenant a module and what it requires: its tables first, then its routes.

    Raises TenantNotFound (404), InvalidInput (422) for an unknown module, WrongState (409).
    """
    get_module(name)
    tenant = await get_tenant(slug)
    require(tenant, LIVING)
    wanted = with_required([*tenant.modules, name])
    async with owner_connection() as connection:
        await migrate_schema(connection, tenant.ref, wanted)
        await connection.commit()
    added = [module for module in wanted if module.name not in tenant.modules]
    await run_hooks(tenant, [module.hooks.module_enabled for module in added])

    def with_it(row: Tenant) -> list[str]:
        return _names([*row.modules, name])

    return await change_row(slug, LIVING, "module.enabled", by, name, modules=with_it)


async def disable_module(slug: str, name: str, *, by: Actor) -> Tenant:
    """Take a module's routes from a tenant. Its tables and their rows stay.

    Raises TenantNotFound (404), InvalidInput (422), WrongState (409) if another needs it.
    """
    module = get_module(name)
    tenant = await get_tenant(slug)
    require(tenant, LIVING)

    def without(row: Tenant) -> list[str]:
        kept = [other for other in row.modules if other != name]
        if name in _names(kept):
            raise errors.WrongState(f"Another module of `{slug}` requires `{name}`.")
        return kept

    if name in tenant.modules:
        without(tenant)
        await run_hooks(tenant, [module.hooks.module_disabled])
    return await change_row(slug, LIVING, "module.disabled", by, name, modules=without)


def _names(modules: Iterable[str]) -> list[str]:
    return [module.name for module in with_required(modules)]
