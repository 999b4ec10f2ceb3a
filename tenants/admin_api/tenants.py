"""Tenants: created, listed, changed, suspended, erased; their modules and their usage."""

from functools import partial
from typing import Any

from django.http import HttpResponse
from ninja import Query, Router

from tenants import lifecycle, shapes
from tenants.admin_api.auth import AdminAuth, AdminRequest, promise_once
from tenants.admin_api.inputs import (
    Confirmation,
    IdempotencyKey,
    NewTenant,
    TenantChanges,
    TenantQuery,
)
from tenants.admin_api.pages import answer_page
from tenants.db.pagination import Page
from tenants.keys import OperatorScope
from tenants.responses import created_response, json_response

router = Router(tags=["Tenants"])
READ = AdminAuth(OperatorScope.READ)
READ_OWN = AdminAuth(OperatorScope.READ, members=True)
WRITE = AdminAuth(OperatorScope.WRITE)
ERASE = AdminAuth(OperatorScope.ERASE)


@router.post("/tenants", auth=WRITE, response={201: shapes.ShownOnboarded})
async def create_tenant(
    request: AdminRequest, new: NewTenant, idempotency_key: IdempotencyKey = None
) -> HttpResponse:
    """Onboard a tenant. Its first API key is shown only now.

    With `Idempotency-Key`, a repeat gets the same tenant and the same key, and the header
    `Idempotent-Replayed: true`.
    """
    wish = new.model_dump(exclude={"limits"})
    limits = new.limits.model_dump(exclude_none=True)
    onboarded = await lifecycle.create_tenant(
        **wish,
        limits=limits,
        once=promise_once(request, idempotency_key, {**wish, "limits": limits}),
        by=request.auth.actor,
    )
    return created_response(shapes.show_onboarded(onboarded), replayed=onboarded.key.replayed)


@router.get("/tenants", auth=READ, response=Page[shapes.ShownTenant])
async def list_tenants(request: AdminRequest, query: Query[TenantQuery]) -> HttpResponse:
    """List tenants by slug."""
    filters: dict[str, Any] = query.model_dump(include={"status", "plan", "search"})
    fetch = partial(lifecycle.list_tenants, **filters)
    return await answer_page(["tenants", filters], query, fetch, shapes.show_tenant, ("slug", str))


@router.get("/tenants/{slug}", auth=READ_OWN, response=shapes.ShownTenant)
async def get_tenant(request: AdminRequest, slug: str) -> HttpResponse:
    """Get a tenant."""
    return json_response(shapes.show_tenant(await lifecycle.get_tenant(slug)))


@router.patch("/tenants/{slug}", auth=WRITE, response=shapes.ShownTenant)
async def change_tenant(request: AdminRequest, slug: str, changes: TenantChanges) -> HttpResponse:
    """Change slug, name, plan or limits; what is absent stays. Keys and data are not touched."""
    limits = changes.limits
    tenant = await lifecycle.change_tenant(
        slug,
        new_slug=changes.slug,
        name=changes.name,
        plan=changes.plan,
        limits=limits.model_dump(exclude_none=True) if limits is not None else None,
        by=request.auth.actor,
    )
    return json_response(shapes.show_tenant(tenant))


@router.post("/tenants/{slug}/suspend", auth=WRITE, response=shapes.ShownTenant)
async def suspend_tenant(request: AdminRequest, slug: str) -> HttpResponse:
    """Refuse a tenant's requests and end those under way, within a second. Its data stays."""
    tenant = await lifecycle.suspend_tenant(slug, by=request.auth.actor)
    return json_response(shapes.show_tenant(tenant))


@router.post("/tenants/{slug}/resume", auth=WRITE, response=shapes.ShownTenant)
async def resume_tenant(request: AdminRequest, slug: str) -> HttpResponse:
    """Serve a suspended tenant again."""
    tenant = await lifecycle.resume_tenant(slug, by=request.auth.actor)
    return json_response(shapes.show_tenant(tenant))


@router.delete("/tenants/{slug}", auth=WRITE, response=shapes.ShownTenant)
async def delete_tenant(request: AdminRequest, slug: str) -> HttpResponse:
    """Refuse a tenant's requests for good. Its data is still there, until it is erased."""
    tenant = await lifecycle.delete_tenant(slug, by=request.auth.actor)
    return json_response(shapes.show_tenant(tenant))


@router.post("/tenants/{slug}/erase", auth=ERASE, response={204: None})
async def erase_tenant(
    request: AdminRequest, slug: str, confirmation: Confirmation
) -> HttpResponse:
    """Remove a deleted tenant with all its data, for good."""
    await lifecycle.erase_tenant(slug, confirmation.slug, by=request.auth.actor)
    return HttpResponse(status=204)


@router.get("/tenants/{slug}/modules", auth=READ_OWN, response=list[shapes.ShownModule])
async def list_modules(request: AdminRequest, slug: str) -> HttpResponse:
    """List all modules: which the tenant has, and at which revision."""
    modules = await lifecycle.list_modules(slug)
    return json_response([shapes.show_module(module) for module in modules])


@router.put("/tenants/{slug}/modules/{module}", auth=WRITE, response=shapes.ShownTenant)
async def enable_module(request: AdminRequest, slug: str, module: str) -> HttpResponse:
    """Give a tenant a module, and what it requires."""
    tenant = await lifecycle.enable_module(slug, module, by=request.auth.actor)
    return json_response(shapes.show_tenant(tenant))


@router.delete("/tenants/{slug}/modules/{module}", auth=WRITE, response=shapes.ShownTenant)
async def disable_module(request: AdminRequest, slug: str, module: str) -> HttpResponse:
    """Take a module's routes from a tenant. Its tables and their rows stay."""
    tenant = await lifecycle.disable_module(slug, module, by=request.auth.actor)
    return json_response(shapes.show_tenant(tenant))


@router.get("/tenants/{slug}/usage", auth=READ_OWN, response=shapes.ShownUsage)
async def get_usage(request: AdminRequest, slug: str) -> HttpResponse:
    """What a tenant holds: the size of its schema, and what each module counts."""
    return json_response(shapes.show_usage(await lifecycle.get_usage(slug)))
