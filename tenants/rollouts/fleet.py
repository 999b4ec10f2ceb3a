"""Who is in the fleet and at which revisions: one query of the registry and one of the stamps."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from tenants import errors
from tenants.lifecycle.registry import LIVING, in_registry
from tenants.models import Tenant
from tenants.rollouts.wire import Wire
from tenants.tenant import TenantRef


@dataclass(frozen=True, slots=True)
class Vessel:
    """A schema that revisions are carried to: a tenant's, or a spare's, which has no slug.

    stamps: its revision per module.
    """

    ref: TenantRef
    stamps: dict[str, str]

    @property
    def name(self) -> str:
        return self.ref.slug or self.ref.schema


async def read_fleet(wire: Wire, slugs: Collection[str] | None = None) -> list[Vessel]:
    """The living tenants by slug, of these slugs or all of them, and then the spares.

    Tenants that are being made end at their heads by that, and those being deleted stay as they
    are. Raises TenantNotFound (404) for a slug that no living tenant has.
    """
    refs = await _list_tenants(slugs)
    if slugs is None:
        rows = await wire.fetch("SELECT id, modules FROM tenantry.spares ORDER BY id")
        refs += [TenantRef(UUID(int=each.int), "", frozenset(names)) for each, names in rows]
    rows = await wire.fetch("SELECT tenant_id, module, revision FROM tenantry.tenant_stamps")
    stamps: dict[UUID, dict[str, str]] = {}
    for tenant_id, module, revision in rows:
        stamps.setdefault(UUID(int=tenant_id.int), {})[module] = revision
    return [Vessel(ref, stamps.get(ref.id, {})) for ref in refs]


async def read_stamps_of(wire: Wire, ref: TenantRef) -> dict[str, str]:
    """One schema's revision per module."""
    rows = await wire.fetch(
        "SELECT module, revision FROM tenantry.tenant_stamps WHERE tenant_id = $1", ref.id
    )
    return {row["module"]: row["revision"] for row in rows}


@in_registry
def _list_tenants(slugs: Collection[str] | None) -> list[TenantRef]:
    rows = Tenant.objects.filter(status__in=LIVING).order_by("slug")
    if slugs is not None:
        rows = rows.filter(slug__in=slugs)
    refs = [
        TenantRef(tenant_id, slug, frozenset(modules), database)
        for tenant_id, slug, modules, database in rows.values_list(
            "id", "slug", "modules", "database"
        )
    ]
    for slug in sorted(set(slugs or ()) - {ref.slug for ref in refs}):
        raise errors.TenantNotFound(slug)
    return refs
