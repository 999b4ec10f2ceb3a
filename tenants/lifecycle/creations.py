"""Creations that may be repeated: a caller names one, and a repeat gets what it made.

Where a client can't know whether its request arrived, it sends the same `Idempotency-Key` again.
What a creation made is noted in its own transaction. The text of the API key that comes with it
is stored nowhere: it is derived from the caller's own secret, and so is the repeat's.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.utils import timezone

from tenants import errors
from tenants.apps import get_settings
from tenants.models import ApiKey, Creation

# The name that Django gives to a primary key's constraint.
CREATION_CONSTRAINT = "tenants_creation_pkey"


@dataclass(frozen=True, slots=True)
class Once:
    """A caller's promise that whoever sends this again means the same creation.

    secret: what the caller authenticates with; at least 128 random bits.
    fingerprint: SHA-256 of all that says what is to be made.
    """

    secret: bytes
    idempotency_key: str
    fingerprint: bytes

    @classmethod
    def of(cls, secret: bytes, idempotency_key: str, request: Mapping[str, Any]) -> "Once":
        """request: JSON values, datetimes and UUIDs."""
        content = orjson.dumps(request, option=orjson.OPT_SORT_KEYS)
        return cls(secret, idempotency_key, hashlib.sha256(content).digest())

    @property
    def digest(self) -> bytes:
        """32 bytes that name caller and key, and tell nothing of either."""
        return self._derive(b"digest")

    def seed(self, salt: bytes) -> bytes:
        """32 bytes for the text of the API key that is made; nobody else can derive them."""
        return self._derive(b"seed", salt)

    def _derive(self, *parts: bytes) -> bytes:
        return hmac.digest(
            self.secret, b"\0".join([*parts, self.idempotency_key.encode()]), "sha256"
        )


def find_creation(once: Once) -> tuple[ApiKey, bytes] | None:
    """The API key that a creation made, with its tenant, and the seed of its text; None if new.

    Raises IdempotencyKeyReused (422) if the promise was for something else, and CreationGone
    (409) if what it made has been erased.
    """
    made = Creation.objects.filter(digest=once.digest, created_at__gte=_oldest()).first()
    if made is None:
        return None
    if bytes(made.fingerprint) != once.fingerprint:
        raise errors.IdempotencyKeyReused
    key = ApiKey.objects.select_related("tenant").filter(public_id=made.key_id).first()
    if key is None:
        raise errors.CreationGone
    return key, once.seed(bytes(made.salt))


def note_creation(once: Once, key: ApiKey, salt: bytes) -> None:
    """Keep what was made, in its own transaction, and forget what is too old."""
    Creation.objects.filter(created_at__lt=_oldest()).delete()
    Creation.objects.create(
        digest=once.digest,
        fingerprint=once.fingerprint,
        salt=salt,
        tenant_id=key.tenant_id,
        key_id=key.public_id,
    )


def _oldest() -> datetime:
    return timezone.now() - timedelta(hours=get_settings().idempotency_hours)
