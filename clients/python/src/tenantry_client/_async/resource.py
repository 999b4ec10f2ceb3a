"""What the resources have in common."""

import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from pydantic import BaseModel

from tenantry_client._async.pages import Pages
from tenantry_client._async.transport import AsyncTransport
from tenantry_client._calls import Call
from tenantry_client.errors import ConnectionFailed

ModelT = TypeVar("ModelT", bound=BaseModel)


class Resource:
    """Some of the API's routes: a method for each."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def _ask(self, kind: type[ModelT], call: Call) -> ModelT:
        return kind.model_validate(await self._transport.call(call))

    async def _get(self, kind: type[ModelT], path: str, **query: Any) -> ModelT:
        return await self._ask(kind, Call("GET", path, query=query))

    async def _post(self, kind: type[ModelT], path: str, body: Any = None) -> ModelT:
        return await self._ask(kind, Call("POST", path, json=body))

    async def _delete(self, path: str) -> None:
        await self._transport.call(Call("DELETE", path))

    def _list(self, kind: type[ModelT], path: str, **query: Any) -> Pages[ModelT]:
        return Pages(self._transport, Call("GET", path, query=query), kind)

    async def _export(self, path: str) -> AsyncIterator[dict[str, Any]]:
        is_whole = False
        async for line in self._transport.read_lines(Call("GET", path)):
            record = json.loads(line)
            is_whole = record["type"] == "end"
            yield record
        if not is_whole:
            raise ConnectionFailed("the export was cut off")
