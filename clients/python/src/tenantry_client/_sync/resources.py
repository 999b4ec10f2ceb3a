# Made by generate_sync.py from the file of this name in `_async`.
"""What the service has, as methods: one request each, with the shapes of its API."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from tenantry_client._sync.pages import Pages
from tenantry_client._sync.stream import EventStream
from tenantry_client._calls import Call, make_path, without_none
from tenantry_client.models import (
    Conversation,
    Message,
    Model,
    SearchHit,
    StartedConversation,
    ToolCall,
)

if TYPE_CHECKING:
    from tenantry_client._sync.client import Tenantry

ModelT = TypeVar("ModelT", bound=BaseModel)
# A message to append, as the API takes it: `{"role": "user", "content": "Hello"}`.
NewMessage = Mapping[str, Any]


class Resource:
    """Some of the API's routes."""

    def __init__(self, client: "Tenantry") -> None:
        self._client = client

    def _get(self, kind: type[ModelT], path: str, **query: Any) -> ModelT:
        return kind.model_validate(self._client.call(Call("GET", path, query=query)))

    def _post(self, kind: type[ModelT], path: str, body: Any = None) -> ModelT:
        return kind.model_validate(self._client.call(Call("POST", path, json=body)))

    def _delete(self, path: str) -> None:
        self._client.call(Call("DELETE", path))

    def _list(self, kind: type[ModelT], path: str, **query: Any) -> Pages[ModelT]:
        return Pages(self._client, Call("GET", path, query=query), kind)

    def _export(self, path: str) -> Iterator[dict[str, Any]]:
        for line in self._client.read_lines(Call("GET", path)):
            if line:
                yield json.loads(line)


class Conversations(Resource):
    """Raises NotFound for a conversation that isn't there."""

    def create(
        self,
        *,
        messages: Sequence[NewMessage] = (),
        user_id: str | None = None,
        agent_id: str | None = None,
        title: str | None = None,
        language: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> StartedConversation:
        """Start one, optionally with its first messages. more: further fields of the API."""
        body = without_none(
            {
                "user_id": user_id,
                "agent_id": agent_id,
                "title": title,
                "language": language,
                "metadata": metadata,
            }
        )
        body |= {"messages": list(messages), **more}
        return self._post(StartedConversation, "/conversations", body)

    def get(self, conversation_id: str) -> Conversation:
        return self._get(Conversation, make_path("/conversations/{}", conversation_id))

    def list(
        self,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        status: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        active_after: datetime | None = None,
        active_before: datetime | None = None,
        unread: bool | None = None,
        order: str | None = None,
        limit: int | None = None,
    ) -> Pages[Conversation]:
        """By last activity, the newest first. metadata: what theirs must contain."""
        return self._list(
            Conversation,
            "/conversations",
            user_id=user_id,
            agent_id=agent_id,
            status=status,
            metadata=None if metadata is None else json.dumps(metadata),
            active_after=active_after.isoformat() if active_after else None,
            active_before=active_before.isoformat() if active_before else None,
            unread=None if unread is None else str(unread).lower(),
            order=order,
            limit=limit,
        )

    def update(self, conversation_id: str, **changes: Any) -> Conversation:
        """Change title, language, status, metadata, read_seq, expires_at or legal_hold."""
        call = Call("PATCH", make_path("/conversations/{}", conversation_id), json=changes)
        return Conversation.model_validate(self._client.call(call))

    def archive(self, conversation_id: str) -> Conversation:
        return self._post(
            Conversation, make_path("/conversations/{}/archive", conversation_id)
        )

    def delete(self, conversation_id: str) -> None:
        """Hide it; it can be restored for some days."""
        self._delete(make_path("/conversations/{}", conversation_id))

    def restore(self, conversation_id: str) -> Conversation:
        return self._post(
            Conversation, make_path("/conversations/{}/restore", conversation_id)
        )

    def erase(self, conversation_id: str) -> Model:
        """Erase it for good, and get the receipt."""
        return self._post(Model, make_path("/conversations/{}/erase", conversation_id))

    def fork(self, conversation_id: str, at_seq: int, **details: Any) -> Conversation:
        """A new conversation with the history up to a position."""
        path = make_path("/conversations/{}/forks", conversation_id)
        return self._post(Conversation, path, {"at_seq": at_seq, **details})

    def branches(self, conversation_id: str) -> Model:
        return self._get(Model, make_path("/conversations/{}/branches", conversation_id))

    def context(
        self,
        conversation_id: str,
        *,
        max_tokens: int | None = None,
        format: str | None = None,  # noqa: A002  # The API's name.
        model: str | None = None,
    ) -> Model:
        """The newest part of the history that fits; `request` is for the provider's API."""
        path = make_path("/conversations/{}/context", conversation_id)
        return self._get(Model, path, max_tokens=max_tokens, format=format, model=model)

    def add_summary(
        self, conversation_id: str, from_seq: int, to_seq: int, text: str, **details: Any
    ) -> Model:
        """Keep a text that stands for the messages from one position to another."""
        body = {"from_seq": from_seq, "to_seq": to_seq, "text": text, **details}
        return self._post(
            Model, make_path("/conversations/{}/summaries", conversation_id), body
        )

    def check(self, conversation_id: str) -> Model:
        return self._get(Model, make_path("/conversations/{}/check", conversation_id))

    def repair(self, conversation_id: str) -> Model:
        return self._post(Model, make_path("/conversations/{}/repair", conversation_id))

    def export(self, conversation_id: str) -> Iterator[dict[str, Any]]:
        """Its records; the last one has the type `end`, or the export was cut off."""
        return self._export(make_path("/conversations/{}/export", conversation_id))

    def events(self, conversation_id: str, after: int | str | None = None) -> EventStream:
        """Follow what is appended from now on, or after a position."""
        path = make_path("/conversations/{}/events", conversation_id)
        return EventStream(self._client, Call("GET", path), None if after is None else str(after))


class Messages(Resource):
    def append(
        self, conversation_id: str, message: NewMessage, *, expected_seq: int | None = None
    ) -> Message:
        """Append one. Raises PreconditionFailed if the newest isn't at `expected_seq`."""
        call = Call(
            "POST",
            make_path("/conversations/{}/messages", conversation_id),
            query={"expected_seq": expected_seq},
            json=dict(message),
        )
        return Message.model_validate(self._client.call(call))

    def append_all(
        self,
        conversation_id: str,
        messages: Sequence[NewMessage],
        *,
        expected_seq: int | None = None,
    ) -> list[Message]:
        """Append up to a hundred: all of them or none."""
        call = Call(
            "POST",
            make_path("/conversations/{}/messages", conversation_id),
            query={"expected_seq": expected_seq},
            json={"messages": [dict(message) for message in messages]},
        )
        answer = self._client.call(call)
        return [Message.model_validate(message) for message in answer["data"]]

    def list(
        self, conversation_id: str, *, order: str | None = None, limit: int | None = None
    ) -> Pages[Message]:
        """In order of position, the oldest first; `desc` has the newest first."""
        path = make_path("/conversations/{}/messages", conversation_id)
        return self._list(Message, path, order=order, limit=limit)

    def get(self, conversation_id: str, message_id: str) -> Message:
        path = make_path("/conversations/{}/messages/{}", conversation_id, message_id)
        return self._get(Message, path)

    def edit(
        self, conversation_id: str, message_id: str, **edited: Any
    ) -> StartedConversation:
        """A new conversation with the history before a message, and the edited one instead."""
        path = make_path("/conversations/{}/messages/{}/edit", conversation_id, message_id)
        return self._post(StartedConversation, path, edited)

    def give_feedback(
        self,
        conversation_id: str,
        message_id: str,
        author: str,
        *,
        rating: str | None = None,
        comment: str | None = None,
    ) -> Model:
        """rating: `up` or `down`. An author's later feedback replaces the earlier."""
        path = make_path("/conversations/{}/messages/{}/feedback", conversation_id, message_id)
        body = without_none({"author": author, "rating": rating, "comment": comment})
        return Model.model_validate(self._client.call(Call("PUT", path, json=body)))


class ToolCalls(Resource):
    """call_id: the model provider's id. Raises Conflict where the status doesn't allow a step."""

    def list(self, conversation_id: str, *, open_only: bool = False) -> Pages[ToolCall]:
        path = make_path("/conversations/{}/tool-calls", conversation_id)
        return self._list(ToolCall, path, open=str(open_only).lower())

    def get(self, conversation_id: str, call_id: str) -> ToolCall:
        path = make_path("/conversations/{}/tool-calls/{}", conversation_id, call_id)
        return self._get(ToolCall, path)

    def start(self, conversation_id: str, call_id: str) -> ToolCall:
        return self._step(conversation_id, call_id, "start")

    def approve(
        self, conversation_id: str, call_id: str, by: str, reason: str | None = None
    ) -> ToolCall:
        decision = without_none({"by": by, "reason": reason})
        return self._step(conversation_id, call_id, "approve", decision)

    def deny(
        self, conversation_id: str, call_id: str, by: str, reason: str | None = None
    ) -> ToolCall:
        decision = without_none({"by": by, "reason": reason})
        return self._step(conversation_id, call_id, "deny", decision)

    def cancel(
        self, conversation_id: str, call_id: str, reason: str | None = None
    ) -> ToolCall:
        return self._step(
            conversation_id, call_id, "cancel", without_none({"reason": reason})
        )

    def report_output(self, conversation_id: str, call_id: str, output: Any) -> ToolCall:
        """output: text, or a list of parts."""
        return self._step(conversation_id, call_id, "result", {"output": output})

    def report_error(self, conversation_id: str, call_id: str, error: str) -> ToolCall:
        return self._step(conversation_id, call_id, "result", {"error": error})

    def _step(
        self, conversation_id: str, call_id: str, verb: str, body: Any = None
    ) -> ToolCall:
        path = make_path("/conversations/{}/tool-calls/{}/{}", conversation_id, call_id, verb)
        return self._post(ToolCall, path, body)


class Attachments(Resource):
    def upload(
        self,
        name: str,
        content: bytes,
        media_type: str,
        *,
        conversation_id: str | None = None,
        user_id: str | None = None,
    ) -> Model:
        call = Call(
            "POST",
            "/attachments",
            files={"file": (name, content, media_type)},
            form=without_none({"conversation_id": conversation_id, "user_id": user_id}),
        )
        return Model.model_validate(self._client.call(call))

    def get(self, attachment_id: str) -> Model:
        return self._get(Model, make_path("/attachments/{}", attachment_id))

    def download(self, attachment_id: str) -> bytes:
        call = Call("GET", make_path("/attachments/{}/content", attachment_id))
        return (self._client.send(call)).content

    def delete(self, attachment_id: str) -> None:
        self._delete(make_path("/attachments/{}", attachment_id))


class Users(Resource):
    """End users, by the ids of your own system."""

    def events(self, user_id: str, after: str | None = None) -> EventStream:
        """Follow all of a user's conversations."""
        return EventStream(self._client, Call("GET", "/events", query={"user_id": user_id}), after)

    def export(self, user_id: str) -> Iterator[dict[str, Any]]:
        return self._export(make_path("/users/{}/export", user_id))

    def erase(self, user_id: str) -> Model:
        """Erase all that there is of a user, and get the receipt."""
        return self._post(Model, make_path("/users/{}/erase", user_id))


class Everything(Resource):
    """What is about all conversations of the tenant."""

    def search(
        self,
        q: str,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        status: str | None = None,
        language: str | None = None,
        limit: int | None = None,
    ) -> Pages[SearchHit]:
        """Find words in messages and titles, the best first."""
        return self._list(
            SearchHit,
            "/search",
            q=q,
            user_id=user_id,
            agent_id=agent_id,
            status=status,
            language=language,
            limit=limit,
        )

    def usage(self, start: str, end: str, *, group_by: str = "day", **filters: Any) -> Model:
        """Tokens and cost of the days from `start` until before `end`, as `2026-01-31`."""
        query = {"from": start, "to": end, "group_by": group_by, **filters}
        return self._get(Model, "/usage", **query)

    def export(self) -> Iterator[dict[str, Any]]:
        return self._export("/export")

    def import_lines(self, lines: bytes, *, format: str = "tenantry") -> Model:  # noqa: A002
        """Import lines of JSON; what is there already is left alone. Returns the report."""
        call = Call(
            "POST",
            "/imports",
            query={"format": format},
            content=lines,
            headers={"content-type": "application/x-ndjson"},
        )
        return Model.model_validate(self._client.call(call))
