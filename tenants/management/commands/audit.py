"""Who did what to which tenant."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from tenants import lifecycle
from tenants.management.command import VerbCommand, argument, at_least_one, verb, walk
from tenants.management.output import print_json
from tenants.models import AuditEntry
from tenants.shapes import ShownEntry, show_entry

FILTERS = (
    argument("--tenant", metavar="SLUG", help="only this tenant's, erased or not"),
    argument("--action", help="only this action, such as tenant.suspended"),
    argument("--actor", metavar="ID", help="only what this key, user or account did"),
)


class Command(VerbCommand):
    help = """
    Read the audit log: who did what to which tenant. It has what was done to tenants, keys,
    domains and members, in the admin, over the management API and on the command line, and
    nobody can change it.
    """
    examples = (
        "audit list --tenant acme",
        "audit list --action tenant.erased --count 10",
        "audit export > audit.jsonl",
    )

    @verb(
        *FILTERS,
        argument(
            "--count", type=at_least_one, default=50, metavar="N", help="how many; 50 if not given"
        ),
        examples=["audit list", "audit list --tenant acme --action key.issued --json"],
    )
    async def list(
        self, tenant: str | None, action: str | None, actor: str | None, count: int
    ) -> None:
        """Show the newest entries."""
        await self.show_list(
            ["at", "actor.kind", "actor.name", "action", "tenant_slug", "target", "details"],
            _walk_entries(tenant, action, actor, count),
            "No such entries.",
        )

    @verb(*FILTERS, examples=["audit export > audit.jsonl", "audit export --tenant acme"])
    async def export(self, tenant: str | None, action: str | None, actor: str | None) -> None:
        """Write all entries as JSON Lines, the newest first; with --json as one line."""
        entries = _walk_entries(tenant, action, actor)
        if self.json:
            await self.show_list((), entries, "")
            return
        async for entry in entries:
            print_json(entry)


async def _walk_entries(
    tenant: str | None, action: str | None, actor: str | None, count: int | None = None
) -> AsyncIterator[ShownEntry]:
    async def list_page(after: UUID | None, limit: int) -> Sequence[AuditEntry]:
        return await lifecycle.list_audit(
            tenant=tenant, action=action, actor=actor, after=after, limit=limit
        )

    async for entry in walk(list_page, lambda entry: entry.id, count):
        yield show_entry(entry)
