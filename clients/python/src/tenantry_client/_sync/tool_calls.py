# Made by generate_sync.py from the file of this name in `_async`.
"""Tool calls."""

from typing import Any

from tenantry_client._sync.pages import Pages
from tenantry_client._sync.resource import Resource
from tenantry_client._calls import make_path, without_none
from tenantry_client.inputs import Content
from tenantry_client.models import ToolCall

_ALL = "/conversations/{}/tool-calls"
_ONE = f"{_ALL}/{{}}"


class ToolCalls(Resource):
    """call_id: the model provider's id. Raises Conflict where the status doesn't allow a step."""

    def list(
        self,
        conversation_id: str,
        *,
        open: bool | None = None,  # noqa: A002  # The API's name.
        limit: int | None = None,
        after: str | None = None,
    ) -> Pages[ToolCall]:
        """In the order of the log. open: only those that wait for a result."""
        path = make_path(_ALL, conversation_id)
        return self._list(ToolCall, path, open=open, limit=limit, after=after)

    def get(self, conversation_id: str, call_id: str) -> ToolCall:
        return self._get(ToolCall, make_path(_ONE, conversation_id, call_id))

    def start(self, conversation_id: str, call_id: str) -> ToolCall:
        """Begin an attempt, the first or another."""
        return self._step(conversation_id, call_id, "start")

    def approve(
        self, conversation_id: str, call_id: str, by: str, reason: str | None = None
    ) -> ToolCall:
        """by: who decides, an id in your own system."""
        decision = without_none(by=by, reason=reason)
        return self._step(conversation_id, call_id, "approve", decision)

    def deny(
        self, conversation_id: str, call_id: str, by: str, reason: str | None = None
    ) -> ToolCall:
        """Close it, with an output that says so. by: who decides."""
        decision = without_none(by=by, reason=reason)
        return self._step(conversation_id, call_id, "deny", decision)

    def cancel(
        self, conversation_id: str, call_id: str, reason: str | None = None
    ) -> ToolCall:
        """Close it, with an output that says so."""
        return self._step(conversation_id, call_id, "cancel", without_none(reason=reason))

    def report_result(
        self,
        conversation_id: str,
        call_id: str,
        output: Content | None = None,
        *,
        error: str | None = None,
    ) -> ToolCall:
        """Close it with its output, or with the error that it failed with."""
        result = without_none(output=output, error=error)
        return self._step(conversation_id, call_id, "result", result)

    def _step(
        self, conversation_id: str, call_id: str, verb: str, body: Any = None
    ) -> ToolCall:
        path = make_path(f"{_ONE}/{verb}", conversation_id, call_id)
        return self._post(ToolCall, path, body)
