"""API keys: how they are made, written and recognised.

A key is `tnt_<public id>_<secret><checksum>`, in the digits and letters of base 62. The public
id finds the row; the checksum lets a mistyped key be refused without asking the database, and
secret scanners recognise a leaked one.
"""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "tnt"
_ALPHABET = string.digits + string.ascii_letters
_PUBLIC_ID_LENGTH = 12
_SECRET_LENGTH = 32
_CHECKSUM_LENGTH = 6
_KEY = re.compile(
    rf"{PREFIX}_(?P<public_id>[0-9A-Za-z]{{{_PUBLIC_ID_LENGTH}}})"
    rf"_[0-9A-Za-z]{{{_SECRET_LENGTH}}}(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)
# What a key looks like wherever it turns up, for refusing and redacting; bytes, as URLs are.
KEY_IN_TEXT = re.compile(rb"tnt_[0-9A-Za-z]{12}_[0-9A-Za-z]{8,}")


class Scope(StrEnum):
    """What a key may do: read, write, or administer its tenant."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the only moment at which it is known in full."""

    text: str
    public_id: str
    secret_hash: bytes


def generate_key() -> NewKey:
    public_id = _random(_PUBLIC_ID_LENGTH)
    body = f"{PREFIX}_{public_id}_{_random(_SECRET_LENGTH)}"
    text = body + _checksum(body)
    return NewKey(text, public_id, hash_key(text))


def find_public_id(text: str) -> str | None:
    """The public id in a key, or None if it isn't shaped like one or its checksum is wrong."""
    match = _KEY.fullmatch(text)
    if match is None or _checksum(text[:-_CHECKSUM_LENGTH]) != match["checksum"]:
        return None
    return match["public_id"]


def hash_key(text: str) -> bytes:
    """SHA-256 of the key: 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
