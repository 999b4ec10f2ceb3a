"""Lists that come in pages."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pydantic import BaseModel

from tenantry_client._async.transport import AsyncTransport
from tenantry_client._calls import Call

ItemT = TypeVar("ItemT", bound=BaseModel)


@dataclass(frozen=True)
class Page(Generic[ItemT]):
    """A part of a list. next_cursor: what `after` takes for the next one."""

    data: list[ItemT]
    has_more: bool
    next_cursor: str | None


class Pages(Generic[ItemT]):
    """A list: iterate over all of its items, page by page, or take its `first` page alone."""

    def __init__(self, transport: AsyncTransport, call: Call, kind: type[ItemT]) -> None:
        self._transport = transport
        self._call = call
        self._kind = kind

    async def first(self) -> Page[ItemT]:
        return await self._read(self._call)

    async def __aiter__(self) -> AsyncIterator[ItemT]:
        call = self._call
        while True:
            page = await self._read(call)
            for item in page.data:
                yield item
            if not page.has_more:
                return
            call = replace(call, query={**call.query, "after": page.next_cursor})

    async def _read(self, call: Call) -> Page[ItemT]:
        answer = await self._transport.call(call)
        return Page(
            [self._kind.model_validate(item) for item in answer["data"]],
            answer["has_more"],
            answer["next_cursor"],
        )
