"""The client: one pool of connections, and the resources on it."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from types import TracebackType
from typing import Any, Self

import httpx

from tenantry_client._async.attachments import Attachments
from tenantry_client._async.conversations import Conversations, Summaries
from tenantry_client._async.messages import FeedbackOnMessages, Messages
from tenantry_client._async.pages import Pages
from tenantry_client._async.resource import Resource
from tenantry_client._async.tool_calls import ToolCalls
from tenantry_client._async.transport import AsyncTransport
from tenantry_client._async.users import Erasures, Users
from tenantry_client._calls import Call
from tenantry_client.inputs import ConversationStatus, Dimension, ImportFormat
from tenantry_client.models import ImportReport, SearchHit, UsageReport


class AsyncTenantry(Resource):
    """A client of one tenant's conversations; use it for as long as the program runs.

    base_url: where the service is, such as `https://conversations.example.com`.
    api_key: the tenant's, `tnt_…`. timeout: seconds for each attempt to connect, send and read.
    max_retries: how often a call is sent again when the service or the network failed. It never
    writes twice: every POST carries an idempotency key.
    http_client: an `httpx.AsyncClient` of your own, which `aclose` then leaves open.
    Every method that asks the service raises APIError and ConnectionFailed.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float = 30.0,
        max_retries: int = 3,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        transport = AsyncTransport(base_url, api_key, timeout, max_retries, http_client)
        super().__init__(transport)
        self.conversations = Conversations(transport)
        self.summaries = Summaries(transport)
        self.messages = Messages(transport)
        self.feedback = FeedbackOnMessages(transport)
        self.tool_calls = ToolCalls(transport)
        self.attachments = Attachments(transport)
        self.users = Users(transport)
        self.erasures = Erasures(transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    def search(
        self,
        q: str,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        status: ConversationStatus | None = None,
        language: str | None = None,
        limit: int | None = None,
        after: str | None = None,
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
            after=after,
        )

    async def usage(
        self,
        start: date | None = None,
        end: date | None = None,
        *,
        group_by: Sequence[Dimension] = ("day",),
        timezone: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        model: str | None = None,
    ) -> UsageReport:
        """Tokens, cost and counts of the days from `start` until before `end`.

        By default of the last thirty days, today included.
        """
        query = {
            "from": start,
            "to": end,
            "group_by": group_by,
            "timezone": timezone,
            "user_id": user_id,
            "agent_id": agent_id,
            "model": model,
        }
        return await self._get(UsageReport, "/usage", **query)

    def export(self) -> AsyncIterator[dict[str, Any]]:
        """All that the tenant has, in records, the last one of the type `end`.

        Raises ConnectionFailed where it is cut.
        """
        return self._export("/export")

    async def import_lines(
        self,
        lines: bytes,
        *,
        format: ImportFormat | None = None,  # noqa: A002  # The API's name.
        user_id: str | None = None,
        agent_id: str | None = None,
    ) -> ImportReport:
        """Import lines of JSON: our own export, OpenAI's chats, or ChatGPT's export.

        What is there already is left alone. user_id, agent_id: where the source names none.
        """
        call = Call(
            "POST",
            "/imports",
            query={"format": format, "user_id": user_id, "agent_id": agent_id},
            content=lines,
            headers={"content-type": "application/x-ndjson"},
        )
        return await self._ask(ImportReport, call)
