"""The pages of people who sign in, over HTTP as they are served."""

import asyncio
import re
import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core import mail
from django.utils import timezone

from tenants import lifecycle
from tenants.accounts import views
from tenants.actor import Actor, ActorKind
from tenants.models import AuditEntry, Membership, User
from tenants.testing import TESTER
from tests.log import log_as_production
from tests.tenants.browser import Browser
from tests.tenants.people import join, make_user, new_email

pytestmark = pytest.mark.usefixtures("quick_passwords")

LIST = "/api/v1/conversations"
PASSWORD = "correct horse battery"
NEW = {"new_password1": "staple battery horse", "new_password2": "staple battery horse"}
CHOSEN = {"new_password1": PASSWORD, "new_password2": PASSWORD}


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file; tests that change its state make their own."""
    return await make_tenant()


@pytest.fixture
async def open_browser(application):
    """Open a browser of its own: `open_browser()`, `open_browser("acme.localhost")`."""
    opened = []

    def open_one(host="localhost"):
        opened.append(Browser(application, host))
        return opened[-1]

    yield open_one
    for each in opened:
        await each.aclose()


@pytest.fixture
def browser(open_browser):
    return open_browser()


async def invite(tenant, email=None, role="member", by=TESTER):
    """Invite somebody, and return the path of the link in the mail."""
    await lifecycle.invite_member(tenant.slug, email or new_email(), role, by=by)
    return path_in(mail.outbox[-1])


def path_in(message):
    (link,) = re.findall(r"https?://\S+", message.body)
    return httpx.URL(link).raw_path.decode()


async def mails(count):
    """Wait until so many have been sent; the last ones leave in a thread."""
    deadline = time.monotonic() + 5
    while len(mail.outbox) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    return mail.outbox


def visible(page):
    """What a page says, without what differs each time it is shown."""
    return re.sub(r'(name="csrfmiddlewaretoken" value=)"[^"]*"', r"\1", page.text)


# Signing in and out


@pytest.mark.parametrize("name", ["{email}", "{EMAIL}", " {email} ", "{username}"])
async def test_people_sign_in_with_their_address_or_their_name(browser, name):
    user = await make_user(password=PASSWORD, username=new_email().partition("@")[0])
    typed = name.format(email=user.email, EMAIL=user.email.upper(), username=user.username)

    page = await browser.sign_in(typed, PASSWORD)

    assert (page.status_code, page.url.path) == (200, "/accounts/")
    assert user.username in page.text


async def test_a_refused_sign_in_does_not_tell_whether_there_is_an_account(open_browser):
    known = await make_user(password=PASSWORD)
    inactive = await make_user(password=PASSWORD, is_active=False)
    unusable = await make_user()
    attempts = [
        (known.email, "wrong"),
        (inactive.email, PASSWORD),
        (unusable.email, PASSWORD),
        (new_email(), PASSWORD),
    ]

    pages = []
    for name, password in attempts:
        page = await open_browser().sign_in(name, password)
        assert (page.status_code, page.url.path) == (200, "/accounts/login/")
        pages.append(visible(page).replace(name, "somebody"))

    assert len(set(pages)) == 1
    assert 'role="alert"' in pages[0]


async def test_a_refused_sign_in_takes_as_long_where_there_is_no_account(open_browser, monkeypatch):
    hashed = []
    encode = MD5PasswordHasher.encode

    def count(self, password, salt):
        hashed.append(password)
        return encode(self, password, salt)

    known = await make_user(password=PASSWORD)
    monkeypatch.setattr(MD5PasswordHasher, "encode", count)

    for name in (known.email, known.email.upper(), new_email(), "nobody"):
        hashed.clear()
        await open_browser().sign_in(name, "wrong")
        assert len(hashed) == 1


@pytest.mark.parametrize("name", ["", "\0", "a" * 151, "a\0b"])
async def test_what_can_be_no_name_is_refused_like_any_other_mistake(browser, name):
    page = await browser.sign_in(name, PASSWORD)

    assert (page.status_code, page.url.path) == (200, "/accounts/login/")
    assert "errorlist" in page.text


async def test_a_session_that_somebody_planted_is_not_the_one_that_is_signed_in(browser):
    user = await make_user(password=PASSWORD)
    planted = SessionStore()
    planted["anything"] = 1
    await planted.asave()
    browser.cookies.set("sessionid", planted.session_key, domain="localhost.local")

    page = await browser.sign_in(user.email, PASSWORD)

    assert user.email in page.text
    assert browser.cookies["sessionid"] != planted.session_key
    assert not await Session.objects.filter(session_key=planted.session_key).aexists()


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "http:evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "https://localhost@evil.example/",
        "http://localhost.evil.example/",
        " //evil.example",
    ],
)
async def test_nobody_is_sent_elsewhere_by_signing_in_or_out(browser, target):
    user = await make_user(password=PASSWORD)
    login = httpx.URL("/accounts/login/", params={"next": target})

    page = await browser.sign_in(user.email, PASSWORD, str(login))
    assert str(page.url) == "http://localhost/accounts/"

    left = await browser.submit(page, "Sign out", next=target)
    assert str(left.url) == "http://localhost/accounts/login/"


async def test_signing_in_leads_to_where_somebody_was_going(browser):
    user = await make_user(password=PASSWORD)

    page = await browser.sign_in(user.email, PASSWORD, "/accounts/password_change/")

    assert page.url.path == "/accounts/password_change/"


async def test_signing_out_ends_the_session_everywhere(browser, client, tenant):
    user = await make_user(password=PASSWORD)
    await Membership.objects.acreate(tenant=tenant.row, user=user, email=user.email)
    page = await browser.sign_in(user.email, PASSWORD)
    cookie = {"Cookie": f"sessionid={browser.cookies['sessionid']}", "X-Tenant": tenant.slug}
    assert (await client.get(LIST, headers=cookie)).status_code == 200

    assert (await browser.get("/accounts/logout/")).status_code == 405
    page = await browser.submit(page, "Sign out")

    assert page.url.path == "/accounts/login/"
    assert (await client.get(LIST, headers=cookie)).status_code == 401
    assert (await browser.get("/accounts/")).url.path == "/accounts/login/"


async def test_scripts_can_read_the_token_and_not_the_session(browser):
    user = await make_user(password=PASSWORD)
    page = await browser.sign_in(user.email, PASSWORD)

    set_cookies = [
        value
        for response in [*page.history, page]
        for value in response.headers.get_list("set-cookie")
    ]
    session = next(value for value in set_cookies if value.startswith("sessionid="))
    token = next(value for value in set_cookies if value.startswith("csrftoken="))
    assert "HttpOnly" in session
    assert "HttpOnly" not in token
    for value in (session, token):
        assert "SameSite=Lax" in value
        assert "Domain" not in value


async def test_a_form_that_is_too_old_is_refused_on_a_page(browser):
    page = await browser.get("/accounts/login/")
    browser.cookies.clear()

    answer = await browser.submit(page, "Sign in", username="x", password="x")

    assert answer.status_code == 403
    assert "This form is too old" in answer.text


# One's tenants


async def test_people_see_their_tenants_and_no_others(browser, make_tenant):
    first, suspended, leaving, others = [await make_tenant() for _ in range(4)]
    user = await make_user(password=PASSWORD)
    for tenant in (first, suspended, leaving):
        await Membership.objects.acreate(
            tenant=tenant.row, user=user, email=user.email, role="viewer"
        )
    await lifecycle.change_tenant(first.slug, name="<script>O'Hara", by=TESTER)
    await lifecycle.suspend_tenant(suspended.slug, by=TESTER)
    await lifecycle.delete_tenant(leaving.slug, by=TESTER)

    page = await browser.sign_in(user.email, PASSWORD)

    assert "&lt;script&gt;O&#x27;Hara" in page.text
    assert f"http://{first.slug}.localhost:8000" in page.text
    assert "viewer" in page.text
    assert suspended.slug in page.text
    assert ">suspended<" in page.text
    assert leaving.slug not in page.text
    assert others.slug not in page.text
    assert "X-CSRFToken" in page.text


async def test_many_tenants_come_in_pages(browser, make_tenant, monkeypatch):
    monkeypatch.setattr(views, "_PAGE_LENGTH", 1)
    user = await make_user(password=PASSWORD)
    for name in ("Alpha", "Beta"):
        tenant = await make_tenant()
        await lifecycle.change_tenant(tenant.slug, name=name, by=TESTER)
        await Membership.objects.acreate(tenant=tenant.row, user=user, email=user.email)

    page = await browser.sign_in(user.email, PASSWORD)
    following = await browser.get("/accounts/?page=2")

    assert ("Alpha" in page.text, "Beta" in page.text) == (True, False)
    assert ("Alpha" in following.text, "Beta" in following.text) == (False, True)
    for number in ("3", "x", "-1", ""):
        assert (await browser.get("/accounts/", params={"page": number})).status_code == 200


async def test_somebody_without_a_tenant_is_told_so(browser):
    user = await make_user(password=PASSWORD)

    assert "no member of any tenant" in (await browser.sign_in(user.email, PASSWORD)).text


async def test_a_session_of_a_tenants_host_calls_its_api(open_browser, make_tenant):
    tenant, other = await make_tenant(), await make_tenant()
    user = await make_user(password=PASSWORD)
    for each in (tenant, other):
        await Membership.objects.acreate(tenant=each.row, user=user, email=user.email)
    browser = open_browser(f"{tenant.slug}.localhost")

    page = await browser.sign_in(user.email, PASSWORD)
    assert (page.status_code, page.url.host) == (200, f"{tenant.slug}.localhost")
    read = await browser.get(LIST)
    token = {"X-CSRFToken": browser.csrf_token, "Origin": str(browser.base_url).rstrip("/")}
    written = await browser.post(LIST, json={"title": "Mine"}, headers=token)
    without_token = await browser.post(LIST, json={})
    elsewhere = await browser.get(LIST, headers={"X-Tenant": other.slug})

    assert [answer.status_code for answer in (read, written, without_token, elsewhere)] == [
        *(200, 201, 403, 400)
    ]
    style = re.search(r'href="(/static/[^"]+)"', page.text)[1]
    assert (await browser.get(style)).status_code == 200


# Passwords


async def test_changing_the_password_keeps_this_browser_and_signs_out_the_others(
    open_browser, client, tenant
):
    user = await make_user(password=PASSWORD)
    await Membership.objects.acreate(tenant=tenant.row, user=user, email=user.email)
    here, elsewhere = open_browser(), open_browser()
    for each in (here, elsewhere):
        await each.sign_in(user.email, PASSWORD)
    old = {"Cookie": f"sessionid={elsewhere.cookies['sessionid']}", "X-Tenant": tenant.slug}
    assert (await client.get(LIST, headers=old)).status_code == 200

    page = await here.get("/accounts/password_change/")
    wrong = await here.submit(page, "Change password", old_password="wrong", **NEW)
    weak = await here.submit(
        page,
        "Change password",
        old_password=PASSWORD,
        new_password1="password",
        new_password2="password",
    )
    done = await here.submit(page, "Change password", old_password=PASSWORD, **NEW)

    for refused in (wrong, weak):
        assert refused.url.path == "/accounts/password_change/"
        assert "errorlist" in refused.text
    assert "Your password has been changed." in done.text
    assert done.url.path == "/accounts/"
    assert (await elsewhere.get("/accounts/")).url.path == "/accounts/login/"
    assert (await client.get(LIST, headers=old)).status_code == 401
    assert (await open_browser().sign_in(user.email, NEW["new_password1"])).url.path == "/accounts/"


async def ask_for_reset(browser, email):
    page = await browser.get("/accounts/password_reset/")
    return await browser.submit(page, "Send the link", email=email)


async def test_a_forgotten_password_is_set_anew_by_a_mailed_link(open_browser):
    user = await make_user(password=PASSWORD)
    signed_in, browser = open_browser(), open_browser()
    await signed_in.sign_in(user.email, PASSWORD)

    await ask_for_reset(browser, user.email.upper())
    (message,) = await mails(1)
    assert message.to == [user.email]
    assert "within 3 hours" in message.body
    page = await browser.get(path_in(message))
    assert page.url.path.endswith("/set-password/")
    weak = await browser.submit(page, "Set password", new_password1="1", new_password2="1")
    assert "errorlist" in weak.text
    done = await browser.submit(page, "Set password", **NEW)

    assert "Your password has been set." in done.text
    assert (await signed_in.get("/accounts/")).url.path == "/accounts/login/"
    assert (await browser.sign_in(user.email, PASSWORD)).url.path == "/accounts/login/"
    assert (await browser.sign_in(user.email, NEW["new_password1"])).url.path == "/accounts/"
    assert "This link has been used" in (await open_browser().get(path_in(message))).text


async def test_asking_for_a_password_does_not_tell_whether_there_is_an_account(open_browser):
    known = await make_user(password=PASSWORD)
    inactive = await make_user(password=PASSWORD, is_active=False)
    invited_only = await make_user()

    pages = [
        visible(await ask_for_reset(open_browser(), email))
        for email in (new_email(), inactive.email, invited_only.email, known.email)
    ]

    assert len(set(pages)) == 1
    assert "If there is an account" in pages[0]
    assert [message.to for message in await mails(1)] == [[known.email]]


async def test_asking_for_a_password_does_not_wait_for_the_mail(browser, monkeypatch):
    let_go, sent = threading.Event(), threading.Event()

    def stall(_self):
        let_go.wait(5)
        sent.set()

    monkeypatch.setattr("django.core.mail.EmailMultiAlternatives.send", stall)
    user = await make_user(password=PASSWORD)

    page = await ask_for_reset(browser, user.email)

    assert "If there is an account" in page.text
    assert not sent.is_set()
    let_go.set()
    assert await asyncio.to_thread(sent.wait, 5)


async def test_the_mailed_link_leads_to_the_service_whatever_host_was_asked(open_browser, tenant):
    user = await make_user(password=PASSWORD)

    await ask_for_reset(open_browser(f"{tenant.slug}.localhost"), user.email)

    (message,) = await mails(1)
    assert "http://localhost:8000/accounts/reset/" in message.body
    assert tenant.slug not in message.body


async def test_a_link_to_a_new_password_expires(browser, monkeypatch):
    user = await make_user(password=PASSWORD)
    await ask_for_reset(browser, user.email)
    (message,) = await mails(1)
    later = datetime.now() + timedelta(hours=3, seconds=1)  # noqa: DTZ005  # As Django has it.
    monkeypatch.setattr(
        "django.contrib.auth.tokens.PasswordResetTokenGenerator._now", lambda _self: later
    )

    page = await browser.get(path_in(message))

    assert "This link has been used, has expired" in page.text


# Invitations


async def test_somebody_new_makes_an_account_joins_and_is_signed_in(browser, client, tenant):
    email = new_email()
    by = Actor(ActorKind.MEMBER, "1", "boss@example.com", "owner")
    path = await invite(tenant, email, "viewer", by)

    page = await browser.get(path)
    for words in ("boss@example.com", email, tenant.row.name, "viewer", "UTC"):
        assert words in page.text
    different = await browser.submit(page, "Join", **{**CHOSEN, "new_password2": "another"})
    weak = await browser.submit(page, "Join", new_password1="12345678", new_password2="12345678")
    similar = await browser.submit(page, "Join", new_password1=email, new_password2=email)
    for refused in (different, weak, similar):
        assert refused.status_code == 200
        assert "errorlist" in refused.text
    assert not await User.objects.filter(email=email).aexists()
    joined = await browser.submit(page, "Join", email="boss@example.com", **CHOSEN)

    assert joined.url.path == "/accounts/"
    assert f"You are now viewer of {tenant.row.name}." in joined.text
    user = await User.objects.aget(email=email)
    headers = {"Cookie": f"sessionid={browser.cookies['sessionid']}", "X-Tenant": tenant.slug}
    assert (await client.get(LIST, headers=headers)).status_code == 200
    entry = await AuditEntry.objects.aget(action="member.joined", target=email)
    assert (entry.actor_kind, entry.actor_id, entry.actor_name) == ("member", str(user.pk), email)
    assert (entry.address, len(entry.request_id)) == ("127.0.0.1", 32)


async def test_an_operators_name_is_not_told(browser, tenant):
    page = await browser.get(await invite(tenant))

    assert TESTER.name not in page.text
    assert "This is an invitation for" in page.text


async def test_somebody_with_an_account_signs_in_first_and_then_accepts(browser, tenant):
    user = await make_user(password=PASSWORD)
    path = await invite(tenant, user.email)

    page = await browser.get(path)
    assert "new_password1" not in page.text
    sign_in = re.search(r'href="(/accounts/login/\?[^"]+)"', page.text)[1]
    page = await browser.sign_in(user.email, PASSWORD, sign_in)
    assert page.url.path == httpx.URL(path).path
    assert await Membership.objects.filter(user=user).acount() == 0  # Looking accepts nothing.
    joined = await browser.submit(page, "Accept")

    assert f"You are now member of {tenant.row.name}." in joined.text
    assert (await Membership.objects.aget(user=user)).tenant_id == tenant.row.pk


async def test_somebody_else_is_told_and_offered_to_sign_out(browser, tenant):
    other = await make_user(password=PASSWORD)
    await browser.sign_in(other.email, PASSWORD)
    path = await invite(tenant)

    page = await browser.get(path)
    assert f"You are signed in as <strong>{other.email}</strong>" in page.text
    assert ">Accept<" not in page.text
    page = await browser.submit(page, "Sign out to go on")

    assert page.url.path == httpx.URL(path).path
    assert "new_password1" in page.text


async def test_nobody_accepts_what_is_meant_for_another(browser, tenant):
    other = await make_user(password=PASSWORD)
    await browser.sign_in(other.email, PASSWORD)
    path = await invite(tenant)

    answer = await browser.post(path, headers={"X-CSRFToken": browser.csrf_token})

    assert answer.status_code == 404
    assert "for another e-mail address" in answer.text
    assert not await Membership.objects.filter(user=other).aexists()


async def test_another_site_cannot_accept(browser, tenant):
    user = await make_user(password=PASSWORD)
    await browser.sign_in(user.email, PASSWORD)
    path = await invite(tenant, user.email)

    for headers in ({}, {"X-CSRFToken": browser.csrf_token, "Origin": "http://evil.example"}):
        assert (await browser.post(path, headers=headers)).status_code == 403

    assert not await Membership.objects.filter(user=user).aexists()


async def replaced(tenant, email):
    await invite(tenant, email)


async def taken_back(tenant, email):
    await lifecycle.remove_member(tenant.slug, email, by=TESTER)


async def used(tenant, email):
    user = await make_user(email)
    await Membership.objects.filter(email=email).aupdate(user=user)


@pytest.mark.parametrize("end", [replaced, taken_back, used])
async def test_a_link_that_is_good_no_more_says_so(browser, tenant, end):
    email = new_email()
    path = await invite(tenant, email)
    await end(tenant, email)

    page = await browser.get(path)

    assert page.status_code == 404
    assert "This invitation does not exist any more. Ask for a new one." in page.text
    assert tenant.row.name not in page.text


async def test_a_link_that_has_expired_says_so(browser, tenant, monkeypatch):
    long_ago = datetime.now(UTC) - timedelta(days=7, seconds=1)
    with monkeypatch.context() as then:
        then.setattr(timezone, "now", lambda: long_ago)
        path = await invite(tenant)

    page = await browser.get(path)

    assert page.status_code == 404
    assert "This invitation has expired. Ask for a new one." in page.text


@pytest.mark.parametrize("token", ["x", "a:b:c", "%F0%9F%94%91", "a" * 5_000])
async def test_a_link_that_was_never_made_is_like_one_that_is_good_no_more(browser, token):
    page = await browser.get(f"/accounts/invitations/{token}/")

    assert page.status_code == 404
    assert "does not exist any more" in page.text


async def test_a_tenant_that_is_being_deleted_cannot_be_joined(browser, make_tenant):
    tenant = await make_tenant()
    page = await browser.get(await invite(tenant))
    await lifecycle.delete_tenant(tenant.slug, by=TESTER)

    answer = await browser.submit(page, "Join", **CHOSEN)

    assert answer.status_code == 409
    assert "is deleting" in answer.text


async def test_links_and_passwords_are_in_no_log_line(browser, tenant):
    with log_as_production("DEBUG") as written:
        path = await invite(tenant)
        page = await browser.get(path)
        await browser.post(path)  # Refused for want of a token, which Django logs.
        await browser.submit(page, "Join", **CHOSEN)
        await ask_for_reset(browser, (await User.objects.alatest("pk")).email)
        reset = path_in((await mails(2))[1])
        await browser.get(reset)
    lines = [line for line in written.getvalue().splitlines() if '"httpx"' not in line]
    logged = "\n".join(lines)
    assert '"path":"/accounts/invitations/[redacted]' in logged
    assert '"path":"/accounts/reset/[redacted]' in logged
    for secret in (path.split("/")[3], reset.split("/")[4], PASSWORD):
        assert secret not in logged


# What all pages have in common


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/",
        "/accounts/login/",
        "/accounts/password_change/",
        "/accounts/password_reset/",
        "/accounts/reset/MQ/x/",
        "/accounts/invitations/x/",
        "{invitation}",
    ],
)
@pytest.mark.parametrize("signed_in", [False, True])
async def test_a_page_loads_nothing_but_our_style_and_is_kept_by_nobody(
    browser, tenant, path, signed_in
):
    if signed_in:
        person = await join(tenant)
        browser.cookies.set("sessionid", person.session)
    path = path.format(invitation=await invite(tenant) if "{" in path else "")

    page = await browser.get(path)

    assert page.headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'self'"
    )
    assert "no-store" in page.headers["cache-control"]
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "same-origin"
    assert not re.search(r"<script|<style|\bstyle=|\bon\w+=|<img|<iframe", page.text)
    loaded = re.findall(r'<link[^>]+href="([^"]+)"', page.text)
    assert loaded == ["/static/tenants/accounts.css"]
    assert page.text.count("<h1>") == 1
    style = await browser.get(loaded[0])
    assert style.status_code == 200
    assert not re.search(r"url\(|@import", style.text)


async def test_every_field_has_a_label(browser, tenant):
    for path in ("/accounts/login/", "/accounts/password_reset/", await invite(tenant)):
        page = await browser.get(path)
        inputs = re.findall(r'<input(?![^>]*type="hidden")[^>]*\bid="([^"]+)"', page.text)
        assert inputs
        for field in inputs:
            assert f'<label for="{field}">' in page.text
