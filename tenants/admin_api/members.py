"""A tenant's members: invited, given a role, removed."""

from functools import partial
from uuid import UUID

from django.http import HttpResponse
from ninja import Query, Router

from tenants import lifecycle, shapes
from tenants.admin_api.auth import AdminAuth, AdminRequest
from tenants.admin_api.inputs import MemberChanges, NewMember, PageQuery
from tenants.admin_api.pages import answer_page
from tenants.db.pagination import Page
from tenants.keys import OperatorScope
from tenants.responses import json_response

router = Router(tags=["Members"])
# A tenant's own admins see to these as well.
READ = AdminAuth(OperatorScope.READ, members=True)
WRITE = AdminAuth(OperatorScope.WRITE, members=True)


@router.get("/tenants/{slug}/members", auth=READ, response=Page[shapes.ShownMember])
async def list_members(request: AdminRequest, slug: str, query: Query[PageQuery]) -> HttpResponse:
    """List a tenant's members, and those who are invited."""
    fetch = partial(lifecycle.list_members, slug)
    return await answer_page(["members", slug], query, fetch, shapes.show_member, ("id", UUID))


@router.post(
    "/tenants/{slug}/members",
    auth=WRITE,
    response={201: shapes.ShownInvitation},
)
async def invite_member(request: AdminRequest, slug: str, new: NewMember) -> HttpResponse:
    """Invite somebody, by a link in a mail. A second invitation ends the first one's link."""
    invitation = await lifecycle.invite_member(slug, new.email, new.role, by=request.auth.actor)
    return json_response(shapes.show_invitation(invitation), 201)


@router.patch("/tenants/{slug}/members/{member}", auth=WRITE, response=shapes.ShownMember)
async def change_member(
    request: AdminRequest, slug: str, member: str, changes: MemberChanges
) -> HttpResponse:
    """Give a member another role. Name it by its id, or by its e-mail address."""
    row = await lifecycle.change_member(slug, member, changes.role, by=request.auth.actor)
    return json_response(shapes.show_member(row))


@router.delete("/tenants/{slug}/members/{member}", auth=WRITE, response={204: None})
async def remove_member(request: AdminRequest, slug: str, member: str) -> HttpResponse:
    """End a membership, or take an invitation back."""
    await lifecycle.remove_member(slug, member, by=request.auth.actor)
    return HttpResponse(status=204)
