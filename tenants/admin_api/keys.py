"""A tenant's API keys: issued, listed, rotated, revoked."""

from datetime import timedelta
from functools import partial

from django.http import HttpResponse
from ninja import Query, Router

from tenants import lifecycle, shapes
from tenants.admin_api.auth import AdminAuth, AdminRequest, promise_once
from tenants.admin_api.inputs import IdempotencyKey, NewKey, PageQuery, Rotation
from tenants.admin_api.pages import answer_page
from tenants.db.pagination import Page
from tenants.keys import OperatorScope
from tenants.responses import created_response, json_response

router = Router(tags=["API keys"])
# A tenant's own admins see to these as well.
READ = AdminAuth(OperatorScope.READ, members=True)
WRITE = AdminAuth(OperatorScope.WRITE, members=True)


@router.get("/tenants/{slug}/keys", auth=READ, response=Page[shapes.ShownKey])
async def list_keys(request: AdminRequest, slug: str, query: Query[PageQuery]) -> HttpResponse:
    """List a tenant's API keys, the newest first."""
    fetch = partial(lifecycle.list_keys, slug)
    return await answer_page(["keys", slug], query, fetch, shapes.show_key, ("id", int))


@router.post("/tenants/{slug}/keys", auth=WRITE, response={201: shapes.ShownIssuedKey})
async def issue_key(
    request: AdminRequest, slug: str, new: NewKey, idempotency_key: IdempotencyKey = None
) -> HttpResponse:
    """Issue an API key. Its text is shown only now.

    With `Idempotency-Key`, a repeat gets the same key, and the header `Idempotent-Replayed: true`.
    """
    once = promise_once(request, idempotency_key, new.model_dump())
    issued = await lifecycle.issue_key(
        slug, new.name, new.scopes, new.expires_at, once=once, by=request.auth.actor
    )
    return created_response(shapes.show_issued(issued), replayed=issued.replayed)


@router.post(
    "/tenants/{slug}/keys/{public_id}/rotate",
    auth=WRITE,
    response={201: shapes.ShownIssuedKey},
)
async def rotate_key(
    request: AdminRequest,
    slug: str,
    public_id: str,
    rotation: Rotation,
    idempotency_key: IdempotencyKey = None,
) -> HttpResponse:
    """Issue a key with the same name and scopes; the old one ends after the overlap.

    `Idempotency-Key` works as it does for issuing.
    """
    once = promise_once(request, idempotency_key, rotation.model_dump())
    overlap = timedelta(seconds=rotation.overlap_seconds)
    issued = await lifecycle.rotate_key(slug, public_id, overlap, once=once, by=request.auth.actor)
    return created_response(shapes.show_issued(issued), replayed=issued.replayed)


@router.post(
    "/tenants/{slug}/keys/{public_id}/revoke",
    auth=WRITE,
    response=shapes.ShownKey,
)
async def revoke_key(request: AdminRequest, slug: str, public_id: str) -> HttpResponse:
    """End an API key; every process refuses it within a second."""
    key = await lifecycle.revoke_key(slug, public_id, by=request.auth.actor)
    return json_response(shapes.show_key(key))
