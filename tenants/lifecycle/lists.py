"""Lists of the registry, in pages by key, each one query on an index however long the list is."""

import re
from collections.abc import AsyncIterator
from uuid import UUID

from django.contrib.postgres.search import SearchQuery
from django.db.models import QuerySet

from tenants.lifecycle.registry import find_tenant, in_registry
from tenants.models import ApiKey, AuditEntry, Domain, Membership, Tenant
from tenants.models.registry import Words

_BATCH = 1000


@in_registry
def list_tenants(
    *,
    status: str | None = None,
    plan: str | None = None,
    search: str | None = None,
    after: str | None = None,
    limit: int = _BATCH,
) -> list[Tenant]:
    """Tenants by slug. search: words that slug or name have, or the beginnings of such words."""
    rows = Tenant.objects.order_by("slug")
    if status is not None:
        rows = rows.filter(status=status)
    if plan is not None:
        rows = rows.filter(plan=plan)
    if search is not None:
        rows = search_tenants(rows, search)
    if after is not None:
        rows = rows.filter(slug__gt=after)
    return list(rows[:limit])


@in_registry
def list_keys(slug: str, *, after: int | None = None, limit: int = _BATCH) -> list[ApiKey]:
    """A tenant's keys, the newest first. after: a row's id. Raises TenantNotFound (404)."""
    rows = find_tenant(slug).api_keys.order_by("-id")
    return list((rows if after is None else rows.filter(id__lt=after))[:limit])


@in_registry
def list_domains(slug: str, *, after: str | None = None, limit: int = _BATCH) -> list[Domain]:
    """A tenant's domains by host. Raises TenantNotFound (404)."""
    rows = find_tenant(slug).domains.order_by("host")
    return list((rows if after is None else rows.filter(host__gt=after))[:limit])


@in_registry
def list_members(slug: str, *, after: UUID | None = None, limit: int = _BATCH) -> list[Membership]:
    """A tenant's members and those invited, the earliest first. Raises TenantNotFound (404)."""
    rows = find_tenant(slug).memberships.select_related("user").order_by("id")
    return list((rows if after is None else rows.filter(id__gt=after))[:limit])


@in_registry
def list_audit(
    *,
    tenant: str | None = None,
    action: str | None = None,
    actor: str | None = None,
    after: UUID | None = None,
    limit: int = _BATCH,
) -> list[AuditEntry]:
    """Entries of the audit log, the newest first.

    tenant: a slug, of a tenant that is there with all it was called, or of one that was erased.
    actor: an operator key's public id, a user's id or an account's name.
    """
    rows = AuditEntry.objects.order_by("-id")
    if tenant is not None:
        living = Tenant.objects.filter(slug=tenant).first()
        rows = rows.filter(tenant_id=living.id) if living else rows.filter(tenant_slug=tenant)
    if action is not None:
        rows = rows.filter(action=action)
    if actor is not None:
        rows = rows.filter(actor_id=actor)
    if after is not None:
        rows = rows.filter(id__lt=after)
    return list(rows[:limit])


async def iterate_audit(
    *, tenant: str | None = None, action: str | None = None, actor: str | None = None
) -> AsyncIterator[AuditEntry]:
    """All that `list_audit` lists, of which it reads a batch at a time."""
    after = None
    while batch := await list_audit(tenant=tenant, action=action, actor=actor, after=after):
        for entry in batch:
            yield entry
        after = batch[-1].id


def search_tenants(rows: QuerySet[Tenant], text: str) -> QuerySet[Tenant]:
    """Those whose slug and name have every word of the text, or a word that begins with it."""
    words = re.findall(r"[^\W_]+", text)
    if not words:
        return rows.none()
    query = " & ".join(f"'{word}':*" for word in words)
    searched = rows.alias(words=Words("slug", "name"))
    return searched.filter(words=SearchQuery(query, config="simple", search_type="raw"))
