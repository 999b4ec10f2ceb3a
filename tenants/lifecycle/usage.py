"""What a tenant holds: its storage, and what each of its modules counts."""

from dataclasses import dataclass

from sqlalchemy import text

from tenants import schemas
from tenants.db.unit_of_work import read_session
from tenants.lifecycle.owner import owner_connection
from tenants.lifecycle.registry import LIVING, find_tenant, in_registry
from tenants.models import Tenant
from tenants.modules import get_modules
from tenants.revisions import ensure_fleet_tables, get_head

# Tables with their indexes and what is stored out of line.
_STORAGE = text(
    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class "
    "WHERE relnamespace = to_regnamespace(:schema) AND relkind = 'r'"
)


@dataclass(frozen=True, slots=True)
class Usage:
    """storage_bytes: size of the schema. counts: by module, what it holds, by name."""

    storage_bytes: int
    counts: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class ModuleState:
    """A module and how a tenant has it. revision: of its tables, None where there are none."""

    name: str
    label: str
    enabled: bool
    revision: str | None
    head: str | None

    @property
    def behind(self) -> bool:
        return self.enabled and self.revision != self.head


async def get_usage(slug: str) -> Usage:
    """Raises TenantNotFound (404), WrongState (409) for one that is being made or deleted."""
    tenant = await _find_living(slug)
    counts = {}
    async with read_session(tenant.ref) as session:
        size = await session.scalar(_STORAGE, {"schema": tenant.ref.schema})
        for module in get_modules():
            if module.name in tenant.modules and module.usage is not None:
                counts[module.name] = await module.usage(session)
    return Usage(int(size or 0), counts)


async def list_modules(slug: str) -> list[ModuleState]:
    """Every loaded module, and how the tenant has it. Raises as `get_usage` does."""
    tenant = await _find_living(slug)
    async with owner_connection() as connection:
        await ensure_fleet_tables(connection)
        revisions = await schemas.read_revisions(connection, tenant.ref)
    return [
        ModuleState(
            module.name,
            module.label,
            module.name in tenant.modules,
            revisions.get(module.name),
            get_head(module),
        )
        for module in get_modules()
    ]


@in_registry
def _find_living(slug: str) -> Tenant:
    return find_tenant(slug, LIVING)
