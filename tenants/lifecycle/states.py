"""What a tenant is called and may take, and whether it is served."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError

from tenants import errors
from tenants.actor import Actor
from tenants.apps import get_settings
from tenants.lifecycle.registry import LIVING, change_row
from tenants.limits import parse_limits
from tenants.models import Tenant, TenantStatus
from tenants.names import validate_name, validate_slug


async def change_tenant(
    slug: str,
    *,
    new_slug: str | None = None,
    name: str | None = None,
    plan: str | None = None,
    limits: Mapping[str, Any] | None = None,
    by: Actor,
) -> Tenant:
    """Give a tenant another slug, display name, plan or limits; None leaves it as it is.

    Its schema and keys are not touched. limits replaces all that was set before; see
    `tenants.limits.Limits`.
    Raises TenantNotFound (404), InvalidInput (422), SlugTaken, WrongState (409).
    """
    changes: dict[str, Any] = {}
    if new_slug is not None:
        changes["slug"] = validate_slug(new_slug)
    if name is not None:
        changes["name"] = validate_name(name)
    if plan is not None:
        changes["plan"] = validate_plan(plan)
    if limits is not None:
        changes["limits"] = parse_limits(limits)
    try:
        return await change_row(slug, LIVING, "tenant.changed", by, **changes)
    except IntegrityError as error:
        raise errors.SlugTaken(changes.get("slug", slug)) from error


async def suspend_tenant(slug: str, *, by: Actor) -> Tenant:
    """Refuse a tenant's requests, in every process within a second. Its data is untouched.

    Requests and streams that are under way are ended. Suspending a suspended tenant changes
    nothing. Raises TenantNotFound (404), WrongState (409) for one that is being made or deleted.
    """
    return await change_row(slug, LIVING, "tenant.suspended", by, status=TenantStatus.SUSPENDED)


async def resume_tenant(slug: str, *, by: Actor) -> Tenant:
    """Undo `suspend_tenant`. Raises as it does."""
    return await change_row(slug, LIVING, "tenant.resumed", by, status=TenantStatus.ACTIVE)


async def delete_tenant(slug: str, *, by: Actor) -> Tenant:
    """Mark a tenant for erasure: requests are refused from now on, the data is still there.

    Deleting a deleted tenant changes nothing. Raises TenantNotFound (404).
    """
    return await change_row(
        slug, frozenset(TenantStatus), "tenant.deleted", by, status=TenantStatus.DELETING
    )


def validate_plan(plan: str) -> str:
    """The plan as given. Raises InvalidInput (422) if the settings have none of that name."""
    plans = get_settings().plans
    if plan not in plans:
        reason = f"must be one of {', '.join(plans)}"
        raise errors.InvalidInput(f"The plan {reason}.", errors=[("plan", reason)])
    return plan
