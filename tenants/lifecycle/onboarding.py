"""The beginning of a tenant."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import IntegrityError

from tenants import audit, errors, schemas
from tenants.actor import Actor
from tenants.apps import get_settings
from tenants.lifecycle.creations import CREATION_CONSTRAINT, Once
from tenants.lifecycle.invitations import Invitation, send_invitation
from tenants.lifecycle.keys import DEFAULT_SCOPES, IssuedKey, add_key, find_issued
from tenants.lifecycle.members import add_invited, normalize_email
from tenants.lifecycle.owner import lock_slug, owner_connection
from tenants.lifecycle.registry import in_registry, run_hooks, violated_constraint
from tenants.lifecycle.states import validate_plan
from tenants.limits import parse_limits
from tenants.models import Membership, Role, Tenant, TenantStatus
from tenants.modules import get_modules, with_required
from tenants.names import validate_name, validate_slug
from tenants.revisions import ensure_stamps_table, migrate_schema

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Onboarded:
    """A new tenant, its first API key, and the invitation of its first owner if one was named."""

    tenant: Tenant
    key: IssuedKey
    owner: Invitation | None = None


# A tenant, its first key, and who is invited to own it.
_Made = tuple[Tenant, IssuedKey, Membership | None]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a call asks for, found good."""

    slug: str
    name: str
    modules: list[str]
    plan: str
    limits: dict[str, int]
    owner_email: str | None
    once: Once | None


async def create_tenant(
    slug: str,
    name: str,
    modules: Iterable[str] | None = None,
    *,
    plan: str | None = None,
    limits: Mapping[str, Any] | None = None,
    owner_email: str | None = None,
    once: Once | None = None,
    by: Actor,
) -> Onboarded:
    """Onboard a tenant: its registry row, role, schema, tables and first API key.

    modules: names of those to enable, with what they require; None means all that are loaded.
    plan: None means the first in the settings. owner_email: who is invited to be its owner.
    A call that was cut off leaves the tenant in state provisioning, where nobody can see it;
    the same call again completes it.
    Raises InvalidInput (422), SlugTaken (409; also while another call is creating it), or with
    `once` CreationInProgress (409) in that case, and as `find_creation` does.
    """
    chosen = get_modules() if modules is None else with_required(modules)
    wish = _Wish(
        validate_slug(slug),
        validate_name(name),
        [module.name for module in chosen],
        validate_plan(next(iter(get_settings().plans)) if plan is None else plan),
        parse_limits(limits or {}),
        normalize_email(owner_email) if owner_email else None,
        once,
    )
    made = await _find_made(wish)
    if made is None:
        try:
            made = await _make(wish, by)
        except errors.SlugTaken:
            # By the very request that this one repeats, it may be.
            made = await _find_made(wish)
            if made is None:
                raise
    tenant, key, owner = made
    return Onboarded(tenant, key, await send_invitation(owner, by) if owner else None)


async def _make(wish: _Wish, by: Actor) -> _Made:
    chosen = with_required(wish.modules)
    async with owner_connection() as connection:
        await ensure_stamps_table(connection)
        if not await lock_slug(connection, wish.slug):
            raise (errors.CreationInProgress if wish.once else errors.SlugTaken)(wish.slug)
        tenant = await _register(wish)
        await schemas.create_schema(connection, tenant.ref)
        await migrate_schema(connection, tenant.ref, chosen)
        await connection.commit()
    await run_hooks(tenant, [module.hooks.tenant_created for module in chosen])
    made = await _activate(tenant, wish, by)
    log.info("tenant.created", tenant=tenant.slug, tenant_id=str(tenant.id))
    return made


@in_registry
def _find_made(wish: _Wish) -> _Made | None:
    """What a repeated creation made; whoever was invited is if they haven't accepted yet."""
    key = find_issued(wish.once)
    if key is None:
        return None
    tenant = key.row.tenant
    invited = tenant.memberships.filter(email=wish.owner_email, user=None)
    return tenant, key, invited.first()


@in_registry
def _register(wish: _Wish) -> Tenant:
    """The tenant's row in state provisioning: a new one, or the one a dead creator left."""
    tenant, created = Tenant.objects.get_or_create(
        slug=wish.slug, defaults={"name": wish.name, "modules": wish.modules}
    )
    if not created and tenant.status != TenantStatus.PROVISIONING:
        raise errors.SlugTaken(wish.slug)
    # What the call at hand says wins over the one that died; it is written when it has come true.
    tenant.name, tenant.modules = wish.name, wish.modules
    return tenant


async def _activate(tenant: Tenant, wish: _Wish, by: Actor) -> _Made:
    try:
        return await _make_visible(tenant, wish, by)
    except IntegrityError as error:
        if violated_constraint(error) != CREATION_CONSTRAINT:
            raise
        raise errors.SlugTaken(wish.slug) from error  # By the same request, sent twice at once.


@in_registry
def _make_visible(tenant: Tenant, wish: _Wish, by: Actor) -> _Made:
    """Activate the tenant as this call made it: another may have registered it meanwhile."""
    activated = Tenant.objects.filter(pk=tenant.pk, status=TenantStatus.PROVISIONING).update(
        status=TenantStatus.ACTIVE,
        name=wish.name,
        modules=wish.modules,
        plan=wish.plan,
        limits=wish.limits,
    )
    if not activated:
        raise errors.SlugTaken(tenant.slug)
    tenant.refresh_from_db()
    audit.record(by, "tenant.created", tenant, name=wish.name, modules=wish.modules, plan=wish.plan)
    key = add_key(tenant, "First key", DEFAULT_SCOPES, None, wish.once)
    owner = add_invited(tenant, wish.owner_email, Role.OWNER, by) if wish.owner_email else None
    return tenant, key, owner
