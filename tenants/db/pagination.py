"""Pages by position: a cursor says after which position a list goes on.

A position is the sort key of the last item seen, not the item: the next page is right even when
that item has been deleted in between. A cursor also carries a digest of the tenant and of the
list with its filters, so that one taken elsewhere is refused instead of misread. It is no
secret and grants nothing: it is only ever compared with the rows of the tenant that sends it.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import orjson
from pydantic import Field
from typing_extensions import TypedDict

from tenants.errors import InvalidCursor
from tenants.tenant import TenantRef

ItemT = TypeVar("ItemT")


class Page(TypedDict, Generic[ItemT]):
    """One page of a list. While `has_more`, pass `next_cursor` as `after`."""

    data: list[ItemT]
    has_more: bool
    next_cursor: Annotated[str | None, Field(examples=["WyJ6…"])]


def encode_cursor(
    tenant: TenantRef | None, listing: Sequence[object], position: Sequence[Any]
) -> str:
    """A cursor for the list named by `listing` (its name and its filters).

    tenant: whose list it is; None for a list of the registry.
    """
    content = orjson.dumps([_digest(tenant, listing), *position])
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decode_cursor(
    tenant: TenantRef | None, listing: Sequence[object], cursor: str, types: Sequence[type]
) -> list[Any]:
    """The position in a cursor, its parts of the given types (int, str, UUID or datetime).

    Raises InvalidCursor (400) if it isn't a cursor, or is another tenant's or list's.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        content = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        digest, *position = content
        if digest != _digest(tenant, listing):
            raise InvalidCursor
        return [_convert(part, kind) for part, kind in zip(position, types, strict=True)]
    except (UnicodeEncodeError, binascii.Error, ValueError, TypeError) as error:
        raise InvalidCursor from error


def make_page(
    tenant: TenantRef | None,
    listing: Sequence[object],
    items: list[ItemT],
    positions: Sequence[Sequence[Any]],
    limit: int,
) -> Page[ItemT]:
    """A page out of up to `limit + 1` items; the one too many says that there is more."""
    has_more = len(items) > limit
    cursor = encode_cursor(tenant, listing, positions[limit - 1]) if has_more else None
    return {"data": items[:limit], "has_more": has_more, "next_cursor": cursor}


def _digest(tenant: TenantRef | None, listing: Sequence[object]) -> str:
    content = orjson.dumps([tenant.id if tenant else None, *listing])
    return blake2b(content, digest_size=6).hexdigest()


def _convert(part: Any, kind: type) -> Any:
    if kind is UUID and isinstance(part, str):
        return UUID(part)
    if kind is datetime and isinstance(part, str):
        moment = datetime.fromisoformat(part)
        if moment.tzinfo is None:
            raise InvalidCursor
        return moment
    # bool is an int to Python; PostgreSQL's integers have 64 bits, and its texts no NUL.
    if type(part) is not kind or (isinstance(part, int) and abs(part) >= 2**63):
        raise InvalidCursor
    if isinstance(part, str) and "\0" in part:
        raise InvalidCursor
    return part
