"""A tenant's row in the registry, and what changes it while others may want to."""

from collections.abc import Collection, Iterable
from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction

from tenants import errors
from tenants.db.unit_of_work import write_session
from tenants.models import Tenant, TenantStatus
from tenants.module import Hook

# Those whom requests can be meant for.
LIVING = frozenset({TenantStatus.ACTIVE, TenantStatus.SUSPENDED})


async def get_tenant(slug: str) -> Tenant:
    """Raises TenantNotFound (404)."""
    tenant = await Tenant.objects.filter(slug=slug).afirst()
    if tenant is None:
        raise errors.TenantNotFound(slug)
    return tenant


async def change_row(slug: str, allowed: Collection[TenantStatus], /, **changes: Any) -> Tenant:
    """Update a tenant whose status is one of `allowed`, under a lock on its row.

    A change that is a function gets the row as it is now and returns the value.
    """

    def change() -> Tenant:
        with transaction.atomic():
            tenant = Tenant.objects.select_for_update().filter(slug=slug).first()
            if tenant is None:
                raise errors.TenantNotFound(slug)
            require(tenant, allowed)
            for field, value in changes.items():
                setattr(tenant, field, value(tenant) if callable(value) else value)
            tenant.save()
            return tenant

    return await sync_to_async(change)()


def require(tenant: Tenant, allowed: Collection[TenantStatus]) -> None:
    if tenant.status not in allowed:
        raise errors.WrongState(f"The tenant `{tenant.slug}` is {tenant.status}.")


async def run_hooks(tenant: Tenant, hooks: Iterable[Hook | None]) -> None:
    for hook in hooks:
        if hook is not None:
            async with write_session(tenant.ref) as session:
                await hook(session)
