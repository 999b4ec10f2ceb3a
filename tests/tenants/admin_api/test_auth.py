"""Who is let into the management API, by every route of its own document."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from tenants import lifecycle
from tenants.keys import OPERATOR_PREFIX, OperatorScope, generate_key
from tenants.testing import MANAGEMENT_API, TESTER, connect
from tests.isolation.routes import read_routes

# What an operator's key needs for each kind of request; erasing needs more.
SCOPES = {"GET": "read", "POST": "write", "PATCH": "write", "PUT": "write", "DELETE": "write"}


@pytest.fixture(scope="session")
async def routes(application):
    async with connect(application) as client:
        return read_routes((await client.get("/api/admin/openapi.json")).json(), "management")


@pytest.fixture
async def issue(application):
    async def issue(*scopes, **options):
        return await lifecycle.create_operator(
            "Test", scopes or tuple(OperatorScope), by=TESTER, **options
        )

    return issue


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def values_for(route, tenant):
    """Objects of the tenant, where there are such; nothing is done before the caller is known."""
    known = {"slug": tenant.slug, "module": "sample", "host": "a.example.com", "member": "a@b.cd"}
    return {name: known.get(name, "x") for name in route.parameters}


async def send(client, route, tenant, **options):
    body = route.bodies[0] if route.bodies else None
    path = route.path(values_for(route, tenant))
    return await client.request(route.method, path, json=body, **options)


async def test_there_are_routes_to_try(routes):
    assert len(routes) >= 32
    assert {route.method for route in routes} == set(SCOPES)


@pytest.mark.parametrize("kind", ["none", "garbage", "tenant's", "unknown", "basic", "huge"])
async def test_every_route_refuses_a_stranger(routes, client, tenant, kind):
    headers = {
        "none": {},
        "garbage": bearer("tno_x"),
        "tenant's": tenant.headers,
        "unknown": bearer(generate_key(OPERATOR_PREFIX).text),
        "basic": {"Authorization": "Basic b3BlcmF0b3I6eA=="},
        "huge": bearer("x" * 10_000),
    }[kind]
    for route in routes:
        answer = await send(client, route, tenant, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), route


@pytest.mark.parametrize("scope", list(OperatorScope))
async def test_every_route_needs_its_scope(routes, client, tenant, issue, scope):
    others = await issue(*(set(OperatorScope) - {scope}))
    needing = [
        route
        for route in routes
        if ("erase" if route.template.endswith("/erase") else SCOPES[route.method]) == scope
    ]
    assert needing
    for route in needing:
        answer = await send(client, route, tenant, headers=bearer(others.text))
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), route
    assert (await lifecycle.get_tenant(tenant.slug)).status == "active"


async def test_an_operators_key_is_no_key_of_a_tenant(client, issue):
    key = await issue()
    answer = await client.get("/api/v1/conversations", headers=bearer(key.text))
    assert answer.status_code == 401


async def test_a_revoked_key_is_refused_within_a_second(client, issue):
    key = await issue()
    path = f"{MANAGEMENT_API}/tenants"
    assert (await client.get(path, headers=bearer(key.text))).status_code == 200

    await lifecycle.revoke_operator(key.row.public_id, by=TESTER)

    async with asyncio.timeout(1):
        while (await client.get(path, headers=bearer(key.text))).status_code != 401:
            await asyncio.sleep(0.02)


async def test_an_expired_key_is_refused(client, issue):
    key = await issue(expires_at=datetime.now(UTC) + timedelta(seconds=0.3))
    path = f"{MANAGEMENT_API}/tenants"
    assert (await client.get(path, headers=bearer(key.text))).status_code == 200
    await asyncio.sleep(0.3)
    assert (await client.get(path, headers=bearer(key.text))).status_code == 401


async def test_a_key_in_the_url_is_refused(client, issue):
    key = await issue()
    answer = await client.get(f"{MANAGEMENT_API}/tenants", params={"search": key.text})
    assert (answer.status_code, answer.json()["code"]) == (400, "key_in_url")


@pytest.mark.parametrize("bad", ["0", "' OR 1=1 --", "%", "é", "x" * 500, "\u202e", "a/b"])
async def test_whatever_stands_in_a_path_nothing_breaks(routes, operator, tenant, bad):
    for route in routes:
        for name in route.parameters:
            values = values_for(route, tenant) | {name: bad}
            body = route.bodies[0] if route.bodies else None
            path = route.path(values).removeprefix(MANAGEMENT_API)
            answer = await operator.request(route.method, path, json=body)
            assert answer.status_code in {404, 422}, (str(route), name, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b'{"name": "\\u0000"}', 422), (b"[" * 100 + b"]" * 100, 422), (b'"x"', 422)],
)
async def test_a_bad_body_is_refused_by_every_route_that_takes_one(
    routes, operator, tenant, body, status
):
    headers = {"Content-Type": "application/json"}
    for route in routes:
        if route.bodies:
            path = route.path(values_for(route, tenant)).removeprefix(MANAGEMENT_API)
            answer = await operator.request(route.method, path, content=body, headers=headers)
            assert answer.status_code == status, (str(route), answer.text)


class TestHosts:
    async def test_a_tenants_host_serves_that_tenant_alone(self, operator, make_tenant):
        one, other = await make_tenant(modules=[]), await make_tenant(modules=[])
        headers = {"Host": f"{one.slug}.localhost"}

        assert (await operator.get(f"/tenants/{one.slug}", headers=headers)).status_code == 200
        for path in (f"/tenants/{other.slug}", "/tenants", "/audit"):
            assert (await operator.get(path, headers=headers)).status_code == 401, path

    async def test_a_header_must_agree_with_the_path(self, operator, make_tenant):
        one, other = await make_tenant(modules=[]), await make_tenant(modules=[])
        path = f"/tenants/{one.slug}"

        agreeing = await operator.get(path, headers={"X-Tenant": one.slug})
        assert agreeing.status_code == 200
        assert (await operator.get(path, headers={"X-Tenant": other.slug})).status_code == 401


async def test_the_documents_are_apart(client, routes):
    tenants = (await client.get("/api/openapi.json")).json()
    assert not any(path.startswith(MANAGEMENT_API) for path in tenants["paths"])
    assert all(route.template.startswith(MANAGEMENT_API) for route in routes)
    assert (await client.get("/api/admin/docs")).status_code == 200


async def test_more_requests_at_once_than_there_are_threads_for_wait_or_are_refused(
    operator, tenant
):
    path = f"/tenants/{tenant.slug}/keys"
    answers = await asyncio.gather(
        *(operator.post(path, json={"name": secrets.token_hex(4)}) for _ in range(30))
    )

    assert {answer.status_code for answer in answers} <= {201, 503}
    assert (await operator.get("/tenants")).status_code == 200
