"""What a tenant has of a module, into a file and from one; the module knows what is in it.

A backup holds the schema as it is, for this installation; such a file is what the module says of
its rows, for any.
"""

from collections.abc import AsyncIterator, Iterable

from tenants import audit, errors
from tenants.actor import Actor
from tenants.lifecycle.registry import LIVING, find_tenant, in_registry
from tenants.module import ImportReport, Transfer
from tenants.modules import get_module, get_modules
from tenants.tenant import TenantRef


async def export_tenant(slug: str, module: str | None = None, *, by: Actor) -> AsyncIterator[bytes]:
    """Lines of JSON, some whole ones at a time, each read when it is asked for.

    module: its name; None if there is only one whose data can be had so.
    Raises TenantNotFound (404), WrongState (409), also for a tenant that has not got the module,
    InvalidInput (422) for a module that can't be exported, or if there is none or a choice.
    """
    chosen, transfer = _choose(module)
    tenant = await _begin(slug, chosen, "tenant.exported", by)
    return transfer.write(tenant)


async def import_into_tenant(
    slug: str, lines: Iterable[bytes], module: str | None = None, *, by: Actor
) -> ImportReport:
    """Add what isn't there yet, which may be cut off and repeated. Raises as `export_tenant` does,
    and InvalidInput (422) for what is no such file."""
    chosen, transfer = _choose(module)
    tenant = await _begin(slug, chosen, "tenant.imported", by)
    return await transfer.read(tenant, lines)


def _choose(name: str | None) -> tuple[str, Transfer]:
    """The module that is named, or the only one there is to choose."""
    wanted = get_modules() if name is None else (get_module(name),)
    found = [(each.name, each.transfer) for each in wanted if each.transfer is not None]
    if not found:
        named = "No module" if name is None else f"The module `{name}`"
        raise errors.InvalidInput(f"{named} can't be exported or imported.")
    if len(found) > 1:
        names = ", ".join(each for each, _ in found)
        raise errors.InvalidInput(f"Say which module, with --module: {names}.")
    return found[0]


@in_registry
def _begin(slug: str, module: str, action: str, by: Actor) -> TenantRef:
    """Record that it was begun: whatever becomes of it, rows were read or written from then on."""
    tenant = find_tenant(slug, LIVING)
    if module not in tenant.modules:
        raise errors.WrongState(f"The tenant `{slug}` has not got the module `{module}`.")
    audit.record(by, action, tenant, module)
    return tenant.ref
