"""Keys: how they are made, written and recognised.

A tenant's API key is `tnt_<public id>_<secret><checksum>`, an operator's key begins with `tno_`;
the rest is in the digits and letters of base 62. The public id finds the row; the checksum lets
a mistyped key be refused without asking the database, and secret scanners recognise a leaked one.
"""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from enum import StrEnum

TENANT_PREFIX = "tnt"
OPERATOR_PREFIX = "tno"
_ALPHABET = string.digits + string.ascii_letters
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_PUBLIC_ID_LENGTH = 12
_SECRET_LENGTH = 32
_CHECKSUM_LENGTH = 6
_KEY = re.compile(
    rf"(?P<prefix>{TENANT_PREFIX}|{OPERATOR_PREFIX})_(?P<public_id>[0-9A-Za-z]{{{_PUBLIC_ID_LENGTH}}})"
    rf"_[0-9A-Za-z]{{{_SECRET_LENGTH}}}(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)
# What a key looks like wherever it turns up, for refusing and redacting; bytes, as URLs are.
KEY_IN_TEXT = re.compile(rb"tn[to]_[0-9A-Za-z]{12}_[0-9A-Za-z]{8,}")


class Scope(StrEnum):
    """What a tenant's key or member may do: read, write, or administer the tenant."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class OperatorScope(StrEnum):
    """What an operator's key may do to all tenants: see them, change them, erase them for good."""

    READ = "read"
    WRITE = "write"
    ERASE = "erase"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the only moment at which it is known in full."""

    text: str
    public_id: str
    secret_hash: bytes


def generate_key(prefix: str = TENANT_PREFIX, seed: bytes | None = None) -> NewKey:
    """A new key, random unless there is a seed, which always gives the same key.

    seed: at least 32 bytes that only whoever asks for the key can know.
    """
    stream = seed and hashlib.shake_256(seed).digest(4 * (_PUBLIC_ID_LENGTH + _SECRET_LENGTH))
    public_id, stream = _draw(_PUBLIC_ID_LENGTH, stream)
    secret, _ = _draw(_SECRET_LENGTH, stream)
    body = f"{prefix}_{public_id}_{secret}"
    text = body + _checksum(body)
    return NewKey(text, public_id, hash_key(text))


def find_public_id(text: str, prefix: str = TENANT_PREFIX) -> str | None:
    """The public id in a key, or None if it isn't shaped like one or its checksum is wrong."""
    match = _KEY.fullmatch(text)
    if match is None or match["prefix"] != prefix:
        return None
    if _checksum(text[:-_CHECKSUM_LENGTH]) != match["checksum"]:
        return None
    return match["public_id"]


def hash_key(text: str) -> bytes:
    """SHA-256 of the key: 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


def _draw(length: int, stream: bytes | None) -> tuple[str, bytes | None]:
    """That many characters, from the stream or at random, and what is left of the stream."""
    if stream is None:
        return "".join(secrets.choice(_ALPHABET) for _ in range(length)), None
    # Four bytes for each character: the bias is below one in sixty million.
    words = (stream[at : at + 4] for at in range(0, 4 * length, 4))
    drawn = "".join(_ALPHABET[int.from_bytes(word) % len(_ALPHABET)] for word in words)
    return drawn, stream[4 * length :]


def _checksum(body: str) -> str:
    """CRC-32 in base 62: six digits, two at a time."""
    value, base = zlib.crc32(body.encode()), len(_PAIRS)
    return _PAIRS[value // base**2] + _PAIRS[value // base % base] + _PAIRS[value % base]
