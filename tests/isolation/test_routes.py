"""Every route of every loaded module: who is let in, and that nobody reaches another tenant.

The routes come from the OpenAPI document of the running API, so one that is added is covered.
"""

import itertools
import re
import secrets

import httpx
import pytest

from tenants import lifecycle
from tenants.ids import new_id
from tenants.modules import get_modules
from tenants.settings import EngineSettings
from tenants.testing import API, TESTER
from tests.isolation.routes import Route, list_mounted, read_routes, shape_of
from tests.isolation.seeds import MADE_UP, QUERIES

# What is many transactions, and carries on where it was; and drafts, which nobody keeps.
REPEATABLE_BY_NATURE = ("/imports", "/erase", "/drafts/{draft_id}")
SHOWN_ID = re.compile(r"([a-z]+)_[0-9a-f]{32}")


def unknown_like(value):
    """A value of the same shape that nobody has."""
    match = SHOWN_ID.fullmatch(value)
    return f"{match[1]}_{new_id().hex}" if match else f"unknown_{secrets.token_hex(8)}"


def answer_of(response):
    """What a caller gets, but for the request's own id."""
    headers = {name: value for name, value in response.headers.items() if name != "x-request-id"}
    content = response.json() if response.content else None
    if isinstance(content, dict):
        content.get("error", content).pop("request_id", None)
    return response.status_code, headers, content


def code_of(response):
    """An error's code, whatever the shape of the wire that it comes over."""
    content = response.json()
    return content["code"] if "code" in content else content["error"]["code"]


async def send(client, route, values, body=None, **options):
    """Call a route; the template is absolute, whatever the client's base."""
    url = httpx.URL(f"http://localhost{route.path(values)}")
    url = url.copy_merge_params(options.pop("params", None) or {})
    if route.is_form:
        options |= {"files": {"file": ("a.txt", b"a", "text/plain")}, "data": body}
    elif route.bodies:
        options["json"] = body
    return await client.request(route.method, url, **options)


async def send_fitting(client, route, values):
    """Call a route with the first of its bodies that it doesn't refuse as invalid."""
    for body in route.bodies or (None,):
        response = await send(client, route, values, body)
        if response.status_code not in (400, 422):
            return response, body
    pytest.fail(
        f"{route} refuses every body that could be made from its schema, at last with "
        f"{response.text}. Give the schema an example."
    )


def foreign_mixtures(ours, theirs):
    """Ways to fill a path with at least one value of the other tenant, and which those are."""
    of_objects = [name for name in theirs if name not in MADE_UP]
    for size in range(1, len(of_objects) + 1):
        for names in itertools.combinations(of_objects, size):
            yield names, {**ours, **{name: theirs[name] for name in names}}


def test_every_route_that_is_mounted_is_in_the_document(routes):
    assert {shape_of(route) for route in routes} == list_mounted()
    assert {route.module for route in routes} == {module.name for module in get_modules()}
    assert len(routes) >= 14


def test_a_route_that_is_added_is_covered():
    operation = {"parameters": [{"name": "after"}]}
    document = {"paths": {f"{API}/notes/{{note_id}}": {"get": operation}}}
    assert read_routes(document) == [
        Route("GET", f"{API}/notes/{{note_id}}", "sample", ("note_id",), True, ())
    ]
    with pytest.raises(KeyError):
        read_routes({"paths": {f"{API}/nobodys": {"get": operation}}})


async def test_a_path_parameter_without_a_seed_fails_and_says_what_to_do(alice):
    route = Route("GET", f"{API}/notes/{{pen_id}}", "sample", ("pen_id",), False, ())
    with pytest.raises(pytest.fail.Exception, match="'pen_id' of module 'sample' has no seed"):
        alice.values_for(route)


async def test_every_route_works_for_the_tenant_itself(routes, carol):
    """Or the refusals below would prove nothing."""
    failures = []
    for route in routes:
        await carol.sow_for(route)
        response, _ = await send_fitting(carol.client, route, carol.values_for(route))
        if not response.is_success:
            failures.append((str(route), response.text))
    assert failures == []


async def test_every_route_refuses_a_caller_without_a_key(routes, alice, client):
    before = await alice.snapshot()
    host = f"{alice.tenant.slug}.localhost"
    for route in routes:
        for headers in ({}, {"Host": host}, {"Authorization": "Bearer "}):
            response = await send(client, route, alice.values_for(route), headers=headers)
            assert response.status_code == 401, route
            assert code_of(response) == "unauthenticated"
            assert response.headers["www-authenticate"] == "Bearer"
            assert alice.word not in response.text
    assert await alice.snapshot() == before


@pytest.mark.parametrize("scope", ["read", "write"])
async def test_every_route_refuses_a_key_without_its_scope(routes, alice, client, scope):
    key = await lifecycle.issue_key(alice.tenant.slug, f"Only {scope}", [scope], by=TESTER)
    headers = {"Authorization": f"Bearer {key.text}"}
    before = await alice.snapshot()
    refused = [route for route in routes if route.reads is not (scope == "read")]
    assert refused
    for route in refused:
        for body in route.bodies or (None,):
            values = alice.values_for(route)
            response = await send(client, route, values, body, headers=headers)
            assert response.status_code == 403, route
            assert code_of(response) == "scope_missing"
            assert alice.word not in response.text
    assert await alice.snapshot() == before


async def test_every_route_is_not_there_for_a_tenant_without_its_module(
    routes, make_tenant, client
):
    tenant = await make_tenant(modules=[], scopes=["read", "write", "admin"])
    for route in routes:
        values = dict.fromkeys(route.parameters, "x")
        response = await send(client, route, values, headers=tenant.headers)
        assert (response.status_code, code_of(response)) == (404, "module_not_enabled"), route


async def test_every_post_of_our_modules_may_be_repeated(routes, carol):
    """The endpoint does its work through the module's `answer_once`, or this fails."""
    ours = EngineSettings.model_fields["modules"].default
    posts = [
        route
        for route in routes
        if route.method == "POST"
        and route.module in ours
        and not route.template.endswith(REPEATABLE_BY_NATURE)
    ]
    assert posts
    wrong = []
    for route in posts:
        await carol.sow()
        values = carol.values_for(route)
        carol.client.headers["Idempotency-Key"] = secrets.token_hex(8)
        first, body = await send_fitting(carol.client, route, values)
        repeat = await send(carol.client, route, values, body)
        del carol.client.headers["Idempotency-Key"]
        assert first.is_success, (str(route), first.text)
        if (repeat.status_code, repeat.content, repeat.headers.get("idempotent-replayed")) != (
            first.status_code,
            first.content,
            "true",
        ):
            wrong.append(str(route))
    assert wrong == []


async def test_another_tenants_object_is_answered_like_an_unknown_one(routes, alice, bob):
    before = await alice.snapshot(), await bob.snapshot()
    tried = 0
    for route in routes:
        ours, theirs = bob.values_for(route), alice.values_for(route)
        for names, values in foreign_mixtures(ours, theirs):
            unknown = {**values, **{name: unknown_like(values[name]) for name in names}}
            reference, body = await send_fitting(bob.client, route, unknown)
            response = await send(bob.client, route, values, body)
            assert reference.status_code == 404, (str(route), reference.text)
            assert answer_of(response) == answer_of(reference), (str(route), names)
            assert not any(secret in response.text for secret in alice.secrets)
            tried += 1
    assert tried >= len([route for route in routes if route.parameters])
    assert (await alice.snapshot(), await bob.snapshot()) == before


async def test_whatever_a_tenant_does_to_its_own_objects_changes_nothing_of_anothers(
    routes, alice, carol
):
    before = await alice.snapshot()
    assert any(alice.word in row for rows in before.values() for row in rows)
    for route in routes:
        await carol.sow_for(route)
        response, _ = await send_fitting(carol.client, route, carol.values_for(route))
        assert not any(secret in response.text for secret in alice.secrets), route
    assert await alice.snapshot() == before


async def test_another_tenants_cursor_is_refused(routes, alice, bob):
    lists = [route for route in routes if route.has_cursor and not route.is_stream]
    assert lists
    for route in lists:
        theirs, ours = alice.values_for(route), bob.values_for(route)
        page = await send(alice.client, route, theirs, params={"limit": 1})
        is_native = route.template.startswith(API)
        cursor = page.json()["next_cursor" if is_native else "last_id"]
        if not page.json()["has_more"]:
            pytest.fail(f"{route} has one page only: have its seed make at least two items.")
        own_next = await send(alice.client, route, theirs, params={"limit": 1, "after": cursor})
        assert own_next.status_code == 200
        for values in (ours, theirs):
            for limit in (1, 100):
                response = await send(
                    bob.client, route, values, params={"limit": limit, "after": cursor}
                )
                assert response.status_code in (400, 404), route
                assert not any(secret in response.text for secret in alice.secrets)


async def test_lists_show_nothing_of_another_tenant(routes, alice, bob):
    for route in routes:
        if route.reads:
            query = QUERIES.get(str(route))
            response = await send(bob.client, route, bob.values_for(route), params=query)
            assert response.status_code == 200
            # A stream that begins now has nothing to tell yet.
            assert bob.word in response.text or route.is_stream, route
            assert not any(secret in response.text for secret in alice.secrets)


async def test_a_filter_finds_nothing_of_another_tenant(alice, bob):
    for name in ("user_id", "agent_id"):
        path = "/conversations"
        assert (await alice.client.get(path, params={name: alice.word})).json()["data"] != []
        assert (await bob.client.get(path, params={name: alice.word})).json()["data"] == []


async def test_a_search_finds_nothing_of_another_tenant(alice, bob):
    query = {"q": alice.word}
    assert (await alice.client.get("/search", params=query)).json()["data"] != []
    assert (await bob.client.get("/search", params=query)).json()["data"] == []


async def test_ids_of_every_bad_shape_are_not_found(routes, bob):
    bad = ["0", "conv_", "' OR 1=1 --", "%", "é", "conv_" + "G" * 32, "x" * 500, "null"]
    for route in routes:
        ours = bob.values_for(route)
        for name in set(route.parameters) - MADE_UP:
            _, body = await send_fitting(
                bob.client, route, {**ours, name: unknown_like(ours[name])}
            )
            for value in bad:
                response = await send(bob.client, route, {**ours, name: value}, body)
                assert response.status_code == 404, (str(route), value)
                if route.template.startswith(API):
                    assert response.headers["content-type"] == "application/problem+json"
