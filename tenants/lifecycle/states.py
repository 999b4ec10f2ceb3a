"""Names and states of a tenant: rename, suspend, resume, delete."""

from django.db import IntegrityError

from tenants import errors
from tenants.lifecycle.registry import LIVING, change_row
from tenants.models import Tenant, TenantStatus
from tenants.names import validate_name, validate_slug


async def rename_tenant(
    slug: str, *, new_slug: str | None = None, name: str | None = None
) -> Tenant:
    """Give a tenant another slug or display name. Its schema and keys are not touched.

    Raises TenantNotFound (404), InvalidInput (422), SlugTaken (409).
    """
    changes = {}
    if new_slug is not None:
        changes["slug"] = validate_slug(new_slug)
    if name is not None:
        changes["name"] = validate_name(name)
    try:
        return await change_row(slug, LIVING, **changes)
    except IntegrityError as error:
        raise errors.SlugTaken(changes.get("slug", slug)) from error


async def suspend_tenant(slug: str) -> Tenant:
    """Refuse a tenant's requests, in every process within a second. Its data is untouched.

    Suspending a suspended tenant changes nothing.
    Raises TenantNotFound (404), WrongState (409) for one that is being made or deleted.
    """
    return await change_row(slug, LIVING, status=TenantStatus.SUSPENDED)


async def resume_tenant(slug: str) -> Tenant:
    """Undo `suspend_tenant`. Raises as it does."""
    return await change_row(slug, LIVING, status=TenantStatus.ACTIVE)


async def delete_tenant(slug: str) -> Tenant:
    """Mark a tenant for erasure: requests are refused from now on, the data is still there.

    Raises TenantNotFound (404).
    """
    return await change_row(slug, TenantStatus, status=TenantStatus.DELETING)
