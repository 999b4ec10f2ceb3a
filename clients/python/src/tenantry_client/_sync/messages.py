# Made by generate_sync.py from the file of this name in `_async`.
"""Messages, and the feedback on them."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tenantry_client._sync.pages import Pages
from tenantry_client._sync.resource import Resource
from tenantry_client._calls import UNSET, Call, Unset, make_path, only_given, without_none
from tenantry_client.inputs import Content, NewMessage, NewToolCall, Order, Rating
from tenantry_client.models import Feedback, Message, StartedConversation

_ALL = "/conversations/{}/messages"
_ONE = f"{_ALL}/{{}}"
# In a class that has a method `list`, the word means that.
_Messages: TypeAlias = list[Message]


class Messages(Resource):
    """Raises NotFound for a conversation or a message that isn't there."""

    def append(
        self, conversation_id: str, message: NewMessage, *, expected_seq: int | None = None
    ) -> Message:
        """Append one. Raises PreconditionFailed if the newest isn't at `expected_seq`."""
        return Message.model_validate(self._append(conversation_id, message, expected_seq))

    def append_all(
        self,
        conversation_id: str,
        messages: Sequence[NewMessage],
        *,
        expected_seq: int | None = None,
    ) -> _Messages:
        """Append up to a hundred: all of them or none."""
        body = {"messages": messages}
        answer = self._append(conversation_id, body, expected_seq)
        return [Message.model_validate(message) for message in answer["data"]]

    def _append(
        self, conversation_id: str, body: Mapping[str, Any], expected_seq: int | None
    ) -> Any:
        path, query = make_path(_ALL, conversation_id), {"expected_seq": expected_seq}
        return self._transport.call(Call("POST", path, query=query, json=body))

    def list(
        self,
        conversation_id: str,
        *,
        order: Order | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Pages[Message]:
        """In order of position, the oldest first; `desc` has the newest first."""
        path = make_path(_ALL, conversation_id)
        return self._list(Message, path, order=order, limit=limit, after=after)

    def get(self, conversation_id: str, message_id: str) -> Message:
        return self._get(Message, make_path(_ONE, conversation_id, message_id))

    def edit(
        self,
        conversation_id: str,
        message_id: str,
        *,
        content: Content | None = None,
        tool_calls: Sequence[NewToolCall] = (),
        model: str | None = None,
        token_count: int | None = None,
        title: str | Unset | None = UNSET,
        user_id: str | Unset | None = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
    ) -> StartedConversation:
        """A new conversation with the history before a message, and the edited one instead."""
        body = without_none(
            content=content, tool_calls=tool_calls or None, model=model, token_count=token_count
        )
        body |= only_given(title=title, user_id=user_id, metadata=metadata)
        path = make_path(f"{_ONE}/edit", conversation_id, message_id)
        return self._post(StartedConversation, path, body)


class FeedbackOnMessages(Resource):
    """What authors, ids in your own system, think of messages."""

    def give(
        self,
        conversation_id: str,
        message_id: str,
        author: str,
        rating: Rating | None = None,
        comment: str | None = None,
    ) -> Feedback:
        """A rating, a comment, or both, instead of what the author said before."""
        body = {"author": author, "rating": rating, "comment": comment}
        path = make_path(f"{_ONE}/feedback", conversation_id, message_id)
        return self._ask(Feedback, Call("PUT", path, json=body))

    def list(
        self,
        conversation_id: str,
        message_id: str | None = None,
        *,
        limit: int | None = None,
        after: str | None = None,
    ) -> Pages[Feedback]:
        """On one message, or on all in the order of the log."""
        if message_id is None:
            path = make_path("/conversations/{}/feedback", conversation_id)
        else:
            path = make_path(f"{_ONE}/feedback", conversation_id, message_id)
        return self._list(Feedback, path, limit=limit, after=after)

    def withdraw(self, conversation_id: str, message_id: str, feedback_id: str) -> None:
        path = make_path(f"{_ONE}/feedback/{{}}", conversation_id, message_id, feedback_id)
        self._delete(path)
