"""Requests that may be repeated: what names one, and tells it from another under the same key."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

_KEPT = timedelta(hours=24)


class Reused(Exception):
    """Another request came under this key."""


class InUse(Exception):
    """A request under this key is under way."""


@dataclass(frozen=True)
class Keyed:
    """A request that its sender has named by a key."""

    digest: bytes
    fingerprint: bytes

    @classmethod
    def of(cls, schema: str, key: bytes, path: str, body: bytes) -> "Keyed":
        return cls(
            sha256(b"%b\0%b" % (schema.encode(), key)).digest(),
            sha256(b"POST\0%b\0%b" % (path.encode(), body)).digest(),
        )


def oldest_kept() -> datetime:
    """An answer from before this is none."""
    return datetime.now(UTC) - _KEPT
