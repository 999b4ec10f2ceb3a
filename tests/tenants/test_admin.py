"""The admin over HTTP, as it is served: Django's own ASGI handler, behind the gateway."""

import re
import secrets
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async

from tenants import lifecycle
from tenants.models import ApiKey, Domain, Tenant, User

TENANTS = "/admin/tenants/tenant/"


def csrf_token(page: httpx.Response) -> str:
    match = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert match is not None
    return match[1]


@pytest.fixture(scope="session")
async def admin(application: Any) -> Any:
    """A browser in which an administrator has signed in."""
    password = secrets.token_urlsafe(12)
    await sync_to_async(User.objects.create_superuser)("operator", password=password)
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", follow_redirects=True
    ) as browser:
        token = csrf_token(await browser.get("/admin/login/"))
        credentials = {"username": "operator", "password": password, "next": "/admin/"}
        page = await browser.post(
            "/admin/login/", data={**credentials, "csrfmiddlewaretoken": token}
        )
        assert "Registry" in page.text
        yield browser


async def onboard(admin: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    token = csrf_token(await admin.get(f"{TENANTS}add/"))
    return await admin.post(f"{TENANTS}add/", data={**fields, "csrfmiddlewaretoken": token})


async def act(admin: httpx.AsyncClient, path: str, action: str, pk: object) -> httpx.Response:
    token = csrf_token(await admin.get(path))
    data = {"action": action, "_selected_action": [str(pk)], "csrfmiddlewaretoken": token}
    return await admin.post(path, data=data)


async def test_the_form_onboards_a_tenant_whose_key_works(admin, client):
    slug = f"a{secrets.token_hex(5)}"

    page = await onboard(admin, slug=slug, name="Acme", modules=["conversations"])

    (key,) = set(re.findall(r"tnt_\w+", page.text))
    headers = {"Authorization": f"Bearer {key}"}
    assert (await client.get("/api/v1/conversations", headers=headers)).status_code == 200
    assert (await lifecycle.get_tenant(slug)).modules == ["conversations"]


async def test_a_key_is_shown_only_once(admin):
    slug = f"a{secrets.token_hex(5)}"
    page = await onboard(admin, slug=slug, name="Acme", modules=["conversations"])

    assert "tnt_" in page.text
    assert "tnt_" not in (await admin.get(str(page.url))).text


@pytest.mark.parametrize("slug", ["www", "a", "Ümlaut", "double--hyphen", "x" * 41])
async def test_a_slug_that_cannot_be_is_explained_at_its_field(admin, slug):
    page = await onboard(admin, slug=slug, name="Acme", modules=["conversations"])

    assert "id_slug_error" in page.text
    assert not await Tenant.objects.filter(slug=slug).aexists()


async def test_a_taken_slug_is_explained_at_its_field(admin, tenant):
    page = await onboard(admin, slug=tenant.slug, name="Other", modules=["conversations"])

    assert f"The slug `{tenant.slug}` is taken." in page.text


async def test_actions_suspend_and_resume_a_tenant(admin, tenant):
    await act(admin, TENANTS, "suspend", tenant.row.pk)
    assert (await lifecycle.get_tenant(tenant.slug)).status == "suspended"

    await act(admin, TENANTS, "resume", tenant.row.pk)
    assert (await lifecycle.get_tenant(tenant.slug)).status == "active"


async def test_an_action_issues_a_key_and_another_revokes_it(admin, client, tenant):
    page = await act(admin, TENANTS, "issue_key", tenant.row.pk)
    (key,) = set(re.findall(r"tnt_\w+", page.text))
    headers = {"Authorization": f"Bearer {key}"}
    assert (await client.get("/api/v1/conversations", headers=headers)).status_code == 200

    row = await ApiKey.objects.aget(public_id=key.split("_")[1])
    await act(admin, "/admin/tenants/apikey/", "revoke", row.pk)

    await row.arefresh_from_db()
    assert row.revoked_at is not None


async def test_rows_that_have_a_life_of_their_own_cannot_be_edited_or_deleted(admin, tenant):
    page = await admin.get(f"{TENANTS}{tenant.row.pk}/change/")

    assert page.status_code == 200
    assert 'name="slug"' not in page.text
    assert (await admin.get(f"{TENANTS}{tenant.row.pk}/delete/")).status_code == 403


async def test_a_domain_under_the_base_domain_is_refused(admin, tenant):
    path = "/admin/tenants/domain/add/"
    token = csrf_token(await admin.get(path))
    data = {"tenant": str(tenant.row.pk), "csrfmiddlewaretoken": token}

    await admin.post(path, data={**data, "host": "other.localhost"})
    await admin.post(path, data={**data, "host": f"{tenant.slug}.example.com"})

    hosts = [domain.host async for domain in Domain.objects.filter(tenant=tenant.row)]
    assert hosts == [f"{tenant.slug}.example.com"]


async def test_somebody_who_may_only_look_is_offered_nothing_to_do(application, tenant):
    user = await sync_to_async(User.objects.create_user)(
        f"viewer-{tenant.slug}", password="a-long-password-1", is_staff=True
    )
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", follow_redirects=True
    ) as browser:
        token = csrf_token(await browser.get("/admin/login/"))
        credentials = {"username": user.username, "password": "a-long-password-1"}
        await browser.post("/admin/login/", data={**credentials, "csrfmiddlewaretoken": token})

        assert (await browser.get(TENANTS)).status_code == 403
        assert (await browser.get(f"{TENANTS}add/")).status_code == 403


@pytest.mark.parametrize("model", ["tenant", "apikey", "domain", "membership", "user"])
async def test_every_list_opens(admin, model):
    assert (await admin.get(f"/admin/tenants/{model}/")).status_code == 200


async def test_static_files_are_served(admin):
    assert (await admin.get("/static/admin/css/base.css")).status_code == 200


async def test_the_admin_is_not_on_a_tenants_host(client, tenant):
    answer = await client.get("/admin/", headers={"Host": f"{tenant.slug}.localhost"})

    assert answer.status_code == 404
