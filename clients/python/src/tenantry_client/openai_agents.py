"""Sessions of the OpenAI Agents SDK that are kept in Tenantry."""

import asyncio
from typing import Any, cast

from agents import SessionSettings, TResponseInputItem
from agents.memory import SessionABC

from tenantry_client._async.client import AsyncTenantry
from tenantry_client._calls import OPENAI, Call, make_path

# As many items as the wire takes in one append, and gives in one page.
_BATCH, _PAGE = 20, 100


class TenantrySession(SessionABC):
    """A `Session`: `await Runner.run(agent, "Hello", session=TenantrySession(client))`.

    It speaks the service's OpenAI wire, not the native API: there every item comes back as it was
    given, reasoning and the calls of built-in tools among them, for which the native API has no
    shape. Messages and function calls are natively there all the same.

    conversation_id: one to go on with, made here or natively. Without it the first items start
    one, and `clear_session` deletes it, so that the next items start another.
    session_settings: its `limit` is how many items are read where `get_items` isn't told.
    """

    session_settings: SessionSettings | None

    def __init__(
        self,
        client: AsyncTenantry,
        conversation_id: str | None = None,
        *,
        session_settings: SessionSettings | None = None,
    ) -> None:
        self._client = client
        self._conversation_id = conversation_id
        self._starting = asyncio.Lock()
        self.session_settings = session_settings

    @property
    def session_id(self) -> str:  # type: ignore[override]  # Nobody else knows it.
        """The conversation's id. Raises ValueError as long as nothing has started one."""
        if self._conversation_id is None:
            raise ValueError("the session has no conversation yet: its first items start one")
        return self._conversation_id

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The newest `limit` items, or all, in the order in which they were added."""
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        if limit == 0 or self._conversation_id is None:
            return []
        items = await self._read_newest(self._conversation_id, limit)
        return cast(list[TResponseInputItem], items[::-1])

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Add items in this order, twenty in each request; each request is one transaction.

        A request whose answer was lost is repeated and writes nothing twice. If one fails for
        good, those before it have been written.
        """
        if not items:
            return
        path = make_path("/conversations/{}/items", await self._find_or_start())
        for start in range(0, len(items), _BATCH):
            await self._send("POST", path, {"items": items[start : start + _BATCH]})

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove the newest item and return it; None where there is none.

        Of several who pop at once, two may get the same one.
        """
        if self._conversation_id is None:
            return None
        items = await self._read_newest(self._conversation_id, 1)
        if not items:
            return None
        item = items[0]
        path = make_path("/conversations/{}/items/{}", self._conversation_id, item["id"])
        await self._send("DELETE", path)
        return cast(TResponseInputItem, item)

    async def clear_session(self) -> None:
        """Delete the conversation. It can be restored by its id for some days."""
        async with self._starting:
            if self._conversation_id is not None:
                await self._send("DELETE", make_path("/conversations/{}", self._conversation_id))
                self._conversation_id = None

    async def _find_or_start(self) -> str:
        async with self._starting:
            if self._conversation_id is None:
                self._conversation_id = str((await self._send("POST", "/conversations", {}))["id"])
            return self._conversation_id

    async def _read_newest(self, conversation_id: str, limit: int | None) -> list[dict[str, Any]]:
        """Up to `limit` items, the newest first."""
        path = make_path("/conversations/{}/items", conversation_id)
        items: list[dict[str, Any]] = []
        query: dict[str, Any] = {"order": "desc"}
        while True:
            missing = _PAGE if limit is None else limit - len(items)
            query["limit"] = min(missing, _PAGE)
            page = await self._send("GET", path, query=query)
            items += page["data"]
            if not page["has_more"] or len(items) == limit:
                return items
            query["after"] = page["last_id"]

    async def _send(
        self, method: str, path: str, body: Any = None, query: dict[str, Any] | None = None
    ) -> Any:
        call = Call(method, path, prefix=OPENAI, json=body, query=query or {})
        return await self._client._transport.call(call)
