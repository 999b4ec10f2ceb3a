"""The three places where administrators work, each doing the same verbs.

What a place does to a tenant is compared by the registry's rows and the audit log; what it says is
compared by the words of the error.
"""

import html
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth import login as sign_in
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest

from tenants import lifecycle
from tenants.models import Tenant
from tenants.testing import MANAGEMENT_API, TESTER, TestTenant, connect

CSRF = "c" * 32
EXIT_CODES = {404: 3, 409: 4, 422: 2}


@dataclass(frozen=True)
class Outcome:
    """status: that of the API, 200 for whatever succeeds. text: what was said if it didn't."""

    status: int
    text: str = ""


class ApiPlace:
    """The management API, with an operator's key."""

    name = "operator"

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @classmethod
    async def open(cls, application: Any) -> "ApiPlace":
        key = await lifecycle.create_operator("Three places", by=TESTER)
        client = connect(application, base_url=f"http://localhost{MANAGEMENT_API}")
        client.headers["Authorization"] = f"Bearer {key.text}"
        return cls(client)

    async def do(self, verb: str, tenant: TestTenant, **v: Any) -> Outcome:
        path = f"/tenants/{tenant.slug}"
        body = dict(v)
        key, host, member = (body.pop(name, None) for name in ("public_id", "host", "member"))
        module = body.pop("module", None)
        method, tail = {
            "create": ("POST", None),
            "change": ("PATCH", ""),
            "suspend": ("POST", "/suspend"),
            "resume": ("POST", "/resume"),
            "delete": ("DELETE", ""),
            "erase": ("POST", "/erase"),
            "enable_module": ("PUT", f"/modules/{module}"),
            "disable_module": ("DELETE", f"/modules/{module}"),
            "issue_key": ("POST", "/keys"),
            "rotate_key": ("POST", f"/keys/{key}/rotate"),
            "revoke_key": ("POST", f"/keys/{key}/revoke"),
            "add_domain": ("POST", "/domains"),
            "verify_domain": ("POST", f"/domains/{host}/verify"),
            "remove_domain": ("DELETE", f"/domains/{host}"),
            "invite_member": ("POST", "/members"),
            "change_member": ("PATCH", f"/members/{member}"),
            "remove_member": ("DELETE", f"/members/{member}"),
        }[verb]
        if verb == "add_domain":
            body = {"host": host}
        if verb == "rotate_key":
            body = {"overlap_seconds": v["overlap_hours"] * 3600}
        response = await self._client.request(
            method, "/tenants" if tail is None else path + tail, json=body or None
        )
        if response.is_success:
            return Outcome(200)
        return Outcome(response.status_code, response.json()["detail"])


class CommandPlace:
    """The command line."""

    name = "command"

    def __init__(self, run: Callable[..., Awaitable[Any]]) -> None:
        self._run = run

    async def do(self, verb: str, tenant: TestTenant, **v: Any) -> Outcome:
        slug = tenant.slug
        arguments = {
            "create": lambda: ["tenants", "create", v.pop("slug"), *_more(v)],
            "change": lambda: ["tenants", "change", slug, *_more(v)],
            "suspend": lambda: ["tenants", "suspend", slug],
            "resume": lambda: ["tenants", "resume", slug],
            "delete": lambda: ["tenants", "delete", slug],
            "erase": lambda: ["tenants", "erase", slug, "--confirm", v["slug"]],
            "enable_module": lambda: ["tenants", "enable", slug, v["module"]],
            "disable_module": lambda: ["tenants", "disable", slug, v["module"]],
            "issue_key": lambda: [
                *("keys", "create", slug, "--name", v["name"]),
                *(part for scope in v.get("scopes", ()) for part in ("--scope", scope)),
            ],
            "rotate_key": lambda: [
                *("keys", "rotate", slug, v["public_id"]),
                *("--overlap-hours", str(v["overlap_hours"])),
            ],
            "revoke_key": lambda: ["keys", "revoke", slug, v["public_id"]],
            "add_domain": lambda: ["domains", "add", slug, v["host"]],
            "verify_domain": lambda: ["domains", "verify", slug, v["host"]],
            "remove_domain": lambda: ["domains", "remove", slug, v["host"]],
            "invite_member": lambda: ["members", "invite", slug, v["email"], "--role", v["role"]],
            "change_member": lambda: ["members", "change", slug, v["member"], "--role", v["role"]],
            "remove_member": lambda: ["members", "remove", slug, v["member"]],
        }[verb]()
        result = await self._run(*arguments)
        if result.code == 0:
            return Outcome(200)
        (status,) = (status for status, code in EXIT_CODES.items() if code == result.code)
        return Outcome(status, result.err.removeprefix("error: ").strip())


class AdminPlace:
    """Django's admin, as a browser sends its forms."""

    name = "staff"

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @classmethod
    async def open(cls, application: Any) -> "AdminPlace":
        cookies = {
            "sessionid": await sync_to_async(_start_session)(),
            "csrftoken": CSRF,
        }
        return cls(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(application),
                base_url="http://localhost/admin/tenants/tenant",
                cookies=cookies,
            )
        )

    async def do(self, verb: str, tenant: TestTenant, **v: Any) -> Outcome:
        data = {**v, "csrfmiddlewaretoken": CSRF}
        limits = data.pop("limits", None)
        if limits is not None:
            data |= {f"limits_{name}": str(value) for name, value in limits.items()}
        if verb == "erase":
            data["confirm_slug"] = data.pop("slug")
        if verb == "issue_key" and "scopes" not in data:
            data["scopes"] = ["read", "write"]
        if verb == "change":
            data = {"slug": tenant.slug, "name": tenant.row.name, "plan": tenant.row.plan} | data
        if verb == "create":
            data = {"modules": ["conversations", "sample"], "plan": "standard"} | data
            response = await self._client.post("/add/", data=data)
        else:
            response = await self._client.post(f"/{tenant.row.pk}/do/{verb}/", data=data)
        if response.status_code in {200, 302}:
            return Outcome(200)
        return Outcome(response.status_code, _read_page(response.text))


Place = ApiPlace | CommandPlace | AdminPlace


async def snapshot(slug: str) -> dict[str, Any] | None:
    """What the registry holds of a tenant, without what differs from one tenant to the next."""
    tenant = await Tenant.objects.filter(slug=slug).afirst()
    if tenant is None:
        return None
    return {
        "name": tenant.name,
        "status": str(tenant.status),
        "plan": tenant.plan,
        "limits": tenant.limits,
        "modules": tenant.modules,
        "keys": [
            (key.name, key.scopes, key.expires_at is not None, key.revoked_at is not None)
            async for key in tenant.api_keys.order_by("id")
        ],
        "domains": [
            (domain.host.replace(slug, "SLUG"), domain.verified_at is not None)
            async for domain in tenant.domains.order_by("id")
        ],
        "members": [
            (member.email, str(member.role), member.user_id is not None)
            async for member in tenant.memberships.order_by("id")
        ],
    }


def _more(values: dict[str, Any]) -> list[str]:
    options = []
    for name in ("slug", "name", "plan"):
        if name in values:
            options += [f"--{name}", values[name]]
    for name, value in values.get("limits", {}).items():
        options += ["--limit", f"{name}={value}"]
    if "owner_email" in values:
        options += ["--owner", values["owner_email"]]
    return options


def _start_session() -> str:
    """A signed-in superuser's session, without the page that asks for a password."""
    user = get_user_model().objects.create_superuser(f"staff-{secrets.token_hex(4)}")
    request = HttpRequest()
    request.session = SessionStore()
    sign_in(request, user, "django.contrib.auth.backends.ModelBackend")
    request.session.save()
    key: str = request.session.session_key
    return key


def _read_page(page: str) -> str:
    """A page's words, as somebody reads them."""
    text = html.unescape(re.sub(r"<[^>]+>", " ", page))
    return re.sub(r"\s+", " ", text)
