"""A tenant's API keys."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from asgiref.sync import sync_to_async
from django.utils import timezone

from tenants import errors
from tenants.keys import Scope, generate_key
from tenants.lifecycle.registry import LIVING, get_tenant, require
from tenants.models import ApiKey, Tenant
from tenants.names import validate_name

DEFAULT_SCOPES = (Scope.READ, Scope.WRITE)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new API key: its row, and its text, which is known only now."""

    row: ApiKey
    text: str


async def issue_key(
    slug: str,
    name: str,
    scopes: Collection[str] = DEFAULT_SCOPES,
    expires_at: datetime | None = None,
) -> IssuedKey:
    """Make an API key for a tenant. Its text is returned once and kept nowhere.

    Raises TenantNotFound (404), InvalidInput (422).
    """
    name, known = validate_name(name), set(Scope)
    unknown = sorted(set(scopes) - known)
    if unknown or not scopes:
        raise errors.InvalidInput(f"Scopes are {', '.join(sorted(known))}.")
    if expires_at is not None and expires_at <= timezone.now():
        raise errors.InvalidInput("The time of expiry is past.")
    tenant = await get_tenant(slug)
    require(tenant, LIVING)
    return await sync_to_async(add_key)(tenant, name, scopes, expires_at)


async def revoke_key(slug: str, public_id: str) -> ApiKey:
    """End an API key; every process refuses it within a second. Revoking twice changes nothing.

    Raises TenantNotFound, KeyNotFound (404).
    """
    tenant = await get_tenant(slug)
    key = await tenant.api_keys.filter(public_id=public_id).afirst()
    if key is None:
        raise errors.KeyNotFound(public_id)
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        await key.asave(update_fields=["revoked_at"])
    return key


def add_key(
    tenant: Tenant, name: str, scopes: Iterable[str], expires_at: datetime | None
) -> IssuedKey:
    key = generate_key()
    row = ApiKey.objects.create(
        public_id=key.public_id,
        secret_hash=key.secret_hash,
        tenant=tenant,
        name=name,
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    return IssuedKey(row, key.text)
