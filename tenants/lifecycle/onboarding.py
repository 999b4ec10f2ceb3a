"""The beginning of a tenant."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import errors, schemas, spares
from tenants.actor import Actor
from tenants.apps import get_settings
from tenants.ids import new_id
from tenants.lifecycle.creations import Once
from tenants.lifecycle.invitations import Invitation, send_invitation
from tenants.lifecycle.keys import IssuedKey, find_issued
from tenants.lifecycle.members import normalize_email
from tenants.lifecycle.owner import lock_slug, owner_connection
from tenants.lifecycle.registration import (
    ID_CONSTRAINT,
    SLUG_CONSTRAINT,
    Made,
    Wish,
    activate,
    add_row,
    take_up_row,
)
from tenants.lifecycle.registry import in_registry, run_hooks, violated_constraint
from tenants.lifecycle.states import validate_plan
from tenants.limits import parse_limits
from tenants.models import Tenant
from tenants.module import Module
from tenants.modules import get_modules, with_required
from tenants.names import validate_name, validate_slug
from tenants.revisions import migrate_schema

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Onboarded:
    """A new tenant, its first API key, and the invitation of its first owner if one was named."""

    tenant: Tenant
    key: IssuedKey
    owner: Invitation | None = None


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
    wish = Wish(
        validate_slug(slug),
        validate_name(name),
        [module.name for module in chosen],
        validate_plan(next(iter(get_settings().plans)) if plan is None else plan),
        parse_limits(limits or {}),
        normalize_email(owner_email) if owner_email else None,
        once,
    )
    made = await _find_made(wish) if once else None
    if made is None:
        try:
            made = await _make(wish, by)
        except errors.SlugTaken:
            # By the very request that this one repeats, it may be.
            made = await _find_made(wish) if once else None
            if made is None:
                raise
    tenant, key, owner = made
    return Onboarded(tenant, key, await send_invitation(owner, by) if owner else None)


async def _make(wish: Wish, by: Actor) -> Made:
    chosen = with_required(wish.modules)
    async with owner_connection() as connection:
        if not await lock_slug(connection, wish.slug):
            raise (errors.CreationInProgress if wish.once else errors.SlugTaken)(wish.slug)
        tenant, complete = await _register(connection, wish, chosen)
        if not complete:
            await schemas.create_schema(connection, tenant.ref)
            await migrate_schema(connection, tenant.ref, chosen)
        await connection.commit()
    await run_hooks(tenant, [module.hooks.tenant_created for module in chosen])
    made = await activate(tenant, wish, by)
    log.info("tenant.created", tenant=tenant.slug, tenant_id=str(tenant.id))
    return made


@in_registry
def _find_made(wish: Wish) -> Made | None:
    """What a repeated creation made; whoever was invited is if they haven't accepted yet."""
    key = find_issued(wish.once)
    if key is None:
        return None
    tenant = key.row.tenant
    invited = tenant.memberships.filter(email=wish.owner_email, user=None)
    return tenant, key, invited.first()


async def _register(
    connection: AsyncConnection, wish: Wish, modules: Sequence[Module]
) -> tuple[Tenant, bool]:
    """The tenant's row in state provisioning, and whether its schema is complete already.

    A new row has the id of a spare, if there is one; else the row is what a dead creator left.
    """
    while True:
        spare = await spares.take_spare(connection, modules)
        try:
            tenant = await add_row(spare.id if spare else new_id(), wish)
        except IntegrityError as error:
            constraint = violated_constraint(error)
            if constraint == SLUG_CONSTRAINT:
                break
            if spare is None or constraint != ID_CONSTRAINT:
                raise
            # A creation that was cut off has this one; whoever repeats that finds it made.
        else:
            return tenant, spare is not None and spare.current
    tenant = await take_up_row(wish)
    if await schemas.is_restored(connection, tenant.ref):
        # It holds what was another tenant's.
        raise errors.WrongState(
            f"`{wish.slug}` was being restored from a backup. Delete and erase it first."
        )
    await spares.unlist_spare(connection, tenant.id)
    if spare is not None:
        await spares.list_spares(connection, [spare.id], modules)
    return tenant, False
