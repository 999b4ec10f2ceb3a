"""Conversations and their summaries."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tenantry_client._async.pages import Pages
from tenantry_client._async.resource import Resource
from tenantry_client._async.stream import EventStream
from tenantry_client._calls import UNSET, Call, Unset, make_path, only_given, without_none
from tenantry_client.inputs import ContextFormat, ConversationStatus, NewMessage, Order
from tenantry_client.models import (
    Branches,
    Check,
    Context,
    Conversation,
    Erasure,
    Repair,
    StartedConversation,
    Summary,
)

_ONE = "/conversations/{}"


class Conversations(Resource):
    """Raises NotFound for a conversation that isn't there."""

    async def create(
        self,
        *,
        messages: Sequence[NewMessage] = (),
        user_id: str | None = None,
        agent_id: str | None = None,
        title: str | None = None,
        language: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        expires_at: datetime | Unset | None = UNSET,
        legal_hold: bool = False,
    ) -> StartedConversation:
        """Start one, optionally with its first messages.

        expires_at: None for never; without it, as the tenant's plan says.
        """
        body = without_none(
            user_id=user_id,
            agent_id=agent_id,
            title=title,
            language=language,
            metadata=metadata,
            legal_hold=legal_hold or None,
            messages=messages or None,
        )
        body |= only_given(expires_at=expires_at)
        return await self._post(StartedConversation, "/conversations", body)

    async def get(self, conversation_id: str) -> Conversation:
        return await self._get(Conversation, make_path(_ONE, conversation_id))

    def list(
        self,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        status: ConversationStatus | None = None,
        metadata: Mapping[str, Any] | None = None,
        active_after: datetime | None = None,
        active_before: datetime | None = None,
        unread: bool | None = None,
        order: Order | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Pages[Conversation]:
        """By last activity, the newest first. metadata: what theirs must contain.

        limit: of a page, up to 100. after: a page's `next_cursor`.
        """
        return self._list(
            Conversation,
            "/conversations",
            user_id=user_id,
            agent_id=agent_id,
            status=status,
            metadata=metadata,
            active_after=active_after,
            active_before=active_before,
            unread=unread,
            order=order,
            limit=limit,
            after=after,
        )

    async def update(
        self,
        conversation_id: str,
        *,
        title: str | Unset | None = UNSET,
        language: str | Unset | None = UNSET,
        status: ConversationStatus | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
        read_seq: int | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        legal_hold: bool | Unset = UNSET,
    ) -> Conversation:
        """Change what is given. metadata is replaced as a whole; None removes what can be None."""
        changes = only_given(
            title=title,
            language=language,
            status=status,
            metadata=metadata,
            read_seq=read_seq,
            expires_at=expires_at,
            legal_hold=legal_hold,
        )
        call = Call("PATCH", make_path(_ONE, conversation_id), json=changes)
        return await self._ask(Conversation, call)

    async def archive(self, conversation_id: str) -> Conversation:
        """Nothing is appended to it then; `update` with the status `active` undoes it."""
        return await self._post(Conversation, make_path(f"{_ONE}/archive", conversation_id))

    async def delete(self, conversation_id: str) -> None:
        """Hide it; it can be restored for some days."""
        await self._delete(make_path(_ONE, conversation_id))

    async def restore(self, conversation_id: str) -> Conversation:
        return await self._post(Conversation, make_path(f"{_ONE}/restore", conversation_id))

    async def erase(self, conversation_id: str) -> Erasure:
        """Erase it for good, and get the receipt. Where that is `running`, a job does the rest."""
        return await self._post(Erasure, make_path(f"{_ONE}/erase", conversation_id))

    async def fork(
        self,
        conversation_id: str,
        at_seq: int,
        *,
        title: str | Unset | None = UNSET,
        user_id: str | Unset | None = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
    ) -> Conversation:
        """A new conversation with the history up to a position."""
        details = only_given(title=title, user_id=user_id, metadata=metadata)
        path = make_path(f"{_ONE}/forks", conversation_id)
        return await self._post(Conversation, path, {"at_seq": at_seq, **details})

    async def branches(
        self, conversation_id: str, *, limit: int | None = None, after: str | None = None
    ) -> Branches:
        """Where it stands in its tree, with a page of what branches off."""
        path = make_path(f"{_ONE}/branches", conversation_id)
        return await self._get(Branches, path, limit=limit, after=after)

    async def context(
        self,
        conversation_id: str,
        *,
        max_tokens: int | None = None,
        format: ContextFormat | None = None,  # noqa: A002  # The API's name.
        model: str | None = None,
    ) -> Context:
        """The newest part of the history that fits; `request` is for the provider's SDK."""
        path = make_path(f"{_ONE}/context", conversation_id)
        return await self._get(Context, path, max_tokens=max_tokens, format=format, model=model)

    async def check(self, conversation_id: str) -> Check:
        """What is wrong in it."""
        return await self._get(Check, make_path(f"{_ONE}/check", conversation_id))

    async def repair(self, conversation_id: str) -> Repair:
        return await self._post(Repair, make_path(f"{_ONE}/repair", conversation_id))

    def export(self, conversation_id: str) -> AsyncIterator[dict[str, Any]]:
        """Its records, the last one of the type `end`. Raises ConnectionFailed where it is cut."""
        return self._export(make_path(f"{_ONE}/export", conversation_id))

    def events(self, conversation_id: str, after: int | str | None = None) -> EventStream:
        """Follow what is appended from now on, or after a position; 0 for from the beginning."""
        call = Call("GET", make_path(f"{_ONE}/events", conversation_id))
        return EventStream(self._transport, call, None if after is None else str(after))

    async def send_draft(
        self, conversation_id: str, draft_id: str, delta: str, index: int | None = None
    ) -> None:
        """Pass a piece of a message that is being written on to who follows the events."""
        path = make_path(f"{_ONE}/drafts/{{}}", conversation_id, draft_id)
        body = without_none(delta=delta, index=index)
        await self._transport.call(Call("POST", path, json=body))


class Summaries(Resource):
    """Texts that stand for the messages from one position to another."""

    async def add(
        self,
        conversation_id: str,
        from_seq: int,
        to_seq: int,
        text: str,
        *,
        model: str | None = None,
        token_count: int | None = None,
    ) -> Summary:
        body = without_none(
            from_seq=from_seq, to_seq=to_seq, text=text, model=model, token_count=token_count
        )
        return await self._post(Summary, make_path(f"{_ONE}/summaries", conversation_id), body)

    def list(
        self,
        conversation_id: str,
        *,
        order: Order | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Pages[Summary]:
        """The one that reaches furthest first."""
        path = make_path(f"{_ONE}/summaries", conversation_id)
        return self._list(Summary, path, order=order, limit=limit, after=after)

    async def delete(self, conversation_id: str, summary_id: str) -> None:
        await self._delete(make_path(f"{_ONE}/summaries/{{}}", conversation_id, summary_id))
