"""The client: one connection pool, the retries, and the resources on it."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import httpx

from tenantry_client._async.resources import (
    Attachments,
    Conversations,
    Everything,
    Messages,
    ToolCalls,
    Users,
)
from tenantry_client._calls import (
    Call,
    make_headers,
    may_help,
    pause_before,
    raise_for,
    without_none,
)
from tenantry_client.errors import ConnectionFailed

_PREFIX = "/api/v1"


class AsyncTenantry:
    """A client of one tenant's conversations; use it for as long as the program runs.

    base_url: where the service is, such as `https://conversations.example.com`.
    api_key: the tenant's, `tnt_…`. timeout: seconds for each attempt.
    max_retries: how often a call is sent again when the service or the network failed. It never
    writes twice: every POST carries an idempotency key.
    http_client: an `httpx.AsyncClient` of your own, which `aclose` then leaves open.
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
        self._base_url = base_url.rstrip("/") + _PREFIX
        self._api_key = api_key
        self._timeout = timeout
        self._max_retries = max_retries
        self._owns_http = http_client is None
        self._http = http_client or httpx.AsyncClient()
        self.conversations = Conversations(self)
        self.messages = Messages(self)
        self.tool_calls = ToolCalls(self)
        self.attachments = Attachments(self)
        self.users = Users(self)
        self.everything = Everything(self)

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
        if self._owns_http:
            await self._http.aclose()

    async def call(self, call: Call) -> Any:
        """Send a request, again where that may help, and return the answer's JSON, if any.

        Raises APIError, ConnectionFailed.
        """
        response = await self.send(call)
        return response.json() if response.content else None

    async def send(self, call: Call) -> httpx.Response:
        """As `call` does, for answers that aren't JSON."""
        request = self._build(call, self._timeout)
        for attempt in range(1, self._max_retries + 2):
            is_last = attempt > self._max_retries
            try:
                response = await self._http.send(request)
            except httpx.TransportError as error:
                if is_last:
                    raise ConnectionFailed(str(error) or repr(error)) from error
                await asyncio.sleep(pause_before(attempt))
                continue
            if response.is_success or is_last or not may_help(response):
                # Gone is what was wanted, and an earlier attempt may have seen to it.
                if not (call.method == "DELETE" and attempt > 1 and response.status_code == 404):
                    raise_for(response)
                return response
            await asyncio.sleep(pause_before(attempt, response))
        raise AssertionError  # The last attempt returns or raises.

    async def read_lines(self, call: Call) -> AsyncIterator[str]:
        """The lines of an answer that is streamed. Nothing is sent again.

        Raises APIError, ConnectionFailed.
        """
        request = self._build(call, None)
        try:
            response = await self._http.send(request, stream=True)
            try:
                if not response.is_success:
                    await response.aread()
                    raise_for(response)
                async for line in response.aiter_lines():
                    yield line
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise ConnectionFailed(str(error) or repr(error)) from error

    def _build(self, call: Call, timeout: float | None) -> httpx.Request:
        limits = httpx.Timeout(timeout, connect=self._timeout)
        return self._http.build_request(
            call.method,
            self._base_url + call.path,
            params=without_none(call.query),
            json=call.json,
            content=call.content,
            files=call.files,
            data=call.form,
            headers=make_headers(call, self._api_key),
            timeout=limits,
        )
