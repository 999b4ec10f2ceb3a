"""A new tenant from another's backup: an id, a schema and a key of its own, and the other's data.

All that the tenants' database gets of it comes in one transaction. The other tenant is not
touched, whether it is still there or not.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog
from django.db import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import errors, schemas
from tenants.actor import Actor
from tenants.db.engine import get_server_version
from tenants.dumps import load_schema
from tenants.ids import new_id
from tenants.lifecycle.backups import DUMP, Manifest, read_manifest
from tenants.lifecycle.onboarding import Onboarded
from tenants.lifecycle.owner import lock_slug, owner_connection
from tenants.lifecycle.registration import Wish, activate, add_row, take_up_row
from tenants.lifecycle.registry import in_registry, run_hooks
from tenants.lifecycle.states import validate_plan
from tenants.limits import parse_limits
from tenants.models import Tenant, TenantStatus
from tenants.module import Module
from tenants.modules import get_module, get_modules, with_required
from tenants.names import validate_name, validate_slug
from tenants.programs import find_program
from tenants.revisions import execute_script, list_line, migrate_schema, stamp_script
from tenants.tenant import TenantRef

log = structlog.get_logger(__name__)


async def restore_tenant(
    folder: Path, slug: str, name: str | None = None, *, plan: str | None = None, by: Actor
) -> Onboarded:
    """Onboard a tenant with the data, modules and limits of the one whose backup this is.

    name, plan: those of the other if not given. An older backup is carried to the heads.
    Whatever fails leaves nothing; a call that was cut off may leave the tenant in state
    provisioning, where nobody can see it and the same call again completes it, or says that it
    has to be erased first.
    Raises InvalidInput (422), BackupUnusable, BackupTooNew (422), SlugTaken, WrongState (409),
    ProgramMissing, ProgramFailed.
    """
    manifest = await asyncio.to_thread(read_manifest, folder)
    _check_release(manifest)
    modules = with_required(manifest.modules)
    wish = Wish(
        validate_slug(slug),
        validate_name(manifest.name if name is None else name),
        [module.name for module in modules],
        validate_plan(manifest.plan if plan is None else plan),
        parse_limits(manifest.limits),
    )
    async with owner_connection() as connection:
        if not await lock_slug(connection, wish.slug):
            raise errors.SlugTaken(wish.slug)
        left = await _find_left(wish.slug)
        ref = TenantRef(left.id if left else new_id(), wish.slug, frozenset(wish.modules))
        await _load(connection, ref, manifest, folder / DUMP, modules)
        tenant = await (take_up_row(wish) if left else _add_row(ref, wish))
        await connection.commit()
    await run_hooks(tenant, [module.hooks.tenant_created for module in modules])
    tenant, key, _ = await activate(
        tenant, wish, by, "tenant.restored", source=manifest.slug, source_id=str(manifest.id)
    )
    log.info("tenant.restored", tenant=tenant.slug, tenant_id=str(tenant.id))
    return Onboarded(tenant, key)


def _check_release(manifest: Manifest) -> None:
    """Raises BackupTooNew (422) if the schema is at a revision that no loaded module has."""
    lines = {
        module.name: {script.revision for script in list_line(module)} for module in get_modules()
    }
    for name, revision in manifest.stamps.items():
        if revision not in lines.get(name, ()):
            raise errors.BackupTooNew(f"the module `{name}` at `{revision}`")


async def _load(
    connection: AsyncConnection,
    ref: TenantRef,
    manifest: Manifest,
    file: Path,
    modules: Sequence[Module],
) -> None:
    if get_server_version(connection) < manifest.postgres:
        raise errors.BackupTooNew(f"PostgreSQL {manifest.postgres}")
    program = await find_program("pg_restore", manifest.postgres)
    if await schemas.schema_exists(connection, ref):
        raise errors.WrongState(f"`{ref.slug}` is half made. Delete and erase it first.")
    await schemas.create_schema(connection, ref)
    await schemas.mark_restored(connection, ref)
    old = TenantRef(manifest.id, manifest.slug).schema
    await load_schema(connection, program, file, old, ref.schema)
    stamps = [
        stamp_script(ref.id, get_module(name), None, revision)
        for name, revision in manifest.stamps.items()
    ]
    await execute_script(connection, "".join(stamps))
    await migrate_schema(connection, ref, modules)


@in_registry
def _find_left(slug: str) -> Tenant | None:
    """The row of a call that was cut off. Raises SlugTaken (409) for any other."""
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is not None and tenant.status != TenantStatus.PROVISIONING:
        raise errors.SlugTaken(slug)
    return tenant


async def _add_row(ref: TenantRef, wish: Wish) -> Tenant:
    try:
        return await add_row(ref.id, wish)
    except IntegrityError as error:
        raise errors.SlugTaken(wish.slug) from error  # By one that was renamed meanwhile.
