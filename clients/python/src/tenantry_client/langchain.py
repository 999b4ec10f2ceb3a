"""Chat histories of LangChain that are kept in Tenantry."""

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from tenantry_client._async.client import AsyncTenantry
from tenantry_client._sync.client import Tenantry
from tenantry_client.models import Message

# As many as one append may carry.
_BATCH = 100


class TenantryChatMessageHistory(BaseChatMessageHistory):
    """The messages of one conversation.

    client: for `messages`, `add_messages` and `clear`. async_client: for `aget_messages`,
    `aadd_messages` and `aclear`. One of them is enough. Clearing deletes the conversation, and goes
    on in a new one, whose id is then `conversation_id`.
    """

    def __init__(
        self,
        conversation_id: str,
        client: Tenantry | None = None,
        async_client: AsyncTenantry | None = None,
    ) -> None:
        self.conversation_id = conversation_id
        self._client = client
        self._async_client = async_client

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        pages = self._sync.messages.list(self.conversation_id, limit=_BATCH)
        return [read_message(message) for message in pages]

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        new = [write_message(message) for message in messages]
        for start in range(0, len(new), _BATCH):
            self._sync.messages.append_all(self.conversation_id, new[start : start + _BATCH])

    def clear(self) -> None:
        self._sync.conversations.delete(self.conversation_id)
        self.conversation_id = self._sync.conversations.create().id

    async def aget_messages(self) -> list[BaseMessage]:
        pages = self._asynchronous.messages.list(self.conversation_id, limit=_BATCH)
        return [read_message(message) async for message in pages]

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        new = [write_message(message) for message in messages]
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            await self._asynchronous.messages.append_all(self.conversation_id, batch)

    async def aclear(self) -> None:
        await self._asynchronous.conversations.delete(self.conversation_id)
        self.conversation_id = (await self._asynchronous.conversations.create()).id

    @property
    def _sync(self) -> Tenantry:
        if self._client is None:
            raise ValueError("give a `client` to use the history without asyncio")
        return self._client

    @property
    def _asynchronous(self) -> AsyncTenantry:
        if self._async_client is None:
            raise ValueError("give an `async_client` to use the history with asyncio")
        return self._async_client


def write_message(message: BaseMessage) -> dict[str, Any]:
    """A message of LangChain's as one to append. Raises ValueError for a kind that it can't be."""
    content = message.content
    if isinstance(message, HumanMessage):
        return {"role": "user", "content": _write_content(content)}
    if isinstance(message, SystemMessage):
        return {"role": "system", "content": _write_content(content)}
    if isinstance(message, ToolMessage):
        return {
            "role": "tool",
            "call_id": message.tool_call_id,
            "content": _write_content(content),
        }
    if isinstance(message, AIMessage):
        calls = [
            {"call_id": call["id"], "name": call["name"], "arguments": call["args"]}
            for call in message.tool_calls
        ]
        # A message with calls may have no text.
        text = _write_content(content) if content or not calls else None
        return {"role": "assistant", "content": text, "tool_calls": calls}
    raise ValueError(f"a message of type {message.type} can't be kept")


def read_message(message: Message) -> BaseMessage:
    """A message of the service's as LangChain has it."""
    content: Any = _read_content(message.content)
    if message.role == "user":
        return HumanMessage(content, id=message.id)
    if message.role in ("system", "developer"):
        return SystemMessage(content, id=message.id)
    if message.role == "tool":
        return ToolMessage(content, tool_call_id=message.call_id or "", id=message.id)
    calls = [
        {"id": call.call_id, "name": call.name, "args": call.arguments, "type": "tool_call"}
        for call in message.tool_calls
    ]
    return AIMessage(content, tool_calls=calls, id=message.id)


def _write_content(content: Any) -> Any:
    if isinstance(content, str):
        return content
    return [_write_part(part) for part in content]


def _write_part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if part.get("type") == "text" and set(part) == {"type", "text"}:
        return dict(part)
    return {"type": "json", "value": json.loads(json.dumps(part))}


def _read_content(content: str | list[dict[str, Any]] | None) -> Any:
    """As it was given; a part that LangChain alone understands was kept as JSON."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return [part["value"] if part["type"] == "json" else part for part in content]
