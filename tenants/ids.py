"""Identifiers: UUIDv7, made here and never by the database, shown with a prefix.

UUIDv7 begins with the time, so that new rows are neighbours in an index; the standard library
makes them from Python 3.14 on. Ids are shown as `<prefix>_<32 hex digits>`.
Source: RFC 9562, section 5.7.
"""

from uuid import UUID

import uuid_utils
from uuid_utils.compat import uuid7

_HEX_DIGITS = frozenset("0123456789abcdef")


def new_id() -> UUID:
    return uuid7()


def new_request_id() -> str:
    """32 hex digits, which no UUID has to be made for."""
    return uuid_utils.uuid7().hex


def show_id(prefix: str, value: UUID) -> str:
    return f"{prefix}_{value.hex}"


def find_id(prefix: str, text: str) -> UUID | None:
    """The id that `show_id` would write exactly so, or None."""
    digits = text[len(prefix) + 1 :]
    if text[: len(prefix) + 1] != f"{prefix}_" or len(digits) != 32 or set(digits) - _HEX_DIGITS:
        return None
    return UUID(hex=digits)
