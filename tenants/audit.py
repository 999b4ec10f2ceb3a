"""The audit log: what was done to tenants, by whom and from where.

An entry is written in the transaction of the change itself, so that neither is there without the
other. Django's login can only append to the table.
"""

from typing import Any

from tenants.actor import Actor
from tenants.models import AuditEntry, Tenant


def record(
    by: Actor, action: str, tenant: Tenant | None = None, target: str = "", **details: Any
) -> None:
    """Append an entry, in the open transaction of the registry.

    details: JSON values; never a secret.
    """
    AuditEntry.objects.create(
        actor_kind=by.kind,
        actor_id=by.id,
        actor_name=by.name,
        address=by.address,
        request_id=by.request_id,
        action=action,
        tenant_id=tenant.id if tenant else None,
        tenant_slug=tenant.slug if tenant else "",
        target=target,
        details=details,
    )
