"""Authentication of the tenant API: from a request to its tenant, and what it may do there.

It runs on the event loop and touches neither Django's ORM nor a thread.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest
from ninja.security.base import SecuritySchema
from structlog.contextvars import bind_contextvars

from tenants import errors
from tenants.directory import KeyEntry, TenantEntry, get_directory
from tenants.keys import Scope, find_public_id, hash_key
from tenants.tenant import TenantRef

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as an endpoint finds it in `request.auth`."""

    tenant: TenantRef
    scopes: frozenset[str]
    key_id: str


class TenantRequest(HttpRequest):
    """A request that has been authenticated; for annotating the endpoints of modules."""

    auth: Caller


class KeyAuth:
    """Lets in a valid API key whose tenant has the module, and that has the scope.

    scope: what the key must have; None means `read` for safe methods and `write` for others.
    Raises Unauthenticated (401), TenantSuspended, TenantDeleting, ScopeMissing (403) and
    ModuleNotEnabled (404), in this order.
    """

    def __init__(self, module: str, scope: Scope | None = None) -> None:
        self.module = module
        self.scope = scope
        self.openapi_security_schema = SecuritySchema(type="http", scheme="bearer")

    async def __call__(self, request: HttpRequest) -> Caller:
        public_id, key = await _authenticate(request.META.get("HTTP_AUTHORIZATION", ""))
        ref = key.tenant.ref
        host_tenant: TenantEntry | None = getattr(request, "host_tenant", None)
        # The host names a tenant too: both must mean the same one. Whether the other exists is
        # not for this caller to learn, so the answer is that of an unknown key.
        if host_tenant is not None and host_tenant.ref.id != ref.id:
            raise errors.Unauthenticated
        bind_contextvars(tenant=ref.slug)  # For the logs.
        _check_status(key.tenant.status)
        scope = self.scope or (Scope.READ if request.method in _READING else Scope.WRITE)
        if scope not in key.scopes:
            raise errors.ScopeMissing(scope)
        if self.module not in ref.modules:
            raise errors.ModuleNotEnabled(self.module)
        return Caller(ref, key.scopes, public_id)


async def _authenticate(header: str) -> tuple[str, KeyEntry]:
    scheme, _, text = header.partition(" ")
    public_id = find_public_id(text.strip()) if scheme.lower() == "bearer" else None
    if public_id is None:
        raise errors.Unauthenticated
    directory = get_directory()
    key = await directory.find_key(public_id)
    if key is None or not hmac.compare_digest(key.secret_hash, hash_key(text.strip())):
        raise errors.Unauthenticated
    if key.revoked_at is not None:
        raise errors.Unauthenticated("This API key has been revoked.")
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        raise errors.Unauthenticated("This API key has expired.")
    directory.note_use(public_id)
    return public_id, key


def _check_status(status: str) -> None:
    if status == "suspended":
        raise errors.TenantSuspended
    if status == "deleting":
        raise errors.TenantDeleting
    if status != "active":
        raise errors.Unauthenticated
