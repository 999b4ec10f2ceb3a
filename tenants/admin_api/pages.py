"""One page of a list of the registry, whichever it is."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from django.http import HttpResponse

from tenants.admin_api.inputs import PageQuery
from tenants.db.pagination import decode_cursor, make_page
from tenants.responses import json_response

RowT = TypeVar("RowT")


async def answer_page(
    listing: Sequence[object],
    query: PageQuery,
    fetch: Callable[..., Awaitable[Sequence[RowT]]],
    show: Callable[[RowT], Any],
    key: tuple[str, type],
) -> HttpResponse:
    """listing: names the list and its filters. fetch: takes `after` and `limit`.

    key: name and type of the field by which the list is sorted.
    Raises InvalidCursor (400), and as `fetch` does.
    """
    field, kind = key
    after = None
    if query.after is not None:
        (after,) = decode_cursor(None, listing, query.after, [kind])
    rows = await fetch(after=after, limit=query.limit + 1)
    shown = [show(row) for row in rows]
    positions = [(getattr(row, field),) for row in rows]
    return json_response(make_page(None, listing, shown, positions, query.limit))
