"""Authentication of the management API: operators by key, a tenant's own admins by session.

An operator's key reaches every tenant. A signed-in member whose role has the scope `admin` reaches
its own tenant, in the routes that say so: it can see to keys, domains and members, but not to
plans, limits, modules and states.
"""

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from ninja.security.base import SecuritySchema

from tenants import errors
from tenants.actor import Actor, ActorKind
from tenants.auth import admit, authenticate_key, check_status
from tenants.directory import get_directory
from tenants.keys import OPERATOR_PREFIX, OperatorScope, Scope
from tenants.lifecycle import Once
from tenants.limits import Limits
from tenants.running import running
from tenants.sessions import authenticate_member, name_tenant


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who administers, as an endpoint finds it in `request.auth`.

    secret: what it authenticates with; from it the texts of keys are derived, see `Once`.
    scopes: an operator's; none for a member.
    """

    actor: Actor
    secret: bytes
    scopes: Collection[str] = ()

    def require(self, scope: OperatorScope) -> None:
        """Raises ScopeMissing (403)."""
        if scope not in self.scopes:
            raise errors.ScopeMissing(scope)


class AdminRequest(HttpRequest):
    """A request that has been authenticated; for annotating endpoints."""

    auth: Administrator


class AdminAuth:
    """Lets in an operator's key with the scope, and if `members` a tenant's own admin.

    Raises Unauthenticated (401), ScopeMissing (403), for members also as `authenticate_member`
    and `check_status` say.
    """

    openapi_security_schema = SecuritySchema(type="http", scheme="bearer")

    def __init__(self, scope: OperatorScope, *, members: bool = False) -> None:
        self.scope = scope
        self.members = members

    async def __call__(self, request: HttpRequest) -> Administrator:
        slug = name_tenant(request)
        path_slug = _slug_of(request)
        # The host or the header names a tenant too: the path must mean the same one.
        if slug not in {None, path_slug}:
            raise errors.Unauthenticated
        if "HTTP_AUTHORIZATION" not in request.META and self.members:
            return await self._let_member_in(request, path_slug)
        key = await authenticate_key(request, OPERATOR_PREFIX, get_directory().find_operator)
        if self.scope not in key.scopes:
            raise errors.ScopeMissing(self.scope)
        running.admit(request.running, None, Limits(), functools.partial(self, request))  # type: ignore[attr-defined]  # Set by the handler.
        text = request.META["HTTP_AUTHORIZATION"].partition(" ")[2].strip()
        return Administrator(
            _acting(request, ActorKind.OPERATOR, key.public_id, key.name), text.encode(), key.scopes
        )

    async def _let_member_in(self, request: HttpRequest, slug: str | None) -> Administrator:
        member = await authenticate_member(request, slug)
        check_status(member.tenant)
        if Scope.ADMIN not in member.scopes:
            raise errors.ScopeMissing(Scope.ADMIN)
        admit(request, member.tenant, functools.partial(self, request))
        return Administrator(
            _acting(request, ActorKind.MEMBER, str(member.user_id), member.username, member.role),
            member.secret,
        )


def promise_once(
    request: AdminRequest, idempotency_key: str | None, body: Mapping[str, Any]
) -> Once | None:
    """What a request with the header `Idempotency-Key` promises; None without the header."""
    if idempotency_key is None:
        return None
    content = {"path": request.path, "body": body}
    return Once.of(request.auth.secret, idempotency_key, content)


def _slug_of(request: HttpRequest) -> str | None:
    match = request.resolver_match
    return match.kwargs.get("slug") if match else None


def _acting(
    request: HttpRequest, kind: ActorKind, actor_id: str, name: str, role: str | None = None
) -> Actor:
    return Actor(
        kind,
        actor_id,
        name,
        role,
        address=request.META.get("REMOTE_ADDR", ""),
        request_id=request.request_id,  # type: ignore[attr-defined]  # Set by the handler.
    )
