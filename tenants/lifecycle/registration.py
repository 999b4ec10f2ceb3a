"""A new tenant's row in the registry: first in state provisioning, at last visible to everybody."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from tenants import audit, errors
from tenants.actor import Actor
from tenants.lifecycle.creations import CREATION_CONSTRAINT, Once
from tenants.lifecycle.keys import DEFAULT_SCOPES, IssuedKey, add_key
from tenants.lifecycle.members import add_invited
from tenants.lifecycle.registry import in_registry, violated_constraint
from tenants.models import Membership, Role, Tenant, TenantStatus

# The names that Django gives them.
ID_CONSTRAINT = "tenants_tenant_pkey"
SLUG_CONSTRAINT = "tenants_tenant_slug_key"


# A tenant, its first key, and who is invited to own it.
Made = tuple[Tenant, IssuedKey, Membership | None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a call asks for, found good."""

    slug: str
    name: str
    modules: list[str]
    plan: str
    limits: dict[str, int]
    owner_email: str | None = None
    once: Once | None = None


@in_registry
def add_row(tenant_id: UUID, wish: Wish) -> Tenant:
    """A new row in state provisioning. Raises IntegrityError if its id or its slug is there."""
    return Tenant.objects.create(id=tenant_id, slug=wish.slug, name=wish.name, modules=wish.modules)


@in_registry
def take_up_row(wish: Wish) -> Tenant:
    """The row that a call left which was cut off. Raises SlugTaken (409)."""
    tenant = Tenant.objects.filter(slug=wish.slug, status=TenantStatus.PROVISIONING).first()
    if tenant is None:
        raise errors.SlugTaken(wish.slug)
    # What the call at hand says wins over the one that died; it is written when it has come true.
    tenant.name, tenant.modules = wish.name, wish.modules
    return tenant


async def activate(
    tenant: Tenant, wish: Wish, by: Actor, action: str = "tenant.created", **details: Any
) -> Made:
    """Let everybody see the tenant, as this call made it, with its first key.

    action, details: for the audit log. Raises SlugTaken (409) if another call has done it, or
    somebody has deleted the tenant.
    """
    try:
        return await _make_visible(tenant, wish, by, action, details)
    except IntegrityError as error:
        if violated_constraint(error) != CREATION_CONSTRAINT:
            raise
        raise errors.SlugTaken(wish.slug) from error  # By the same request, sent twice at once.


@in_registry
def _make_visible(
    tenant: Tenant, wish: Wish, by: Actor, action: str, details: dict[str, Any]
) -> Made:
    changes = {
        "status": TenantStatus.ACTIVE,
        "name": wish.name,
        "modules": wish.modules,
        "plan": wish.plan,
        "limits": wish.limits,
    }
    rows = Tenant.objects.filter(pk=tenant.pk, status=TenantStatus.PROVISIONING)
    if not rows.update(**changes):
        raise errors.SlugTaken(tenant.slug)
    for field, value in changes.items():
        setattr(tenant, field, value)
    details |= {"name": wish.name, "modules": wish.modules, "plan": wish.plan}
    audit.record(by, action, tenant, **details)
    key = add_key(tenant, "First key", DEFAULT_SCOPES, None, wish.once)
    owner = add_invited(tenant, wish.owner_email, Role.OWNER, by) if wish.owner_email else None
    return tenant, key, owner
