"""Members call the API with their session: who is let in, to what, and until when."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import SyncToAsync, sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth import logout
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest

from project.gateway import Gateway
from tenants import lifecycle
from tenants.directory import get_directory, set_directory
from tenants.errors import DatabaseUnavailable
from tenants.keys import generate_key
from tenants.models import User
from tenants.testing import TESTER, connect
from tests.project.exchange import Exchange
from tests.tenants.people import CSRF_TOKEN, begin_session, join, make_user

LIST = "/api/v1/conversations"
NOTES = "/api/v1/notes"
ROLES = ["owner", "admin", "member", "viewer"]


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file; tests that change its state make their own."""
    return await make_tenant()


def outcome(response):
    """Status, and the code of an error."""
    return response.status_code, None if response.is_success else response.json()["code"]


def without_request_id(response):
    return {key: value for key, value in response.json().items() if key != "request_id"}


REFUSED = (401, "unauthenticated")


# What a role may do


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_reads_writes_and_administers_as_far_as_its_scopes_go(client, tenant, role):
    person = await join(tenant, role)
    headers = person.headers(tenant)

    read = await client.get(LIST, headers=headers)
    written = await client.post(LIST, headers=headers, json={})
    administered = await client.delete(NOTES, headers=headers)

    missing = (403, "scope_missing")
    assert outcome(read) == (200, None)
    assert outcome(written) == (missing if role == "viewer" else (201, None))
    assert outcome(administered) == ((204, None) if role in {"owner", "admin"} else missing)


async def test_a_module_that_the_tenant_has_not_is_not_there_for_members(client, make_tenant):
    tenant = await make_tenant(modules=["conversations"])
    person = await join(tenant, "owner")

    answer = await client.get(f"{NOTES}/x", headers=person.headers(tenant))

    assert outcome(answer) == (404, "module_not_enabled")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lifecycle.suspend_tenant, "tenant_suspended"),
        (lifecycle.delete_tenant, "tenant_deleting"),
    ],
)
async def test_a_tenant_that_is_not_active_refuses_its_members_at_once(
    client, make_tenant, change, code
):
    tenant = await make_tenant()
    person = await join(tenant, "owner")
    assert outcome(await client.get(LIST, headers=person.headers(tenant))) == (200, None)

    await change(tenant.slug, by=TESTER)

    assert outcome(await client.get(LIST, headers=person.headers(tenant))) == (403, code)


# Which tenant


async def test_the_tenant_is_named_by_host_or_by_header_or_by_both(client, make_tenant):
    first, second = await make_tenant(), await make_tenant()
    person = await join(first)
    await join(second, "member", person)
    for tenant in (first, second):
        headers = person.headers(tenant)
        assert (
            outcome(await client.post(LIST, headers=headers, json={"title": tenant.slug}))[0] == 201
        )
        host = f"{tenant.slug}.localhost"
        for named in (headers, person.headers(Host=host), person.headers(tenant, Host=host)):
            answer = await client.get(LIST, headers=named)
            assert [row["title"] for row in answer.json()["data"]] == [tenant.slug]


async def test_a_request_that_names_no_tenant_is_told_to(client, tenant):
    person = await join(tenant)

    assert outcome(await client.get(LIST, headers=person.headers())) == (400, "tenant_missing")


async def test_a_host_and_a_header_that_disagree_are_refused(client, make_tenant):
    first, second = await make_tenant(), await make_tenant()
    person = await join(first)
    await join(second, "member", person)

    headers = person.headers(second, Host=f"{first.slug}.localhost")

    assert outcome(await client.get(LIST, headers=headers)) == (400, "tenant_missing")


async def test_another_tenant_is_answered_like_one_that_is_not_there(client, make_tenant):
    tenant, other = await make_tenant(), await make_tenant()
    person = await join(tenant)
    unknown = "nosuchtenant"

    theirs = await client.get(LIST, headers=person.headers(other))
    nobodys = await client.get(LIST, headers=person.headers(X_Tenant=unknown))
    by_host = await client.get(LIST, headers=person.headers(Host=f"{other.slug}.localhost"))

    assert outcome(theirs) == (404, "tenant_not_found")
    expected = without_request_id(theirs)
    for answer, slug in ((nobodys, unknown), (by_host, other.slug)):
        told = without_request_id(answer)
        assert told | {"detail": told["detail"].replace(slug, other.slug)} == expected


async def test_somebody_who_is_only_invited_is_no_member(client, tenant):
    person = await begin_session(await make_user())
    await lifecycle.invite_member(tenant.slug, person.user.email, "owner", by=TESTER)

    answer = await client.get(LIST, headers=person.headers(tenant))

    assert outcome(answer) == (404, "tenant_not_found")


async def test_a_tenant_that_is_still_being_made_is_not_there(client, make_tenant):
    tenant = await make_tenant()
    person = await join(tenant)
    tenant.row.status = "provisioning"
    await tenant.row.asave()

    answer = await client.get(LIST, headers=person.headers(tenant))

    assert outcome(answer) == (404, "tenant_not_found")


@pytest.mark.parametrize(
    "slug", [b"", b" ", b"a\0b", b"\xff", b'a"; drop', b"' OR 1=1", b"x" * 9_000]
)
async def test_a_header_that_can_be_no_slug_names_no_tenant(client, tenant, slug):
    person = await join(tenant)
    headers = [*person.headers().items(), (b"X-Tenant", slug)]

    assert outcome(await client.get(LIST, headers=headers)) == (404, "tenant_not_found")


async def test_a_header_with_an_underscore_names_no_tenant(client, tenant):
    person = await join(tenant)
    headers = [*person.headers().items(), ("X_Tenant", tenant.slug)]

    assert outcome(await client.get(LIST, headers=headers)) == (400, "tenant_missing")


async def test_the_header_twice_names_no_tenant(client, tenant):
    person = await join(tenant)
    headers = [*person.headers(tenant).items(), ("X-Tenant", tenant.slug)]

    assert outcome(await client.get(LIST, headers=headers)) == (404, "tenant_not_found")


# Whether the session counts


@pytest.mark.parametrize(
    "cookie",
    [
        b"",
        b"sessionid",
        b"sessionid=",
        b"sessionid=short",
        b"sessionid=" + b"a" * 32,
        b"sessionid=" + b"a" * 41,
        b"sessionid=" + b"a" * 10_000,
        b"sessionid=" + b"A" * 32,
        b"sessionid=aaaaaaaa\0aaaaaaaa",
        b"sessionid=\xff\xfe\x80aaaaaaaaaaa",
        "sessionid=ключключключ".encode(),
        b"sessionid=' OR 1=1; --",
        b'sessionid="aaaaaaaaaaaaaaaa',
        b"SessionId={session}",
        b"session_id={session}",
        b"csrftoken={session}",
        b"sessionid={session}x",
        b"sessionid={session}; sessionid=aaaaaaaaaaaaaaaa",
    ],
    ids=lambda cookie: cookie[:24].decode("latin1").replace("\0", "NUL"),
)
async def test_a_cookie_that_holds_no_session_is_refused(client, tenant, cookie):
    person = await join(tenant)
    cookie = cookie.replace(b"{session}", person.session.encode())
    headers = [(b"Cookie", cookie), (b"X-Tenant", tenant.slug.encode())]

    answer = await client.get(LIST, headers=headers)

    assert outcome(answer) == REFUSED
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_no_cookie_is_refused_whatever_the_tenant(client, tenant):
    for headers in ({}, {"X-Tenant": tenant.slug}, {"X-Tenant": "nosuchtenant"}):
        assert outcome(await client.get(LIST, headers=headers)) == REFUSED


async def sign_out(person):
    request = HttpRequest()
    request.session = SessionStore(person.session)
    await sync_to_async(logout)(request)


async def let_expire(person):
    past = datetime.now(UTC) - timedelta(seconds=1)
    await Session.objects.filter(session_key=person.session).aupdate(expire_date=past)


async def spoil(person):
    await Session.objects.filter(session_key=person.session).aupdate(session_data="e30:x:y")


async def change_password(person):
    await User.objects.filter(pk=person.user.pk).aupdate(password="!another")


async def deactivate(person):
    await User.objects.filter(pk=person.user.pk).aupdate(is_active=False)


async def delete(person):
    await User.objects.filter(pk=person.user.pk).adelete()


@pytest.mark.parametrize("end", [sign_out, let_expire, spoil, change_password, deactivate, delete])
async def test_a_session_that_has_ended_is_refused_from_the_next_request_on(client, tenant, end):
    person, other = await join(tenant), await join(tenant)
    assert outcome(await client.get(LIST, headers=person.headers(tenant))) == (200, None)

    await end(person)

    assert outcome(await client.get(LIST, headers=person.headers(tenant))) == REFUSED
    assert outcome(await client.get(LIST, headers=other.headers(tenant))) == (200, None)


async def test_a_session_in_which_nobody_has_signed_in_is_refused(client, tenant):
    session = SessionStore()
    session["cart"] = [1]
    await session.asave()
    headers = {"Cookie": f"sessionid={session.session_key}", "X-Tenant": tenant.slug}

    assert outcome(await client.get(LIST, headers=headers)) == REFUSED


async def test_a_way_of_signing_in_that_was_taken_out_of_the_settings_counts_no_more(
    client, tenant, settings
):
    person = await join(tenant)
    settings.AUTHENTICATION_BACKENDS = ["somebody.elses.Backend"]

    assert outcome(await client.get(LIST, headers=person.headers(tenant))) == REFUSED


async def test_an_old_secret_key_goes_on_counting_while_the_settings_say_so(
    client, tenant, settings
):
    person = await join(tenant)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "k" * 50
    assert outcome(await client.get(LIST, headers=person.headers(tenant))) == REFUSED

    settings.SECRET_KEY_FALLBACKS = [old]

    assert outcome(await client.get(LIST, headers=person.headers(tenant))) == (200, None)


async def test_another_role_and_a_removal_count_from_the_next_request_on(client, tenant):
    person = await join(tenant, "viewer")
    headers = person.headers(tenant)
    assert outcome(await client.post(LIST, headers=headers, json={}))[0] == 403

    await lifecycle.change_member(tenant.slug, person.user.email, "member", by=TESTER)
    assert outcome(await client.post(LIST, headers=headers, json={}))[0] == 201

    await lifecycle.remove_member(tenant.slug, person.user.email, by=TESTER)
    assert outcome(await client.get(LIST, headers=headers)) == (404, "tenant_not_found")


# Other sites


async def post(client, headers, **options):
    return outcome(await client.post(LIST, headers=headers, json={}, **options))


FAILED = (403, "csrf_failed")


async def test_reading_needs_no_token(client, tenant):
    person = await join(tenant)
    headers = {**person.cookies, "X-Tenant": tenant.slug}

    assert outcome(await client.get(LIST, headers=headers)) == (200, None)


@pytest.mark.parametrize("token", [None, "", "d" * 32, "c" * 31, "c" * 64, "\xff", "c" * 10_000])
async def test_a_change_needs_the_token_that_is_in_the_cookie(client, tenant, token):
    person = await join(tenant)
    headers = {**person.cookies, "X-Tenant": tenant.slug}
    if token is not None:
        headers["X-CSRFToken"] = token.encode("latin1")

    assert await post(client, headers) == FAILED
    assert await post(client, person.headers(tenant)) == (201, None)


async def test_a_token_without_the_cookie_is_none(client, tenant):
    person = await join(tenant)
    headers = person.headers(tenant) | {"Cookie": f"sessionid={person.session}"}

    assert await post(client, headers) == FAILED


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", f"csrfmiddlewaretoken={CSRF_TOKEN}"),
        ("application/x-www-form-urlencoded; charset=latin1", "x=%ff"),
        ("multipart/form-data; boundary=x", "--x\r\nnonsense"),
        ("multipart/form-data", ""),
        ("text/plain", "{}"),
    ],
)
async def test_a_form_of_another_site_changes_nothing(client, tenant, content_type, body):
    person = await join(tenant)
    headers = {**person.cookies, "X-Tenant": tenant.slug, "Content-Type": content_type}

    answer = await client.post(LIST, headers=headers, content=body)

    assert outcome(answer) == FAILED


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost", (201, None)),
        ("http://evil.example", FAILED),
        ("https://localhost", FAILED),
        ("http://localhost:8000", FAILED),
        ("null", FAILED),
    ],
)
async def test_the_browser_says_from_which_site_a_change_comes(client, tenant, origin, expected):
    person = await join(tenant)

    assert await post(client, person.headers(tenant, Origin=origin)) == expected


async def test_another_tenants_host_is_another_site(client, make_tenant):
    tenant, other = await make_tenant(), await make_tenant()
    person = await join(tenant)
    host = f"{tenant.slug}.localhost"
    ours, theirs = (f"http://{each.slug}.localhost" for each in (tenant, other))

    assert await post(client, person.headers(Host=host, Origin=ours)) == (201, None)
    assert await post(client, person.headers(Host=host, Origin=theirs)) == FAILED


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"Origin": "https://app.localhost"}, (201, None)),
        ({"Referer": "https://app.localhost/accounts/"}, (201, None)),
        ({}, FAILED),
        ({"Origin": "http://app.localhost"}, FAILED),
        ({"Origin": "https://inner"}, FAILED),
        ({"Referer": "https://evil.example/"}, FAILED),
        ({"Referer": "http://app.localhost/"}, FAILED),
    ],
)
async def test_behind_a_trusted_proxy_the_site_is_the_one_that_the_browser_asked(
    application, tenant, settings, more, expected
):
    person = await join(tenant)
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    changes = {"trust_proxy_headers": True, "allowed_hosts": ["app.localhost"]}
    gateway = Gateway(application.settings.model_copy(update=changes), None)
    forwarded = {"X_Forwarded_Host": "app.localhost", "X_Forwarded_Proto": "https"}
    headers = person.headers(tenant, **forwarded, Content_Type="application/json", **more)
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    exchange = await Exchange(
        "POST", LIST, headers=[(b"host", b"inner"), *pairs], chunks=[b"{}"]
    ).run(gateway)

    assert (exchange.status, exchange.status == 201 or exchange.problem["code"]) == (
        expected[0],
        expected[1] or True,
    )


# Beside keys


async def test_a_key_counts_and_not_the_session_that_comes_with_it(client, make_tenant):
    tenant, other = await make_tenant(), await make_tenant()
    person = await join(other, "owner")
    await client.post(LIST, headers=tenant.headers, json={"title": "the key's"})

    both = await client.get(LIST, headers={**person.cookies, **tenant.headers})
    without_token = await client.post(LIST, headers={**person.cookies, **tenant.headers}, json={})
    bad_key = {"Authorization": f"Bearer {generate_key().text}"}
    refused = await client.get(LIST, headers={**person.headers(other), **bad_key})

    assert [row["title"] for row in both.json()["data"]] == ["the key's"]
    assert outcome(without_token) == (201, None)
    assert outcome(refused) == REFUSED


# How it is done


async def test_the_path_of_members_opens_no_django_connection_and_enters_no_thread(
    client, tenant, monkeypatch
):
    def refuse(*_arguments, **_options):
        raise AssertionError("the tenant API must do without this")

    person = await join(tenant)
    expired = await join(tenant)
    await let_expire(expired)
    monkeypatch.setattr(BaseDatabaseWrapper, "connect", refuse)
    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", refuse)
    monkeypatch.setattr(SyncToAsync, "__call__", refuse)
    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", refuse, raising=False)

    answers = [
        await client.post(LIST, headers=person.headers(tenant), json={}),
        await client.get(LIST, headers=person.headers(Host=f"{tenant.slug}.localhost")),
        await client.get(LIST, headers=person.headers(X_Tenant="nosuchtenant")),
        await client.get(LIST, headers=expired.headers(tenant)),
        await client.post(LIST, headers={**person.cookies, "X-Tenant": tenant.slug}, json={}),
    ]

    assert [answer.status_code for answer in answers] == [201, 200, 404, 401, 403]


async def test_a_registry_that_cannot_be_asked_lets_nobody_in(application, tenant):
    class Silent:
        async def fetch(self, *_arguments, **_parameters):
            raise DatabaseUnavailable

    person = await join(tenant)
    kept = get_directory()
    set_directory(Silent())
    try:
        async with connect(application) as client:
            answer = await client.get(LIST, headers=person.headers(tenant))
    finally:
        set_directory(kept)

    assert outcome(answer) == (503, "database_unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_the_document_names_both_ways_in(client):
    document = (await client.get("/api/openapi.json")).json()

    schemes = document["components"]["securitySchemes"]
    assert schemes["KeyAuth"] == {"type": "http", "scheme": "bearer"}
    assert schemes["MemberAuth"] == {
        "type": "apiKey",
        "in": "cookie",
        "name": django_settings.SESSION_COOKIE_NAME,
    }
    ways = document["paths"][LIST]["get"]["security"]
    assert {name for way in ways for name in way} == {"KeyAuth", "MemberAuth"}
