"""Who is let in, over HTTP: by key, by host, and by both when they agree."""

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.conf import settings as django_settings

from tenants import lifecycle
from tenants.directory import get_directory, set_directory
from tenants.errors import DatabaseUnavailable
from tenants.keys import find_public_id, generate_key, hash_key
from tenants.models import ApiKey, Domain, Tenant
from tenants.testing import TESTER, connect
from tests.log import log_as_production

LIST = "/api/v1/conversations"


class NoDirectory:
    """Stands where the registry would be asked, and has no answer."""

    async def find_key(self, public_id):
        raise DatabaseUnavailable

    find_host = find_key

    def note_use(self, public_id):
        pass


@pytest.fixture
def no_directory(application):
    kept = get_directory()
    set_directory(NoDirectory())
    yield
    set_directory(kept)


@pytest.fixture
def log_lines(monkeypatch):
    """Everything that is logged, down to the access lines, as it is written."""
    monkeypatch.setattr(logging.getLogger("httpx"), "disabled", True)  # It is the client here.
    with log_as_production("DEBUG") as written:
        yield written.getvalue


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def without_request_id(response):
    return {key: value for key, value in response.json().items() if key != "request_id"}


def assert_refused(response, status, code):
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    if status == 401:
        assert response.headers["www-authenticate"] == "Bearer"


async def refused_within(client, headers, status, code, seconds=1.0):
    """The time it takes until a key that worked is refused."""
    deadline = time.monotonic() + seconds
    while (answer := await client.get(LIST, headers=headers)).status_code == 200:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert_refused(answer, status, code)


# Keys


async def test_a_valid_key_is_let_in(anyone, client):
    for scheme in ("Bearer", "bearer", "BEARER", "Bearer  "):
        headers = {"Authorization": f"{scheme} {anyone.key}"}
        assert (await client.get(LIST, headers=headers)).status_code == 200


async def test_no_key_is_refused(anyone, client):
    assert_refused(await client.get(LIST), 401, "unauthenticated")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b" ",
        b"Bearer",
        b"Bearer ",
        b"{key}",
        b"Basic {key}",
        b"Token {key}",
        b"Bearer{key}",
        b"Bearer: {key}",
        b"Bearer {key} {key}",
        b"Bearer {key},Bearer {key}",
        b"Bearer {key}x",
        b"Bearer {key}\xc3\xa9",
        b"Bearer \xff\xfe\x80",
        "Bearer ключ".encode(),
        b"B\xc3\xa9arer {key}",
        b"Bearer tnt_" + b"x" * 10_240,
        b"Bearer " + b"\xe9" * 10_240,
        b"x" * 10_240,
    ],
    ids=lambda header: header[:24].decode("latin1"),
)
async def test_a_header_that_holds_no_key_is_refused(anyone, client, header):
    headers = [(b"authorization", header.replace(b"{key}", anyone.key.encode()))]
    assert_refused(await client.get(LIST, headers=headers), 401, "unauthenticated")


async def test_two_keys_are_refused(fleet, client):
    keys = [tenant.key for tenant in fleet[:2]]
    headers = [("Authorization", f"Bearer {key}") for key in keys]
    assert_refused(await client.get(LIST, headers=headers), 401, "unauthenticated")


async def test_a_key_that_only_looks_right_is_refused(tenant, client):
    """It has the public id of one that exists, and a checksum of its own that holds."""
    other = generate_key()
    await ApiKey.objects.filter(public_id=find_public_id(tenant.key)).aupdate(
        public_id=other.public_id
    )
    assert_refused(await client.get(LIST, headers=bearer(other.text)), 401, "unauthenticated")
    await ApiKey.objects.filter(public_id=other.public_id).aupdate(secret_hash=hash_key(other.text))
    await asyncio.sleep(2 * django_settings.TENANTRY.registry_poll_interval_seconds)
    assert (await client.get(LIST, headers=bearer(other.text))).status_code == 200


async def test_an_unknown_key_is_refused(client):
    headers = bearer(generate_key().text)
    assert_refused(await client.get(LIST, headers=headers), 401, "unauthenticated")


async def test_a_bad_checksum_is_refused_without_a_query(anyone, client, no_directory):
    assert_refused(
        await client.get(LIST, headers=anyone.headers), 503, "database_unavailable"
    )  # So a key that might be one is asked for.
    last = "0" if anyone.key[-1] != "0" else "1"
    swapped = anyone.key[:20] + anyone.key[21] + anyone.key[20] + anyone.key[22:]
    for text in (anyone.key[:-1] + last, anyone.key[:-1], f"{anyone.key[:-1]}é", swapped):
        if text != anyone.key:
            headers = [(b"authorization", f"Bearer {text}".encode())]
            assert_refused(await client.get(LIST, headers=headers), 401, "unauthenticated")


async def test_a_revoked_key_is_refused_within_a_second_and_others_are_not(tenant, client):
    second = await lifecycle.issue_key(tenant.slug, "Second", by=TESTER)
    assert (await client.get(LIST, headers=tenant.headers)).status_code == 200
    await lifecycle.revoke_key(tenant.slug, find_public_id(tenant.key), by=TESTER)
    await refused_within(client, tenant.headers, 401, "unauthenticated")
    assert (await client.get(LIST, headers=bearer(second.text))).status_code == 200


async def test_a_key_is_refused_from_the_moment_at_which_it_expires(tenant, client):
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    key = await lifecycle.issue_key(tenant.slug, "Short-lived", expires_at=soon, by=TESTER)
    assert (await client.get(LIST, headers=bearer(key.text))).status_code == 200
    await refused_within(client, bearer(key.text), 401, "unauthenticated", seconds=0.5)
    assert datetime.now(UTC) >= soon
    assert "expired" in (await client.get(LIST, headers=bearer(key.text))).json()["detail"]


async def test_a_suspended_tenant_is_refused_within_a_second_until_it_is_resumed(tenant, client):
    assert (await client.get(LIST, headers=tenant.headers)).status_code == 200
    await lifecycle.suspend_tenant(tenant.slug, by=TESTER)
    await refused_within(client, tenant.headers, 403, "tenant_suspended")
    await lifecycle.resume_tenant(tenant.slug, by=TESTER)
    deadline = time.monotonic() + 1
    while (await client.get(LIST, headers=tenant.headers)).status_code != 200:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_tenant_that_is_being_deleted_is_refused(tenant, client):
    assert (await client.get(LIST, headers=tenant.headers)).status_code == 200
    await lifecycle.delete_tenant(tenant.slug, by=TESTER)
    await refused_within(client, tenant.headers, 403, "tenant_deleting")
    await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)
    deadline = time.monotonic() + 1
    while (await client.get(LIST, headers=tenant.headers)).status_code != 401:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_tenant_that_is_still_being_made_is_unknown(tenant, client):
    await Tenant.objects.filter(slug=tenant.slug).aupdate(status="provisioning")
    answer = await client.get(LIST, headers=tenant.headers)
    unknown = await client.get(LIST, headers=bearer(generate_key().text))
    assert_refused(answer, 401, "unauthenticated")
    assert without_request_id(answer) == without_request_id(unknown)
    host = {"host": f"{tenant.slug}.localhost"}
    assert_refused(await client.get(LIST, headers=host), 400, "invalid_host")


# What a key may do


async def test_a_reading_key_may_not_write_and_a_writing_key_may_not_read(make_tenant, client):
    reader, writer = await make_tenant(scopes=["read"]), await make_tenant(scopes=["write"])
    assert (await client.get(LIST, headers=reader.headers)).status_code == 200
    assert_refused(await client.post(LIST, headers=reader.headers, json={}), 403, "scope_missing")
    assert (await client.post(LIST, headers=writer.headers, json={})).status_code == 201
    assert_refused(await client.get(LIST, headers=writer.headers), 403, "scope_missing")


async def test_a_scope_is_checked_before_the_body_is_looked_at(make_tenant, client):
    reader = await make_tenant(scopes=["read"])
    for content in (b"{", b"[" * 100_000, b'{"unknown": 1}', b""):
        answer = await client.post(LIST, headers=reader.headers, content=content)
        assert_refused(answer, 403, "scope_missing")


async def test_a_route_may_ask_for_a_scope_of_its_own(make_tenant, client):
    both, admin = await make_tenant(), await make_tenant(scopes=["admin"])
    path = "/api/v1/notes"
    assert_refused(await client.delete(path, headers=both.headers), 403, "scope_missing")
    assert (await client.delete(path, headers=admin.headers)).status_code == 204


async def test_a_module_that_is_not_enabled_is_not_there(make_tenant, client):
    tenant = await make_tenant(modules=["conversations"])
    for path in ("/api/v1/notes/x", "/api/v1/notes/note_" + "0" * 32):
        answer = await client.get(path, headers=tenant.headers)
        assert_refused(answer, 404, "module_not_enabled")
    assert (await client.get(LIST, headers=tenant.headers)).status_code == 200
    await lifecycle.enable_module(tenant.slug, "sample", by=TESTER)
    deadline = time.monotonic() + 1
    while (await client.get(path, headers=tenant.headers)).json()["code"] != "not_found":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


# Hosts


async def test_a_key_works_on_its_tenants_hosts(tenant, client):
    domain = f"{tenant.slug}.example.com"
    await Domain.objects.acreate(host=domain, tenant=tenant.row, verified_at=datetime.now(UTC))
    for host in (
        f"{tenant.slug}.localhost",
        f"{tenant.slug}.localhost:8000",
        f"{tenant.slug.upper()}.LocalHost",
        domain,
        "localhost",
        "127.0.0.1:8000",
    ):
        answer = await client.get(LIST, headers={**tenant.headers, "host": host})
        assert answer.status_code == 200, host


async def test_a_key_on_another_tenants_host_is_an_unknown_key(fleet, client):
    ours, theirs = fleet[:2]
    host = {"host": f"{theirs.slug}.localhost"}
    answer = await client.get(LIST, headers={**ours.headers, **host})
    unknown = await client.get(LIST, headers={**bearer(generate_key().text), **host})
    assert_refused(answer, 401, "unauthenticated")
    assert without_request_id(answer) == without_request_id(unknown)
    assert {*answer.headers} == {*unknown.headers}


async def test_a_suspended_tenants_key_tells_nothing_on_another_tenants_host(make_tenant, client):
    ours, theirs = await make_tenant(), await make_tenant()
    await lifecycle.suspend_tenant(ours.slug, by=TESTER)
    headers = {**ours.headers, "host": f"{theirs.slug}.localhost"}
    assert_refused(await client.get(LIST, headers=headers), 401, "unauthenticated")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com",
        "unknown.localhost",
        "www.localhost",
        ".localhost",
        "a.b.localhost",
        "localhost.",
        "localhost.evil.com",
        "localhost@evil.com",
        "localhost/evil",
        "localhost:port",
        "localhost:80:80",
        "",
        " ",
        "a' OR 1=1 --",
        "x" * 300,
    ],
)
async def test_a_foreign_or_bad_host_is_refused(anyone, client, host):
    answer = await client.get(LIST, headers={**anyone.headers, "host": host})
    assert_refused(answer, 400, "invalid_host")


async def test_an_absent_host_is_refused(anyone, client):
    request = client.build_request("GET", LIST, headers=anyone.headers)
    del request.headers["host"]
    assert_refused(await client.send(request), 400, "invalid_host")


async def test_duplicates_of_the_host_are_refused(fleet, client):
    ours, theirs = fleet[:2]
    names = ["localhost", f"{ours.slug}.localhost", f"{theirs.slug}.localhost"]
    for first in names:
        for second in names:
            headers = [*ours.headers.items(), ("Host", first), ("Host", second)]
            answer = await client.get(LIST, headers=headers)
            assert_refused(answer, 400, "invalid_host")


async def test_a_forwarded_host_is_ignored(fleet, client):
    ours, theirs = fleet[:2]
    for value in (f"{theirs.slug}.localhost", "evil.example.com"):
        for name in ("X-Forwarded-Host", "Forwarded", "X-Host", "X_Forwarded_Host"):
            answer = await client.get(LIST, headers={**ours.headers, name: value})
            assert answer.status_code == 200
        headers = {**ours.headers, "host": "evil.example.com", "X-Forwarded-Host": "localhost"}
        assert_refused(await client.get(LIST, headers=headers), 400, "invalid_host")


@pytest.mark.parametrize(
    "name", ["X_Tenant", "X-Tenant-Id", "X_TENANT_ID", "Tenant", "Host-Tenant"]
)
async def test_a_header_that_seems_to_name_a_tenant_is_ignored(fleet, make_tenant, client, name):
    ours, theirs = await make_tenant(), fleet[0]
    made = await client.post(LIST, headers=ours.headers, json={"title": ours.slug})
    for value in (theirs.slug, str(theirs.ref.id), theirs.ref.schema):
        answer = await client.get(LIST, headers={**ours.headers, name: value})
        assert [conversation["id"] for conversation in answer.json()["data"]] == [made.json()["id"]]
        assert_refused(await client.get(LIST, headers={name: value}), 401, "unauthenticated")


async def test_a_header_that_names_a_tenant_must_mean_the_keys(fleet, client):
    ours, theirs = fleet[:2]
    unknown = await client.get(LIST, headers=bearer(generate_key().text))
    for host in ("localhost", f"{ours.slug}.localhost"):
        headers = {**ours.headers, "host": host, "X-Tenant": ours.slug}
        assert (await client.get(LIST, headers=headers)).status_code == 200
    for named in (theirs.slug, "unknown", "", ours.slug.upper(), str(ours.ref.id), "x" * 5_000):
        answer = await client.get(LIST, headers={**ours.headers, "X-Tenant": named})
        assert_refused(answer, 401, "unauthenticated")
        assert without_request_id(answer) == without_request_id(unknown)
    twice = [*ours.headers.items(), ("X-Tenant", ours.slug), ("X-Tenant", ours.slug)]
    assert_refused(await client.get(LIST, headers=twice), 401, "unauthenticated")


async def test_a_host_and_a_header_that_disagree_are_refused(fleet, client):
    ours, theirs = fleet[:2]
    for host, named in ((ours, theirs), (theirs, ours)):
        headers = {"host": f"{host.slug}.localhost", "X-Tenant": named.slug}
        for key in (ours.headers, theirs.headers):
            answer = await client.get(LIST, headers={**headers, **key})
            assert_refused(answer, 401, "unauthenticated")
        assert_refused(await client.get(LIST, headers=headers), 400, "tenant_missing")


@pytest.mark.parametrize("name", ["X_Authorization", "HTTP_AUTHORIZATION", "Http-Authorization"])
async def test_a_header_that_resembles_authorization_is_ignored(anyone, client, name):
    headers = {name: anyone.headers["Authorization"]}
    assert_refused(await client.get(LIST, headers=headers), 401, "unauthenticated")


# Keys where they don't belong


@pytest.mark.parametrize(
    "url",
    [
        "/api/v1/conversations?key={key}",
        "/api/v1/conversations?{key}",
        "/api/v1/conversations?a=b&api_key=Bearer%20{key}",
        "/api/v1/{key}",
        "/api/v1/conversations/{key}/messages",
        "/api/v1/conversations?key={escaped}",
        "/api/v1/conversations/{escaped}",
        "/{key}",
        "/admin/login/?next={key}",
    ],
)
async def test_a_key_in_the_url_is_refused_and_never_logged(anyone, client, log_lines, url):
    escaped = anyone.key.replace("_", "%5F")
    url = url.format(key=anyone.key, escaped=escaped)
    answer = await client.get(url, headers=anyone.headers)
    assert_refused(answer, 400, "key_in_url")
    assert anyone.key not in answer.text
    logged = log_lines()
    assert '"event":"request"' in logged
    for secret in (anyone.key, escaped, anyone.key[17:49]):
        assert secret not in logged


async def test_a_key_in_a_header_is_never_logged(anyone, client, log_lines):
    for headers in (
        anyone.headers,
        {"Authorization": f"Basic {anyone.key}"},
        {**anyone.headers, "X-Request-Id": anyone.key},
        {**anyone.headers, "Host": anyone.key},
        {**anyone.headers, "User-Agent": anyone.key},
    ):
        await client.get(LIST, headers=headers)
    logging.getLogger("somebody").warning("a library tells %s", anyone.key)
    logged = log_lines()
    assert logged.count('"event":"request"') == 5
    assert "a library tells" in logged
    assert anyone.key[17:49] not in logged


# What is remembered of it


async def test_a_use_is_noted_of_a_key_that_was_let_in(anyone, client):
    class Noting(NoDirectory):
        used: list[str] = []  # noqa: RUF012

        async def find_key(self, public_id):
            return await kept.find_key(public_id)

        def note_use(self, public_id):
            self.used.append(public_id)

    kept = get_directory()
    set_directory(Noting())
    try:
        await client.get(LIST, headers=anyone.headers)
        await client.get(LIST, headers=bearer(generate_key().text))
    finally:
        set_directory(kept)
    assert Noting.used == [find_public_id(anyone.key)]


async def test_a_registry_that_cannot_be_asked_lets_nobody_in(application, anyone, no_directory):
    async with connect(application, tenant=anyone) as client:
        answer = await client.get(LIST)
        assert_refused(answer, 503, "database_unavailable")
        assert answer.headers["retry-after"] == "1"
        host = {"host": f"{anyone.slug}.localhost"}
        assert (await client.get(LIST, headers=host)).status_code == 503


def test_the_client_of_these_tests_sends_headers_as_given():
    request = httpx.Request("GET", "http://localhost", headers=[("Host", "a"), ("Host", "b")])
    assert [name for name, _ in request.headers.raw] == [b"Host", b"Host"]
