"""The lean handler: Django's request and URL resolver on the event loop, and nothing else.

Django's own ASGI handler spends several thread hops on each request, for signals with
synchronous receivers, for closing the response and for every synchronous middleware. The tenant
API needs none of them: no middleware, no signal, no Django database connection. What the stock
handler gives is kept: a client that goes away cancels the work, responses may stream, and an
exception becomes an answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import aclosing
from http import HTTPStatus
from io import SEEK_END, BytesIO
from typing import IO, Any

from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpResponseNotAllowed, QueryDict, StreamingHttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase

from project.api import answer_error
from project.routes import get_routes
from tenants.db.engine import get_settings
from tenants.directory import TenantEntry
from tenants.errors import (
    ApplicationError,
    MalformedForm,
    NotFound,
    RequestTimeout,
    StorageFull,
)
from tenants.running import RunningRequest, running

# For how long nobody looks whether the client is still there.
_UNWATCHED_SECONDS = 0.02

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class RouteNotFound(NotFound):
    message = "There is nothing at this path."


class MethodNotAllowed(ApplicationError):
    status = 405
    code = "method_not_allowed"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"Allowed here: {allowed}.")
        self.headers = {"Allow": allowed}  # type: ignore[misc]  # This answer's own.


class _FormRequest(ASGIRequest):
    """A request whose body is a form. What is wrong with it shows when an endpoint asks for its
    files: by then the caller is known."""

    _failure: ApplicationError | None = None

    def read_form(self) -> None:
        """Take the form to pieces. It passes over every byte, and writes large files to disk."""
        try:
            super().FILES  # noqa: B018  # Django reads the form when this is first asked for.
        except OSError as error:
            self._failure = StorageFull("There is no room for the upload.")
            self._failure.__cause__ = error
        except (MultiPartParserError, SuspiciousOperation, LookupError, ValueError) as error:
            self._failure = MalformedForm()
            self._failure.__cause__ = error
        if self._failure is not None:
            self.POST = QueryDict()  # Or Django would read it once more.

    @property
    def FILES(self) -> Any:  # type: ignore[override]  # noqa: N802  # As Django has it.
        """Raises MalformedForm (400), StorageFull (507)."""
        if self._failure is not None:
            raise self._failure
        return super().FILES


class LeanHandler:
    """Answers one request of the tenant API."""

    async def answer(
        self,
        scope: Scope,
        body: bytes | IO[bytes],
        receive: Receive,
        send: Send,
        host_tenant: TenantEntry | None,
    ) -> None:
        """Run the endpoint and send its response, unless the client goes away before.

        body: the whole request body; that of a form as a file.
        host_tenant: the tenant whose host was asked, if any.
        """
        if isinstance(body, bytes):
            request = ASGIRequest(scope, BytesIO(body))
            request._body = body  # Read already; `request.body` is this.
        else:
            request = _FormRequest(scope, body)
            # Django takes a form without a length, as one sent in chunks is, for an empty one,
            # and knows its type by lower-case letters only.
            request.META["CONTENT_LENGTH"] = str(body.seek(0, SEEK_END))
            body.seek(0)
            parameters = request.META["CONTENT_TYPE"].partition(";")[2]
            request.META["CONTENT_TYPE"] = f"multipart/form-data;{parameters}"
        request.request_id = scope["request_id"]  # type: ignore[attr-defined]
        request.host_tenant = host_tenant  # type: ignore[attr-defined]
        request.running = running.enter(scope["task"])  # type: ignore[attr-defined]
        try:
            with _CancelledByDisconnect(receive, request.running.task) as watch:  # type: ignore[attr-defined]
                await self._answer(request, send)
                watch.finished = True
        finally:
            running.leave(request.running)  # type: ignore[attr-defined]
            request.close()  # The temporary files of a form.

    async def _answer(self, request: ASGIRequest, send: Send) -> None:
        """Respond, or say why the request was ended; raise that if the response had begun."""
        response = None
        try:
            response = await self._respond(request)
            await _send_response(response, send)
        except asyncio.CancelledError:
            ended: RunningRequest = request.running  # type: ignore[attr-defined]
            reason = ended.ended_by
            if reason is None:
                raise
            ended.task.uncancel()
            if response is not None:
                raise reason from None
            await _send_response(answer_error(request, reason), send)

    async def _respond(self, request: ASGIRequest) -> HttpResponseBase:
        try:
            if isinstance(request, _FormRequest):
                await asyncio.to_thread(request.read_form)
            match = request.resolver_match = get_routes().resolve(request.path_info)
            response: HttpResponseBase = await match.func(request, *match.args, **match.kwargs)
        except Http404:
            return answer_error(request, RouteNotFound())
        except Exception as error:
            return answer_error(request, error)
        if isinstance(response, HttpResponseNotAllowed):
            return answer_error(request, MethodNotAllowed(response["Allow"]))
        return response


class _CancelledByDisconnect:
    """Cancels the block's task when the client disconnects, and ends there without an error.

    It begins to look after a moment: most requests are answered by then, and a task of its own
    for each costs more than to end some of them that moment later.
    """

    def __init__(self, receive: Receive, task: asyncio.Task[Any]) -> None:
        self._receive = receive
        self._task = task
        self._watcher: asyncio.Task[None] | None = None
        self._disconnected = False
        self.finished = False

    def __enter__(self) -> "_CancelledByDisconnect":
        self._timer = self._task.get_loop().call_later(_UNWATCHED_SECONDS, self._begin)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> bool:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._disconnected and kind is asyncio.CancelledError:
            self._task.uncancel()
            return True
        return False

    def _begin(self) -> None:
        self._watcher = self._task.get_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        # After a whole response the server reports a disconnect too; there is nothing to cancel.
        if not self.finished:
            self._disconnected = True
            self._task.cancel()


async def _send_response(response: HttpResponseBase, send: Send) -> None:
    headers = [
        (name.lower().encode("ascii"), value.encode("latin1")) for name, value in response.items()
    ]
    headers += [
        (b"set-cookie", morsel.output(header="").strip().encode("ascii"))
        for morsel in response.cookies.values()
    ]
    if not isinstance(response, StreamingHttpResponse):
        content: bytes = response.content  # type: ignore[attr-defined]
        if response.status_code == HTTPStatus.NO_CONTENT:
            # It has neither length nor type; Django gives every response a type.
            headers = [header for header in headers if header[0] != b"content-type"]
        else:
            headers.append((b"content-length", str(len(content)).encode()))
        start = {"type": "http.response.start", "status": response.status_code, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": content})
        return
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    # The endpoint's own generator: iterating over the response would leave closing it, when the
    # client has gone, to the garbage collector.
    timeout_seconds = get_settings().stream_send_timeout_seconds
    async with aclosing(response._iterator) as parts:  # type: ignore[attr-defined]
        async for part in parts:
            message = {"type": "http.response.body", "body": response.make_bytes(part)}
            try:
                # The server takes what its buffer has room for; then it waits for the reader.
                async with asyncio.timeout(timeout_seconds):
                    await send({**message, "more_body": True})
            except TimeoutError:
                raise RequestTimeout("The client does not read its answer.") from None
    await send({"type": "http.response.body"})
