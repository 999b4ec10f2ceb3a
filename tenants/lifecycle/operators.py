"""Keys of operators: the way into the management API."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from tenants import audit, errors
from tenants.actor import Actor
from tenants.keys import OPERATOR_PREFIX, OperatorScope, generate_key
from tenants.lifecycle.keys import validate_expiry, validate_scopes
from tenants.lifecycle.registry import in_registry
from tenants.models import OperatorKey
from tenants.names import validate_name


@dataclass(frozen=True, slots=True)
class IssuedOperatorKey:
    """A new operator's key: its row, and its text, which is known only now."""

    row: OperatorKey
    text: str


@in_registry
def create_operator(
    name: str,
    scopes: Collection[str] = tuple(OperatorScope),
    expires_at: datetime | None = None,
    *,
    by: Actor,
) -> IssuedOperatorKey:
    """Make a key to the management API. Its text is returned once and kept nowhere.

    Raises InvalidInput (422).
    """
    name, scopes = validate_name(name), validate_scopes(scopes, list(OperatorScope))
    validate_expiry(expires_at)
    key = generate_key(OPERATOR_PREFIX)
    row = OperatorKey.objects.create(
        public_id=key.public_id,
        secret_hash=key.secret_hash,
        name=name,
        scopes=scopes,
        expires_at=expires_at,
    )
    audit.record(by, "operator.created", None, row.public_id, name=name, scopes=scopes)
    return IssuedOperatorKey(row, key.text)


@in_registry
def revoke_operator(public_id: str, *, by: Actor) -> OperatorKey:
    """End an operator's key; every process refuses it within a second.

    Revoking twice changes nothing. Raises OperatorNotFound (404).
    """
    row = OperatorKey.objects.filter(public_id=public_id).first()
    if row is None:
        raise errors.OperatorNotFound(public_id)
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])
        audit.record(by, "operator.revoked", None, public_id, name=row.name)
    return row


@in_registry
def list_operators() -> list[OperatorKey]:
    """The newest thousand, newest first."""
    return list(OperatorKey.objects.all()[:1000])
