"""A tenant's own admins, signed in, on the management API: their tenant, and what concerns it."""

import asyncio

import pytest

from tenants import lifecycle
from tenants.models import ApiKey, Membership
from tenants.testing import MANAGEMENT_API, TESTER, connect
from tests.isolation.routes import read_routes
from tests.tenants.people import join

# What only operators do.
RESERVED = {
    ("GET", "/tenants"),
    ("POST", "/tenants"),
    ("PATCH", "/tenants/{slug}"),
    ("DELETE", "/tenants/{slug}"),
    ("POST", "/tenants/{slug}/suspend"),
    ("POST", "/tenants/{slug}/resume"),
    ("POST", "/tenants/{slug}/erase"),
    ("PUT", "/tenants/{slug}/modules/{module}"),
    ("DELETE", "/tenants/{slug}/modules/{module}"),
    ("GET", "/audit"),
    ("GET", "/audit/export"),
}


@pytest.fixture
async def sign_in(application):
    """A client in whose browser a member of a tenant, in this role, has signed in."""
    clients = []

    async def sign_in(tenant, role, **options):
        person = await join(tenant, role)
        client = connect(application, base_url=f"http://localhost{MANAGEMENT_API}", **options)
        client.headers.update(person.headers())
        clients.append(client)
        return client

    yield sign_in
    for client in clients:
        await client.aclose()


@pytest.mark.parametrize("role", ["owner", "admin"])
async def test_they_see_to_keys_domains_and_members(sign_in, tenant, role):
    client = await sign_in(tenant, role)
    path = f"/tenants/{tenant.slug}"

    assert (await client.get(path)).json()["slug"] == tenant.slug
    assert (await client.get(f"{path}/usage")).status_code == 200
    assert (await client.get(f"{path}/modules")).status_code == 200
    key = (await client.post(f"{path}/keys", json={"name": "Mine"})).json()
    rotated = await client.post(f"{path}/keys/{key['public_id']}/rotate", json={})
    assert rotated.status_code == 201
    revoked = await client.post(f"{path}/keys/{key['public_id']}/revoke")
    assert revoked.json()["revoked_at"]
    host = f"{tenant.slug}.example.com"
    assert (await client.post(f"{path}/domains", json={"host": host})).status_code == 201
    assert (await client.delete(f"{path}/domains/{host}")).status_code == 204
    invited = await client.post(f"{path}/members", json={"email": "a@example.com"})
    assert invited.status_code == 201
    assert (await client.delete(f"{path}/members/a@example.com")).status_code == 204

    entry = (await lifecycle.list_audit(tenant=tenant.slug, limit=1))[0]
    assert (entry.action, entry.actor_kind) == ("member.removed", "member")
    assert entry.actor_name.endswith("@example.com")


async def test_the_link_of_an_invitation_is_not_for_them(sign_in, tenant):
    client = await sign_in(tenant, "owner")
    path = f"/tenants/{tenant.slug}/members"
    invited = (await client.post(path, json={"email": "a@example.com"})).json()
    assert (invited["url"], invited["status"]) == (None, "invited")


@pytest.mark.parametrize("role", ["member", "viewer"])
async def test_others_are_refused_everything(sign_in, tenant, role):
    client = await sign_in(tenant, role)
    for tail in ("", "/keys", "/domains", "/members", "/usage", "/modules"):
        answer = await client.get(f"/tenants/{tenant.slug}{tail}")
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), tail


async def test_what_is_reserved_for_operators_is_refused(sign_in, client, tenant):
    owner = await sign_in(tenant, "owner")
    document = (await client.get("/api/admin/openapi.json")).json()
    values = {"slug": tenant.slug, "module": "sample"}
    seen = set()
    for route in read_routes(document, "management"):
        template = route.template.removeprefix(MANAGEMENT_API)
        if (route.method, template) in RESERVED:
            seen.add((route.method, template))
            body = route.bodies[0] if route.bodies else None
            answer = await owner.request(route.method, template.format(**values), json=body)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), template
    assert seen == RESERVED


async def test_another_tenant_is_like_none(sign_in, make_tenant):
    one, other = await make_tenant(), await make_tenant()
    owner = await sign_in(one, "owner")
    theirs, nobodys = [
        await owner.get(f"/tenants/{slug}/keys") for slug in (other.slug, "nobody-at-all")
    ]
    for answer in (theirs, nobodys):
        assert (answer.status_code, answer.json()["code"]) == (404, "tenant_not_found")


async def test_a_change_without_the_token_is_refused(sign_in, tenant):
    owner = await sign_in(tenant, "owner")
    del owner.headers["X-CSRFToken"]
    answer = await owner.post(f"/tenants/{tenant.slug}/keys", json={"name": "Forged"})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
    assert await ApiKey.objects.filter(tenant=tenant.row).acount() == 1


async def test_a_suspended_tenants_admins_are_refused(sign_in, tenant):
    owner = await sign_in(tenant, "owner")
    await lifecycle.suspend_tenant(tenant.slug, by=TESTER)
    answer = await owner.get(f"/tenants/{tenant.slug}/keys")
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_suspended")


async def test_an_admin_cannot_reach_an_owner(sign_in, tenant):
    admin = await sign_in(tenant, "admin")
    await join(tenant, "owner")
    owner = await Membership.objects.aget(tenant=tenant.row, role="owner")
    path = f"/tenants/{tenant.slug}/members"

    for answer in [
        await admin.delete(f"{path}/{owner.email}"),
        await admin.patch(f"{path}/{owner.email}", json={"role": "viewer"}),
        await admin.post(path, json={"email": "new@example.com", "role": "owner"}),
    ]:
        assert (answer.status_code, answer.json()["code"]) == (403, "owner_required")


async def test_a_repeat_gets_the_same_key_in_the_same_session(sign_in, tenant):
    path = f"/tenants/{tenant.slug}/keys"
    headers = {"Idempotency-Key": "once"}
    owner, other = await sign_in(tenant, "owner"), await sign_in(tenant, "owner")

    first, repeat, others = [
        await client.post(path, json={"name": "Mine"}, headers=headers)
        for client in (owner, owner, other)
    ]

    assert first.json() == repeat.json()
    assert others.json()["public_id"] != first.json()["public_id"]


async def test_a_limit_of_the_tenant_holds_here_too(sign_in, tenant):
    await lifecycle.change_tenant(tenant.slug, limits={"concurrent_requests": 1}, by=TESTER)
    owner = await sign_in(tenant, "owner")

    answers = await asyncio.gather(*(owner.get(f"/tenants/{tenant.slug}") for _ in range(4)))

    assert {answer.status_code for answer in answers} == {200, 429}
