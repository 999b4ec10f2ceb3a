"""Backups of one tenant: a folder with what is in its schema, and a manifest.

The manifest says whose the dump is and at which revisions. Keys, domains and members are the
registry's, and not in it. `restoring.py` makes tenants from backups.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from tenants import __version__, audit, errors
from tenants.actor import Actor
from tenants.apps import get_settings
from tenants.db.engine import get_server_version
from tenants.dumps import dump_schema
from tenants.lifecycle.owner import owner_connection
from tenants.lifecycle.registry import find_tenant, in_registry
from tenants.models import Tenant, TenantStatus
from tenants.programs import find_program
from tenants.revisions import read_stamps

log = structlog.get_logger(__name__)

DUMP = "schema.dump"
_MANIFEST = "manifest.json"
# Of a tenant that is being made there is nothing to back up.
_MADE = frozenset(TenantStatus) - {TenantStatus.PROVISIONING}


class Manifest(BaseModel):
    """What a backup says of itself.

    release: of ours. postgres: the server's major version. stamps: the revision of each module
    with tables in the schema, enabled or not. sha256: of the dump.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    release: str
    postgres: int
    made_at: datetime
    id: UUID
    slug: str
    name: str
    plan: str
    limits: dict[str, int]
    modules: list[str]
    stamps: dict[str, str]
    bytes: int
    sha256: str


async def back_up_tenant(slug: str, folder: Path, *, by: Actor) -> Manifest:
    """Write a backup into a new folder, which only this account can read, and which is whole or
    not there.

    The tenant is served meanwhile; its schema is not migrated until the backup is made.
    Raises TenantNotFound (404), WrongState, StampMismatch (409), InvalidInput (422) if the folder
    is there, ProgramMissing, ProgramFailed, BackupFailed.
    """
    tenant = await _find(slug)
    try:
        with _making(folder) as made:
            manifest = await _dump(tenant, made / DUMP)
            _write(manifest, made / _MANIFEST)
            await _record(tenant, folder, by)
    except OSError as error:
        raise errors.BackupFailed(str(error)) from error
    log.info("tenant.backed_up", tenant=slug, tenant_id=str(tenant.id))
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """A backup's manifest. Raises BackupUnusable (422), also if the dump isn't what was written."""
    try:
        manifest = Manifest.model_validate_json((folder / _MANIFEST).read_bytes())
        _, digest = _measure(folder / DUMP)
    except OSError as error:
        raise errors.BackupUnusable(str(error)) from error
    except ValidationError as error:
        raise errors.BackupUnusable(f"{folder / _MANIFEST} is no manifest of a backup") from error
    if digest != manifest.sha256:
        raise errors.BackupUnusable(f"{folder / DUMP} is not as it was written")
    return manifest


async def _dump(tenant: Tenant, file: Path) -> Manifest:
    async with owner_connection() as connection:
        # Their lock, which ends with the transaction, keeps rollouts away while the dump is made.
        stamps = await read_stamps(connection, tenant.ref)
        version = get_server_version(connection)
        program = await find_program("pg_dump", version)
        await dump_schema(program, get_settings().owner_url, tenant.schema, file)
    size, digest = await asyncio.to_thread(_measure, file)
    return Manifest(
        release=__version__,
        postgres=version,
        made_at=datetime.now(UTC),
        id=tenant.id,
        slug=tenant.slug,
        name=tenant.name,
        plan=tenant.plan,
        limits=tenant.limits,
        modules=tenant.modules,
        stamps=stamps,
        bytes=size,
        sha256=digest,
    )


@in_registry
def _find(slug: str) -> Tenant:
    return find_tenant(slug, _MADE)


@in_registry
def _record(tenant: Tenant, folder: Path, by: Actor) -> None:
    audit.record(by, "tenant.backed_up", tenant, folder=str(folder.absolute()))


@contextmanager
def _making(folder: Path) -> Iterator[Path]:
    """A folder that has this name once the block ends well, and else is gone."""
    if folder.exists():
        raise errors.InvalidInput(f"{folder} is there already; name a folder that isn't.")
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.absolute().parent) as half:
        made = Path(half, "made")
        made.mkdir(0o700)
        yield made
        made.rename(folder)


def _write(manifest: Manifest, file: Path) -> None:
    file.write_text(manifest.model_dump_json(indent=2) + "\n")


def _measure(file: Path) -> tuple[int, str]:
    """Size and SHA-256."""
    with file.open("rb") as content:
        return file.stat().st_size, hashlib.file_digest(content, "sha256").hexdigest()
