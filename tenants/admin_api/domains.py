"""A tenant's own hosts: claimed, verified, removed."""

from functools import partial

from django.http import HttpResponse
from ninja import Query, Router

from tenants import lifecycle, shapes
from tenants.admin_api.auth import AdminAuth, AdminRequest
from tenants.admin_api.inputs import NewDomain, PageQuery
from tenants.admin_api.pages import answer_page
from tenants.db.pagination import Page
from tenants.keys import OperatorScope
from tenants.responses import json_response

router = Router(tags=["Domains"])
# A tenant's own admins see to these as well.
READ = AdminAuth(OperatorScope.READ, members=True)
WRITE = AdminAuth(OperatorScope.WRITE, members=True)


@router.get("/tenants/{slug}/domains", auth=READ, response=Page[shapes.ShownDomain])
async def list_domains(request: AdminRequest, slug: str, query: Query[PageQuery]) -> HttpResponse:
    """List a tenant's own hosts."""
    fetch = partial(lifecycle.list_domains, slug)
    return await answer_page(["domains", slug], query, fetch, shapes.show_domain, ("host", str))


@router.post(
    "/tenants/{slug}/domains",
    auth=WRITE,
    response={201: shapes.ShownDomain},
)
async def add_domain(request: AdminRequest, slug: str, new: NewDomain) -> HttpResponse:
    """Claim a host. It is served once it is verified; adding it again changes nothing."""
    domain = await lifecycle.add_domain(slug, new.host, by=request.auth.actor)
    return json_response(shapes.show_domain(domain), 201)


@router.post(
    "/tenants/{slug}/domains/{host}/verify",
    auth=WRITE,
    response=shapes.ShownDomain,
)
async def verify_domain(request: AdminRequest, slug: str, host: str) -> HttpResponse:
    """Ask DNS for the record that proves whose the host is, and serve it from now on."""
    domain = await lifecycle.verify_domain(slug, host, by=request.auth.actor)
    return json_response(shapes.show_domain(domain))


@router.delete("/tenants/{slug}/domains/{host}", auth=WRITE, response={204: None})
async def remove_domain(request: AdminRequest, slug: str, host: str) -> HttpResponse:
    """Stop serving a host."""
    await lifecycle.remove_domain(slug, host, by=request.auth.actor)
    return HttpResponse(status=204)
