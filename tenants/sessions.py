"""Signed-in people: from a session's cookie to the user, and to the tenant that it may enter.

Django keeps the session and says whether it still counts; here it is only read, on the event
loop, with the registry's connections: nothing of it is kept, so that signing out, a new password
and another role count from the next request on.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest, QueryDict
from django.utils.crypto import constant_time_compare
from ninja.utils import check_csrf
from sqlalchemy import text

from tenants import errors
from tenants.directory import TENANT_COLUMNS, TenantEntry, get_directory, make_tenant_entry
from tenants.keys import Scope
from tenants.models import Role, User
from tenants.names import SLUG_PATTERN

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SCOPES_OF_ROLES = {
    Role.OWNER.value: frozenset(Scope),
    Role.ADMIN.value: frozenset(Scope),
    Role.MEMBER.value: frozenset({Scope.READ, Scope.WRITE}),
    Role.VIEWER.value: frozenset({Scope.READ}),
}

_SESSION_KEY = re.compile(r"[a-z0-9]{8,40}")
_FIND_SESSION = text(
    "SELECT session_data FROM django_session WHERE session_key = :key AND expire_date > :now"
)
_FIND_MEMBER = text(
    "SELECT u.id AS user_id, u.username, u.password, u.is_active, m.role, "  # noqa: S608
    f"{TENANT_COLUMNS} FROM tenants_user u LEFT JOIN "
    "(tenants_membership m JOIN tenants_tenant t "
    "ON t.id = m.tenant_id AND t.slug = :slug AND t.status <> 'provisioning') "
    "ON m.user_id = u.id WHERE u.id = :user_id"
)


@dataclass(frozen=True, slots=True)
class MemberEntry:
    """A signed-in user, and its role in the tenant that was asked for.

    secret: what only this session's browser knows.
    """

    user_id: int
    username: str
    role: str
    tenant: TenantEntry
    secret: bytes

    @property
    def scopes(self) -> frozenset[str]:
        return SCOPES_OF_ROLES[self.role]


def name_tenant(request: HttpRequest) -> str | None:
    """The slug that the request's host or its header `X-Tenant` names, or None.

    Raises TenantMissing (400) where they name different ones.
    """
    header: str | None = request.META.get("HTTP_X_TENANT")
    host_tenant: TenantEntry | None = getattr(request, "host_tenant", None)
    if host_tenant is None:
        return header
    if header is not None and header != host_tenant.ref.slug:
        raise errors.TenantMissing("The host and the header `X-Tenant` name different tenants.")
    return host_tenant.ref.slug


async def authenticate_member(request: HttpRequest, slug: str | None) -> MemberEntry:
    """The signed-in user that sends a request, as a member of a tenant.

    slug: of the tenant; None if nothing names one.
    Raises Unauthenticated (401), TenantMissing (400), TenantNotFound (404; also for one of which
    the user is no member), CsrfFailed (403) and DatabaseUnavailable (503).
    """
    session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    if not _SESSION_KEY.fullmatch(session_key):
        raise errors.Unauthenticated
    directory = get_directory()
    stored = await directory.fetch(_FIND_SESSION, key=session_key, now=datetime.now(UTC))
    session = SessionStore().decode(stored.session_data) if stored else {}
    if session.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        raise errors.Unauthenticated
    if slug is None:
        raise errors.TenantMissing
    if not re.match(SLUG_PATTERN, slug):
        raise errors.TenantNotFound(slug)
    row = await directory.fetch(_FIND_MEMBER, user_id=int(session[SESSION_KEY]), slug=slug)
    if row is None or not row.is_active or not _is_current(session, row.password):
        raise errors.Unauthenticated
    if row.role is None:
        raise errors.TenantNotFound(slug)
    _check_csrf(request)
    return MemberEntry(
        row.user_id, row.username, row.role, make_tenant_entry(row), session_key.encode()
    )


def _check_csrf(request: HttpRequest) -> None:
    """Raises CsrfFailed (403) for a change that another site may have made the browser send."""
    if request.method in SAFE_METHODS:
        return
    # The token must stand in the header: a form is what another site can have the browser send.
    form = vars(request).get("_post")
    request.POST = QueryDict()
    is_refused = check_csrf(request) is not None
    if form is not None:
        request.POST = form
    if is_refused:
        raise errors.CsrfFailed


def _is_current(session: dict[str, str], password: str) -> bool:
    """Whether the password is the one with which the session began, as Django has it."""
    user = User(password=password)
    known = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    given = session.get(HASH_SESSION_KEY, "")
    return any(constant_time_compare(given, each) for each in known)
