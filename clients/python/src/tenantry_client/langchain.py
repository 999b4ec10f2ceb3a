"""Chat histories of LangChain that are kept in Tenantry."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast
from uuid import uuid4

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata

from tenantry_client._async.client import AsyncTenantry
from tenantry_client._sync.client import Tenantry
from tenantry_client.inputs import NewMessage, NewToolCall, NewUsage, Role
from tenantry_client.models import Conversation, Message

# As many as one append may carry, and one page has.
_BATCH = 100
_FAILED = frozenset({"failed", "denied", "cancelled", "expired"})


class TenantryChatMessageHistory(BaseChatMessageHistory):
    """The messages of one conversation.

    client: for `messages`, `add_messages` and `clear`. async_client: for `aget_messages`,
    `aadd_messages` and `aclear`. One of them is enough.

    Messages come back with their content, tool calls, ids, models and tokens. A message's id is
    kept as its `external_id`: to add the same message twice under one id writes it once. Not kept
    are `name`, `additional_kwargs`, `invalid_tool_calls`, artifacts, and of the `response_metadata`
    all but the model. A tool message is an error where its call has failed, was denied, was
    cancelled or has expired.

    Clearing deletes the conversation, which can be restored by its id for some days, and goes on in
    a new one like it, whose id is then `conversation_id`.
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
        return read_messages(self._sync.messages.list(self.conversation_id, limit=_BATCH))

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Up to a hundred are written whole or not at all; more of them in several requests."""
        for batch in _batches(messages):
            self._sync.messages.append_all(self.conversation_id, batch)

    def clear(self) -> None:
        conversations = self._sync.conversations
        old = conversations.get(self.conversation_id)
        new = conversations.create(**_details(old))
        conversations.delete(old.id)
        self.conversation_id = new.id

    async def aget_messages(self) -> list[BaseMessage]:
        pages = self._asynchronous.messages.list(self.conversation_id, limit=_BATCH)
        return read_messages([message async for message in pages])

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """As `add_messages`."""
        for batch in _batches(messages):
            await self._asynchronous.messages.append_all(self.conversation_id, batch)

    async def aclear(self) -> None:
        conversations = self._asynchronous.conversations
        old = await conversations.get(self.conversation_id)
        new = await conversations.create(**_details(old))
        await conversations.delete(old.id)
        self.conversation_id = new.id

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


def write_message(message: BaseMessage) -> NewMessage:
    """A message of LangChain's as one to append. Raises ValueError for a kind that it can't be."""
    new = NewMessage(role=_write_role(message), content=_write_content(message.content))
    if message.id:
        new["external_id"] = message.id
    if isinstance(message, ToolMessage):
        new["call_id"] = message.tool_call_id
    if isinstance(message, AIMessage):
        new["tool_calls"] = [
            NewToolCall(
                call_id=call["id"] or f"call_{uuid4().hex}",
                name=call["name"],
                arguments=call["args"],
            )
            for call in message.tool_calls
        ]
        if model := message.response_metadata.get("model_name"):
            new["model"] = str(model)
        if message.usage_metadata is not None:
            new["usage"] = _write_usage(message.usage_metadata)
    return new


def read_messages(messages: Iterable[Message]) -> list[BaseMessage]:
    """Messages of a whole conversation as LangChain has them.

    What the OpenAI wire alone understands, such as reasoning, is left out.
    """
    failed: set[str] = set()
    found = []
    for message in messages:
        failed |= {call.call_id for call in message.tool_calls if call.status in _FAILED}
        if message.kind == "message":
            found.append(_read_message(message, is_error=message.call_id in failed))
    return found


def _read_message(message: Message, *, is_error: bool) -> BaseMessage:
    content: Any = _read_content(message.content)
    about: dict[str, Any] = {"id": message.external_id or message.id}
    if message.role == "user":
        return HumanMessage(content, **about)
    if message.role in ("system", "developer"):
        return SystemMessage(content, **about)
    if message.role == "tool":
        status = "error" if is_error else "success"
        return ToolMessage(content, tool_call_id=message.call_id or "", status=status, **about)
    if message.model is not None:
        about["response_metadata"] = {"model_name": message.model}
    if message.usage is not None:
        about["usage_metadata"] = _read_usage(message)
    calls = [
        {"id": call.call_id, "name": call.name, "args": call.arguments, "type": "tool_call"}
        for call in message.tool_calls
    ]
    return AIMessage(content, tool_calls=calls, **about)


def _batches(messages: Sequence[BaseMessage]) -> Iterator[list[NewMessage]]:
    # All of them are read first: what can't be kept is noticed before anything is written.
    new = [write_message(message) for message in messages]
    for start in range(0, len(new), _BATCH):
        yield new[start : start + _BATCH]


def _details(conversation: Conversation) -> dict[str, Any]:
    names = ("user_id", "agent_id", "title", "language", "metadata", "expires_at", "legal_hold")
    return {name: getattr(conversation, name) for name in names}


def _write_role(message: BaseMessage) -> Role:
    if isinstance(message, ChatMessage):
        if message.role in ("system", "developer", "user", "assistant"):
            return cast(Role, message.role)
        raise ValueError(f"a message of role {message.role} can't be kept")
    roles: list[tuple[type[BaseMessage], Role]] = [
        (HumanMessage, "user"),
        (SystemMessage, "system"),
        (AIMessage, "assistant"),
        (ToolMessage, "tool"),
    ]
    for kind, role in roles:
        if isinstance(message, kind):
            return role
    raise ValueError(f"a message of type {message.type} can't be kept")


def _write_content(content: str | list[Any]) -> Any:
    if isinstance(content, str):
        return content
    # There are no empty lists of parts.
    return [_write_part(part) for part in content] or ""


def _write_part(part: Any) -> dict[str, Any]:
    """Text as text. What LangChain alone understands is kept as JSON, to come back as it was."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if part.get("type") == "text" and set(part) == {"type", "text"}:
        return dict(part)
    return {"type": "json", "value": json.loads(json.dumps(part))}


def _read_content(content: str | list[Any] | None) -> Any:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return [_read_part(part) for part in content]


def _read_part(part: dict[str, Any]) -> Any:
    """JSON that others have put there isn't taken for a part of LangChain's."""
    value = part.get("value")
    is_langchains = part["type"] == "json" and isinstance(value, dict) and "type" in value
    return value if is_langchains else part


def _write_usage(usage: UsageMetadata) -> NewUsage:
    new = NewUsage(input_tokens=usage["input_tokens"], output_tokens=usage["output_tokens"])
    cached = usage.get("input_token_details", {}).get("cache_read")
    if cached is not None:
        new["cached_tokens"] = cached
    reasoning = usage.get("output_token_details", {}).get("reasoning")
    if reasoning is not None:
        new["reasoning_tokens"] = reasoning
    return new


def _read_usage(message: Message) -> UsageMetadata:
    usage = message.usage
    assert usage is not None
    sent, received = usage.input_tokens or 0, usage.output_tokens or 0
    read = UsageMetadata(input_tokens=sent, output_tokens=received, total_tokens=sent + received)
    if usage.cached_tokens is not None:
        read["input_token_details"] = {"cache_read": usage.cached_tokens}
    if usage.reasoning_tokens is not None:
        read["output_token_details"] = {"reasoning": usage.reasoning_tokens}
    return read
