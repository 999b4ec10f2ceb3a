"""The admin as a browser uses it: pages with forms, sent with the fields that they show."""

import html
import re
import secrets
from typing import Any

import httpx
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission

from tenants.models import Tenant, User
from tenants.testing import TestTenant
from tests.tenants.people import begin_session, make_user

TENANTS = "/admin/tenants/tenant/"


class Admin(httpx.AsyncClient):
    """A browser in which a member of staff has signed in. Redirects are not followed."""

    def __init__(self, application: Any, user: User, session: str) -> None:
        super().__init__(
            transport=httpx.ASGITransport(application),
            base_url="http://localhost",
            cookies={"sessionid": session},
        )
        self.user = user

    async def submit(self, page: str, path: str | None = None, **fields: Any) -> httpx.Response:
        """Fill in a form of a page, and send it to `path`, by default the page's own."""
        return await self.send_again(path or page, await self.fill_in(page, **fields))

    async def fill_in(self, page: str, **fields: Any) -> dict[str, Any]:
        return {**fields, "csrfmiddlewaretoken": csrf_token(await self.get(page))}

    async def send_again(self, path: str, data: dict[str, Any]) -> httpx.Response:
        return await self.post(path, data=data)

    async def do(self, verb: str, tenant: TestTenant | Tenant, **fields: Any) -> httpx.Response:
        """Send a form of a tenant's page."""
        pk = tenant.pk if isinstance(tenant, Tenant) else tenant.row.pk
        return await self.submit(f"{TENANTS}{pk}/change/", f"{TENANTS}{pk}/do/{verb}/", **fields)

    async def act(self, page: str, action: str, *pks: object) -> httpx.Response:
        """Run an action of a list on some of its rows."""
        selected = [str(pk) for pk in pks]
        return await self.submit(page, action=action, _selected_action=selected, index="0")

    async def onboard(self, **fields: Any) -> httpx.Response:
        return await self.submit(f"{TENANTS}add/", **{"plan": "standard", **fields})


async def sign_in(application: Any, *permissions: str, **fields: Any) -> Admin:
    """A browser of a new member of staff who has these permissions."""
    user = await make_user(is_staff=True, **fields)
    wanted = Permission.objects.filter(codename__in=permissions)
    await sync_to_async(lambda: user.user_permissions.set(wanted))()
    person = await begin_session(user)
    return Admin(application, user, person.session)


def csrf_token(page: httpx.Response) -> str:
    match = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert match is not None, (page.status_code, page.text[:500])
    return match[1]


def keys_on(page: httpx.Response) -> list[str]:
    """The API keys that a page shows."""
    return list(dict.fromkeys(re.findall(r"tnt_\w{12}_\w+", page.text)))


def words_of(page: httpx.Response) -> str:
    """What somebody reads on a page."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.text)))


def problems_on(page: httpx.Response) -> list[str]:
    """What a page says is wrong, above everything and at its fields."""
    alerts = re.findall(r'role="alert">.*?</span>([^<]*)</div>', page.text)
    lists = re.findall(r'<ul class="tn-errors"[^>]*>(.*?)</ul>', page.text)
    fields = [error for each in lists for error in re.findall(r"<li>(.*?)</li>", each)]
    return [html.unescape(problem) for problem in (*alerts, *fields)]


def new_slug() -> str:
    return f"a{secrets.token_hex(6)}"
