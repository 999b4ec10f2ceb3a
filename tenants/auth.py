"""Authentication of the tenant API: from a request to its tenant, and what it may do there.

It runs on the event loop and touches neither Django's ORM nor a thread. A caller shows an API
key, or the session of a signed-in member.
"""

import functools
import hmac
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from django.conf import settings
from django.http import HttpRequest
from ninja.security.base import SecuritySchema
from structlog.contextvars import bind_contextvars

from tenants import errors
from tenants.directory import KeyEntry, TenantEntry, get_directory
from tenants.keys import TENANT_PREFIX, Scope, find_public_id, hash_key
from tenants.running import RunningRequest, running
from tenants.sessions import SAFE_METHODS, authenticate_member, name_tenant
from tenants.tenant import TenantRef

KeyT = TypeVar("KeyT", bound=KeyEntry)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as an endpoint finds it in `request.auth`.

    id: the API key's public id, or `user:` and the id of a signed-in member.
    """

    tenant: TenantRef
    scopes: frozenset[str]
    id: str


class TenantRequest(HttpRequest):
    """A request that has been authenticated; for annotating the endpoints of modules."""

    auth: Caller
    running: RunningRequest


class TenantAuth(ABC):
    """What both ways into a tenant check of it.

    scope: what the caller must have; None means `read` for safe methods and `write` for others.
    Raises TenantSuspended, TenantDeleting, ScopeMissing (403), ModuleNotEnabled (404) and
    TooManyRequests (429), in this order.
    """

    openapi_security_schema: SecuritySchema

    def __init__(self, module: str, scope: Scope | None = None) -> None:
        self.module = module
        self.scope = scope

    def let_in(self, request: HttpRequest, tenant: TenantEntry, caller: Caller) -> Caller:
        check_status(tenant)
        scope = self.scope or (Scope.READ if request.method in SAFE_METHODS else Scope.WRITE)
        if scope not in caller.scopes:
            raise errors.ScopeMissing(scope)
        if self.module not in tenant.ref.modules:
            raise errors.ModuleNotEnabled(self.module)
        admit(request, tenant, functools.partial(self, request))
        return caller

    @abstractmethod
    async def __call__(self, request: HttpRequest) -> Caller | None:
        """The caller, or None if the request doesn't try this way in."""


class KeyAuth(TenantAuth):
    """Lets in a valid API key. Passes by a request without the header `Authorization`.

    Raises Unauthenticated (401), and as `TenantAuth` says.
    """

    openapi_security_schema = SecuritySchema(type="http", scheme="bearer")

    async def __call__(self, request: HttpRequest) -> Caller | None:
        if "HTTP_AUTHORIZATION" not in request.META:
            return None
        key = await authenticate_key(request, TENANT_PREFIX, get_directory().find_key)
        ref = key.tenant.ref
        # The host names a tenant too, or a header: they must mean the same one. Whether the other
        # exists is not for this caller to learn, so the answer is that of an unknown key.
        host_tenant: TenantEntry | None = getattr(request, "host_tenant", None)
        by_host = ref.id if host_tenant is None else host_tenant.ref.id
        if by_host != ref.id or request.META.get("HTTP_X_TENANT", ref.slug) != ref.slug:
            raise errors.Unauthenticated
        return self.let_in(request, key.tenant, Caller(ref, key.scopes, key.public_id))


class MemberAuth(TenantAuth):
    """Lets in a signed-in member of the tenant that the host or the header `X-Tenant` names.

    Raises as `authenticate_member` and `TenantAuth` say.
    """

    def __init__(self, module: str, scope: Scope | None = None) -> None:
        super().__init__(module, scope)
        self.openapi_security_schema = SecuritySchema(
            type="apiKey", name=settings.SESSION_COOKIE_NAME, **{"in": "cookie"}
        )

    async def __call__(self, request: HttpRequest) -> Caller | None:
        member = await authenticate_member(request, name_tenant(request))
        caller = Caller(member.tenant.ref, member.scopes, f"user:{member.user_id}")
        return self.let_in(request, member.tenant, caller)


async def authenticate_key(
    request: HttpRequest, prefix: str, find: Callable[[str], Awaitable[KeyT | None]]
) -> KeyT:
    """The valid key in the header `Authorization`. Raises Unauthenticated (401)."""
    scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    public_id = find_public_id(text.strip(), prefix) if scheme.lower() == "bearer" else None
    if public_id is None:
        raise errors.Unauthenticated
    key = await find(public_id)
    if key is None or not hmac.compare_digest(key.secret_hash, hash_key(text.strip())):
        raise errors.Unauthenticated
    if key.revoked_at is not None:
        raise errors.Unauthenticated("This key has been revoked.")
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        raise errors.Unauthenticated("This key has expired.")
    get_directory().note_use(public_id)
    return key


def check_status(tenant: TenantEntry) -> None:
    """Raises TenantSuspended, TenantDeleting (403), Unauthenticated (401) unless it is active."""
    bind_contextvars(tenant=tenant.ref.slug)  # For the logs.
    if tenant.status == "suspended":
        raise errors.TenantSuspended
    if tenant.status == "deleting":
        raise errors.TenantDeleting
    if tenant.status != "active":
        raise errors.Unauthenticated


def admit(
    request: HttpRequest, tenant: TenantEntry, check_again: Callable[[], Awaitable[object]]
) -> None:
    """Count the request among the tenant's. Raises TooManyRequests (429)."""
    running.admit(request.running, tenant.ref.id, tenant.limits, check_again)  # type: ignore[attr-defined]  # Set by the handler.
