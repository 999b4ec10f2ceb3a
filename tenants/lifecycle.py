"""What can happen to a tenant: created, renamed, suspended, resumed, deleted, erased.

The only functions that do these things; the admin, the commands and the API call them. Each
either happens whole or can be repeated until it has: the registry row says how far a tenant has
come, and what PostgreSQL makes for it is made in one transaction.

They are async, because the tenants' database is reached through asyncpg. The registry is
Django's, so its part runs in `sync_to_async`, one short transaction at a time.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.db import IntegrityError, transaction
from django.utils import timezone
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import errors, schemas
from tenants.db.engine import create_owner_engine
from tenants.db.unit_of_work import write_session
from tenants.keys import Scope, generate_key
from tenants.models import ApiKey, Tenant, TenantStatus
from tenants.module import Hook
from tenants.modules import get_module, get_modules, with_required
from tenants.names import validate_name, validate_slug
from tenants.revisions import ensure_stamps_table, migrate_schema

log = structlog.get_logger(__name__)

DEFAULT_SCOPES = (Scope.READ, Scope.WRITE)
_LIVING = frozenset({TenantStatus.ACTIVE, TenantStatus.SUSPENDED})


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new API key: its row, and its text, which is known only now."""

    row: ApiKey
    text: str


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
        if not await _lock_slug(connection, slug):
            raise errors.SlugTaken(slug)
        tenant = await _register(slug, name, [module.name for module in chosen])
        await schemas.create_schema(connection, tenant.ref)
        await migrate_schema(connection, tenant.ref, chosen)
        await connection.commit()
    await _run_hooks(tenant, [module.hooks.tenant_created for module in chosen])
    key = await _activate(tenant, name, [module.name for module in chosen])
    log.info("tenant.created", tenant=tenant.slug, tenant_id=str(tenant.id))
    return tenant, key


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
        return await _change(slug, _LIVING, **changes)
    except IntegrityError as error:
        raise errors.SlugTaken(changes.get("slug", slug)) from error


async def suspend_tenant(slug: str) -> Tenant:
    """Refuse a tenant's requests, in every process within a second. Its data is untouched.

    Suspending a suspended tenant changes nothing.
    Raises TenantNotFound (404), WrongState (409) for one that is being made or deleted.
    """
    return await _change(slug, _LIVING, status=TenantStatus.SUSPENDED)


async def resume_tenant(slug: str) -> Tenant:
    """Undo `suspend_tenant`. Raises as it does."""
    return await _change(slug, _LIVING, status=TenantStatus.ACTIVE)


async def delete_tenant(slug: str) -> Tenant:
    """Mark a tenant for erasure: requests are refused from now on, the data is still there.

    Raises TenantNotFound (404).
    """
    return await _change(slug, TenantStatus, status=TenantStatus.DELETING)


async def erase_tenant(slug: str, confirm_slug: str) -> None:
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
        if not await _lock_slug(connection, slug):
            raise errors.WrongState(f"The tenant `{slug}` is still being created or erased.")
        # Also the modules that it has no more: their rows are still there. None if the schema
        # was dropped before; then the hooks have run.
        made = await schemas.find_made_modules(connection, tenant.ref)
        hooks = [module.hooks.tenant_deleted for module in get_modules() if module.name in made]
        await _run_hooks(tenant, hooks)
        await schemas.drop_schema(connection, tenant.ref)
        await connection.commit()
    await sync_to_async(tenant.delete)()
    log.info("tenant.erased", tenant=slug, tenant_id=str(tenant.id))


async def enable_module(slug: str, name: str) -> Tenant:
    """Give a tenant a module and what it requires: its tables first, then its routes.

    Raises TenantNotFound (404), InvalidInput (422) for an unknown module, WrongState (409).
    """
    get_module(name)
    tenant = await get_tenant(slug)
    _require(tenant, _LIVING)
    wanted = with_required([*tenant.modules, name])
    async with owner_connection() as connection:
        await migrate_schema(connection, tenant.ref, wanted)
        await connection.commit()
    added = [module for module in wanted if module.name not in tenant.modules]
    await _run_hooks(tenant, [module.hooks.module_enabled for module in added])
    return await _change(slug, _LIVING, modules=lambda row: _names([*row.modules, name]))


async def disable_module(slug: str, name: str) -> Tenant:
    """Take a module's routes from a tenant. Its tables and their rows stay.

    Raises TenantNotFound (404), InvalidInput (422), WrongState (409) if another needs it.
    """
    module = get_module(name)
    tenant = await get_tenant(slug)
    _require(tenant, _LIVING)

    def without(row: Tenant) -> list[str]:
        kept = [other for other in row.modules if other != name]
        if name in _names(kept):
            raise errors.WrongState(f"Another module of `{slug}` requires `{name}`.")
        return kept

    if name in tenant.modules:
        without(tenant)
        await _run_hooks(tenant, [module.hooks.module_disabled])
    return await _change(slug, _LIVING, modules=without)


async def issue_key(
    slug: str,
    name: str,
    scopes: Collection[str] = DEFAULT_SCOPES,
    expires_at: datetime | None = None,
) -> IssuedKey:
    """Make an API key for a tenant. Its text is returned once and kept nowhere.

    Raises TenantNotFound (404), InvalidInput (422).
    """
    name, known = validate_name(name), set(Scope)
    unknown = sorted(set(scopes) - known)
    if unknown or not scopes:
        raise errors.InvalidInput(f"Scopes are {', '.join(sorted(known))}.")
    if expires_at is not None and expires_at <= timezone.now():
        raise errors.InvalidInput("The time of expiry is past.")
    tenant = await get_tenant(slug)
    _require(tenant, _LIVING)
    return await sync_to_async(_add_key)(tenant, name, scopes, expires_at)


async def revoke_key(slug: str, public_id: str) -> ApiKey:
    """End an API key; every process refuses it within a second. Revoking twice changes nothing.

    Raises TenantNotFound, KeyNotFound (404).
    """
    tenant = await get_tenant(slug)
    key = await tenant.api_keys.filter(public_id=public_id).afirst()
    if key is None:
        raise errors.KeyNotFound(public_id)
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        await key.asave(update_fields=["revoked_at"])
    return key


async def get_tenant(slug: str) -> Tenant:
    """Raises TenantNotFound (404)."""
    tenant = await Tenant.objects.filter(slug=slug).afirst()
    if tenant is None:
        raise errors.TenantNotFound(slug)
    return tenant


@asynccontextmanager
async def owner_connection() -> AsyncIterator[AsyncConnection]:
    """A connection of the owner login; what the block doesn't commit is rolled back."""
    engine = create_owner_engine()
    async with engine.connect() as connection:
        yield connection


async def _lock_slug(connection: AsyncConnection, slug: str) -> bool:
    """Be the only one who creates or erases this slug, until the transaction's end.

    The server frees the lock when its holder dies, so that a repetition needn't guess whether
    the first still runs. Returns whether it was free.
    """
    locked = await connection.execute(
        text("SELECT pg_try_advisory_xact_lock(hashtext('tenantry.slug'), hashtext(:slug))"),
        {"slug": slug},
    )
    return bool(locked.scalar_one())


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
        return _add_key(tenant, "First key", DEFAULT_SCOPES, None)


def _add_key(
    tenant: Tenant, name: str, scopes: Iterable[str], expires_at: datetime | None
) -> IssuedKey:
    key = generate_key()
    row = ApiKey.objects.create(
        public_id=key.public_id,
        secret_hash=key.secret_hash,
        tenant=tenant,
        name=name,
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    return IssuedKey(row, key.text)


async def _change(slug: str, allowed: Collection[TenantStatus], /, **changes: Any) -> Tenant:
    """Update a tenant whose status is one of `allowed`, under a lock on its row.

    A change that is a function gets the row as it is now and returns the value.
    """

    def change() -> Tenant:
        with transaction.atomic():
            tenant = Tenant.objects.select_for_update().filter(slug=slug).first()
            if tenant is None:
                raise errors.TenantNotFound(slug)
            _require(tenant, allowed)
            for field, value in changes.items():
                setattr(tenant, field, value(tenant) if callable(value) else value)
            tenant.save()
            return tenant

    return await sync_to_async(change)()


def _names(modules: Iterable[str]) -> list[str]:
    return [module.name for module in with_required(modules)]


def _require(tenant: Tenant, allowed: Collection[TenantStatus]) -> None:
    if tenant.status not in allowed:
        raise errors.WrongState(f"The tenant `{tenant.slug}` is {tenant.status}.")


async def _run_hooks(tenant: Tenant, hooks: Iterable[Hook | None]) -> None:
    for hook in hooks:
        if hook is not None:
            async with write_session(tenant.ref) as session:
                await hook(session)
