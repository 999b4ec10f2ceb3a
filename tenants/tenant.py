"""The small value that says which tenant a piece of work is for."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class TenantRef:
    """A tenant, as routing found it. It is passed along, never fetched from a global.

    database: the alias of the database that holds the tenant's schema.
    modules: names of the modules that are enabled for it.
    retention_days: of `tenants.limits.Limits`.
    """

    id: UUID
    slug: str
    modules: frozenset[str] = frozenset()
    database: str = "default"
    retention_days: int | None = None

    @property
    def schema(self) -> str:
        """Name of the tenant's PostgreSQL schema and of its role.

        Made from the id alone, so it never changes, needs no escaping and is 34 bytes long.
        """
        return f"t_{self.id.hex}"
