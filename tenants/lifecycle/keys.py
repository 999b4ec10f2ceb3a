"""A tenant's API keys."""

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError
from django.db.models import Q
from django.utils import timezone

from tenants import audit, errors
from tenants.actor import Actor
from tenants.keys import TENANT_PREFIX, Scope, generate_key
from tenants.lifecycle.creations import CREATION_CONSTRAINT, Once, find_creation, note_creation
from tenants.lifecycle.registry import (
    LIVING,
    check_limit,
    find_tenant,
    in_registry,
    violated_constraint,
)
from tenants.models import ApiKey, Tenant
from tenants.names import validate_name

DEFAULT_SCOPES = (Scope.READ, Scope.WRITE)
DEFAULT_OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new API key: its row, and its text, which is known only now.

    replayed: it had been issued before, to a request that this one repeats.
    """

    row: ApiKey
    text: str
    replayed: bool = False


async def issue_key(
    slug: str,
    name: str,
    scopes: Collection[str] = DEFAULT_SCOPES,
    expires_at: datetime | None = None,
    *,
    once: Once | None = None,
    by: Actor,
) -> IssuedKey:
    """Make an API key for a tenant. Its text is returned once and kept nowhere.

    Raises TenantNotFound (404), InvalidInput (422), WrongState, LimitReached (409), and as
    `find_creation` does.
    """
    name, scopes = validate_name(name), validate_scopes(scopes, list(Scope))
    validate_expiry(expires_at)

    def issue(tenant: Tenant) -> IssuedKey:
        living = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
        check_limit(tenant, "api_keys", tenant.api_keys.filter(living))
        return add_key(tenant, name, scopes, expires_at, once)

    return await _issue(slug, issue, once, by)


async def rotate_key(
    slug: str,
    public_id: str,
    overlap: timedelta = DEFAULT_OVERLAP,
    *,
    once: Once | None = None,
    by: Actor,
) -> IssuedKey:
    """Issue a key that replaces another: same name, scopes and expiry.

    overlap: how long the old one goes on working, 0 to 30 days; never longer than it would have.
    Raises TenantNotFound, KeyNotFound (404), KeyEnded, WrongState (409), InvalidInput (422), and
    as `find_creation` does.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        reason = f"must be 0 to {MAX_OVERLAP.days} days"
        raise errors.InvalidInput(f"The overlap {reason}.", errors=[("overlap_seconds", reason)])

    def rotate(tenant: Tenant) -> IssuedKey:
        old = _find_key(tenant, public_id)
        now = timezone.now()
        if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
            raise errors.KeyEnded(public_id)
        new = add_key(tenant, old.name, old.scopes, old.expires_at, once)
        old.expires_at = min(filter(None, [old.expires_at, now + overlap]))
        old.save(update_fields=["expires_at"])
        return new

    return await _issue(slug, rotate, once, by, replaces=public_id)


@in_registry
def revoke_key(slug: str, public_id: str, *, by: Actor) -> ApiKey:
    """End an API key; every process refuses it within a second. Revoking twice changes nothing.

    Raises TenantNotFound, KeyNotFound (404).
    """
    tenant = find_tenant(slug)
    key = _find_key(tenant, public_id)
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])
        audit.record(by, "key.revoked", tenant, public_id, name=key.name)
    return key


def add_key(
    tenant: Tenant,
    name: str,
    scopes: Collection[str],
    expires_at: datetime | None,
    once: Once | None,
) -> IssuedKey:
    """Make the row of a new key, in the open transaction of the registry."""
    salt = secrets.token_bytes(16)
    key = generate_key(TENANT_PREFIX, once.seed(salt) if once else None)
    row = ApiKey.objects.create(
        public_id=key.public_id,
        secret_hash=key.secret_hash,
        tenant=tenant,
        name=name,
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    if once is not None:
        note_creation(once, row, salt)
    return IssuedKey(row, key.text)


def find_issued(once: Once | None) -> IssuedKey | None:
    """What a repeated creation issued; None if it is new. Raises as `find_creation` does."""
    made = find_creation(once) if once else None
    if made is None:
        return None
    row, seed = made
    return IssuedKey(row, generate_key(TENANT_PREFIX, seed).text, replayed=True)


def validate_scopes(scopes: Collection[str], known: Collection[str]) -> list[str]:
    """The scopes, each once. Raises InvalidInput (422) for an unknown one, or for none."""
    if not scopes or set(scopes) - set(known):
        reason = f"are {', '.join(known)}; at least one"
        raise errors.InvalidInput(f"Scopes {reason}.", errors=[("scopes", reason)])
    return [scope for scope in known if scope in scopes]


def validate_expiry(expires_at: datetime | None) -> None:
    """Raises InvalidInput (422) for a time that is past."""
    if expires_at is not None and expires_at <= timezone.now():
        raise errors.InvalidInput(
            "The time of expiry is past.", errors=[("expires_at", "must be in the future")]
        )


async def _issue(
    slug: str,
    make: Callable[[Tenant], IssuedKey],
    once: Once | None,
    by: Actor,
    **details: str,
) -> IssuedKey:
    """Issue what `make` makes for the tenant, or find what a repeated creation issued."""

    @in_registry
    def issue() -> IssuedKey:
        issued = find_issued(once)
        if issued is None:
            tenant = find_tenant(slug, LIVING, lock=True)
            issued = make(tenant)
            audit.record(
                by,
                "key.issued",
                tenant,
                issued.row.public_id,
                name=issued.row.name,
                scopes=issued.row.scopes,
                **details,
            )
        return issued

    try:
        return await issue()
    except IntegrityError as error:
        if violated_constraint(error) != CREATION_CONSTRAINT:
            raise
        return await issue()  # The same request, sent twice at once: the other one has made it.


def _find_key(tenant: Tenant, public_id: str) -> ApiKey:
    key = tenant.api_keys.filter(public_id=public_id).first()
    if key is None:
        raise errors.KeyNotFound(public_id)
    return key
