# Made by generate_sync.py from the file of this name in `_async`.
"""What the resources have in common."""

import json
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel

from tenantry_client._sync.pages import Pages
from tenantry_client._sync.transport import Transport
from tenantry_client._calls import Call
from tenantry_client.errors import ConnectionFailed

ModelT = TypeVar("ModelT", bound=BaseModel)


class Resource:
    """Some of the API's routes: a method for each."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _ask(self, kind: type[ModelT], call: Call) -> ModelT:
        return kind.model_validate(self._transport.call(call))

    def _get(self, kind: type[ModelT], path: str, **query: Any) -> ModelT:
        return self._ask(kind, Call("GET", path, query=query))

    def _post(self, kind: type[ModelT], path: str, body: Any = None) -> ModelT:
        return self._ask(kind, Call("POST", path, json=body))

    def _delete(self, path: str) -> None:
        self._transport.call(Call("DELETE", path))

    def _list(self, kind: type[ModelT], path: str, **query: Any) -> Pages[ModelT]:
        return Pages(self._transport, Call("GET", path, query=query), kind)

    def _export(self, path: str) -> Iterator[dict[str, Any]]:
        is_whole = False
        for line in self._transport.read_lines(Call("GET", path)):
            record = json.loads(line)
            is_whole = record["type"] == "end"
            yield record
        if not is_whole:
            raise ConnectionFailed("the export was cut off")
