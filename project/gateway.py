"""What every request passes before any view: its id, its URL, its host, its body's size.

Then the APIs go to the lean handler, the admin, the docs and the pages of members to Django's own.
"""

import asyncio
import re
import tempfile
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import IO, Any
from urllib.parse import unquote_to_bytes

import orjson
import structlog

from project.handler import LeanHandler, Receive, Scope, Send
from project.health import readiness, report_readiness
from project.rendering import render_error
from project.settings import Settings
from tenants import errors
from tenants.directory import TenantEntry, get_directory
from tenants.ids import new_request_id
from tenants.keys import KEY_IN_TEXT
from tenants.modules import find_wire

log = structlog.get_logger(__name__)

API_PREFIXES = ("/api/v1/", "/api/admin/v1/")
# Where the document of a wire is, below its prefix.
_DOCUMENTS = frozenset({"/docs", "/openapi.json"})
# What a tenant's host serves beside the APIs, since a session belongs to the host where it began.
MEMBER_PAGES = ("/accounts/", "/static/")
# Where modules may take files.
_UPLOAD_PREFIX = "/api/v1/"
_TOO_LATE = "the body did not arrive in time"
_BODY_HEADERS = {b"content-length", b"transfer-encoding"}
_FORM = b"multipart/form-data"
_FORM_BYTES_IN_MEMORY = 1024 * 1024
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(r"(?P<name>[a-z0-9.-]{1,253}|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)


class Gateway:
    """The ASGI application for HTTP."""

    def __init__(self, settings: Settings, pages: Any) -> None:
        self._settings = settings
        self._api = LeanHandler()
        self._pages = pages
        self._own_hosts = frozenset({settings.base_domain, *settings.allowed_hosts})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_at = time.perf_counter()
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        request_id = _take_request_id(headers)
        scope["request_id"] = request_id
        # Looked up once: before Python 3.12 this asks for the process's id, a system call.
        scope["task"] = asyncio.current_task()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 0

        async def send_with_id(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    # Clients leave before the listener closes, instead of finding it closed.
                    *([(b"connection", b"close")] if readiness.draining else []),
                ]
            await send(message)

        try:
            await self._route(scope, headers, receive, send_with_id)
        except errors.ApplicationError as error:
            if not status:
                await _send_error(scope, error, send_with_id)
            elif error.status >= 500:
                log.error("request.failed", code=error.code, reason=str(error))
        except Exception as error:
            log.error("request.failed", reason=repr(error), exc_info=error)
            if status:
                raise  # The answer has begun; the server can only cut it off.
            await _send_error(scope, errors.ApplicationError(), send_with_id)
        finally:
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                # Without an answer the client has gone, or the process is being stopped.
                status=status or 499,
                milliseconds=round((time.perf_counter() - started_at) * 1000, 2),
            )

    async def _route(
        self, scope: Scope, headers: dict[bytes, list[bytes]], receive: Receive, send: Send
    ) -> None:
        path: str = scope["path"]
        if path == "/healthz":
            await _send_json(HTTPStatus.OK, {"status": "ok"}, send)
            return
        if path == "/readyz":
            await _send_json(*(await report_readiness()), send)
            return
        _check_url(scope)
        host = self._read_host(scope, headers)
        host_tenant = await self._find_tenant(host)
        if _is_api(path):
            if _is_upload(scope, headers):
                with await self._read_form(scope, headers, receive) as form:
                    await self._api.answer(scope, form, receive, send, host_tenant)
                return
            # To wait for a body that isn't there takes a timer.
            has_body = scope["method"] != "GET" or not headers.keys().isdisjoint(_BODY_HEADERS)
            body = await self._read_body(scope, headers, receive) if has_body else b""
            await self._api.answer(scope, body, receive, send, host_tenant)
        elif host_tenant is None or (self._is_ours(host) and path.startswith(MEMBER_PAGES)):
            capped = self._capped(headers, receive, self._settings.max_body_bytes)
            await self._pages(scope, capped, send)
        else:
            raise errors.NotFound("A tenant's host serves its API only.")

    def _read_host(self, scope: Scope, headers: dict[bytes, list[bytes]]) -> str:
        """The name of the host that was asked, in lower case and without the port.

        Raises InvalidHost (400) unless there is exactly one.
        """
        names = headers.get(b"host", [])
        if self._settings.trust_proxy_headers:
            names = headers.get(b"x-forwarded-host", names)
            scope["headers"] = [
                *((name, value) for name, value in scope["headers"] if name != b"host"),
                *((b"host", value) for value in names),
            ]
        match = _HOST.fullmatch(names[0].decode("latin1")) if len(names) == 1 else None
        if match is None:
            raise errors.InvalidHost("Send exactly one valid Host header.")
        return match["name"].lower()

    async def _find_tenant(self, host: str) -> TenantEntry | None:
        """The tenant that a host belongs to, or None for a host of the service's own.

        Raises InvalidHost (400) for any other: no view ever sees a foreign host.
        """
        if host in self._own_hosts:
            return None
        tenant = await get_directory().find_host(host)
        if tenant is None:
            raise errors.InvalidHost
        return tenant

    def _is_ours(self, host: str) -> bool:
        """Whether a host's DNS is in our hands.

        Nobody signs in at a domain of a tenant's own: whoever runs its DNS could take it
        elsewhere, and with it the passwords and sessions of people who are in other tenants too.
        """
        return host.endswith(f".{self._settings.base_domain}")

    async def _read_body(
        self, scope: Scope, headers: dict[bytes, list[bytes]], receive: Receive
    ) -> bytes:
        """The whole body. Raises BodyTooLarge (413), RequestTimeout (408)."""
        chunks: list[bytes] = []
        capped = self._capped(headers, receive, self._settings.max_body_bytes)
        seconds = self._settings.body_timeout_seconds
        await _receive_body(scope["task"], capped, seconds, chunks.append)
        return b"".join(chunks)

    async def _read_form(
        self, scope: Scope, headers: dict[bytes, list[bytes]], receive: Receive
    ) -> IO[bytes]:
        """The whole body as a file, which is on the disk where it is large.

        Raises BodyTooLarge (413), RequestTimeout (408), StorageFull (507).
        """
        capped = self._capped(headers, receive, self._settings.max_upload_bytes)
        form = tempfile.SpooledTemporaryFile(max_size=_FORM_BYTES_IN_MEMORY)  # noqa: SIM115
        try:
            seconds = self._settings.upload_timeout_seconds
            await _receive_body(scope["task"], capped, seconds, form.write)
            form.seek(0)
        except OSError as error:
            form.close()
            raise errors.StorageFull("There is no room for the upload.") from error
        except BaseException:
            form.close()
            raise
        return form

    def _capped(self, headers: dict[bytes, list[bytes]], receive: Receive, limit: int) -> Receive:
        """`receive` that refuses a body over the limit, announced or not, as it arrives."""
        received = 0
        for length in headers.get(b"content-length", []):
            if not length.isdigit() or len(length) > 18 or int(length) > limit:
                raise errors.BodyTooLarge(f"The request body may have {limit} bytes.")

        async def receive_capped() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise errors.BodyTooLarge(f"The request body may have {limit} bytes.")
            return message

        return receive_capped


def _is_api(path: str) -> bool:
    """Whether a path is a route's; the documents of the APIs are pages."""
    if path.startswith(API_PREFIXES):
        return True
    wire = find_wire(path)
    return wire is not None and path.removeprefix(f"/{wire.prefix}") not in _DOCUMENTS


def _is_upload(scope: Scope, headers: dict[bytes, list[bytes]]) -> bool:
    """Whether a body may be large, and is kept out of memory: a form, where there are modules."""
    content_type = headers.get(b"content-type", [b""])[0].lower()
    return (
        scope["method"] == "POST"
        and scope["path"].startswith(_UPLOAD_PREFIX)
        and content_type.partition(b";")[0].strip() == _FORM
    )


async def _receive_body(
    task: asyncio.Task[object], receive: Receive, seconds: float, keep: Callable[[bytes], object]
) -> None:
    """Raises RequestTimeout (408) if the body's end doesn't arrive in time.

    task: the one that runs this.
    """
    # By hand, since nearly all bodies are there already: `asyncio.timeout` took longer than they.
    timer = task.get_loop().call_later(seconds, task.cancel, _TOO_LATE)
    try:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise errors.RequestTimeout("The client left before its body arrived.")
            keep(message.get("body", b""))
            more = message.get("more_body", False)
    except asyncio.CancelledError as error:
        if error.args != (_TOO_LATE,):
            raise
        task.uncancel()
        raise errors.RequestTimeout from None
    finally:
        timer.cancel()


def _check_url(scope: Scope) -> None:
    """Refuse what must not stand in a URL: an API key, which would end up in logs, and NUL."""
    url, query = scope["path"].encode(), scope["query_string"]
    if query:
        url += b"?" + unquote_to_bytes(query)
    if KEY_IN_TEXT.search(url):
        raise errors.KeyInUrl
    if b"\0" in url:
        raise errors.InvalidInput("The URL has a NUL character.")
    if not query.isascii():
        raise errors.InvalidInput("The URL has characters that must be percent-encoded.")


def _take_request_id(headers: dict[bytes, list[bytes]]) -> str:
    """The client's own request id if it is a modest word, else a new one."""
    given = headers.get(b"x-request-id", [b""])[0]
    return given.decode() if _REQUEST_ID.fullmatch(given) else new_request_id()


async def _send_json(status: int, content: object, send: Send) -> None:
    await _send(status, orjson.dumps(content), {"content-type": "application/json"}, send)


async def _send_error(scope: Scope, error: errors.ApplicationError, send: Send) -> None:
    status, body, headers = render_error(scope["path"], error, scope["request_id"])
    await _send(status, body, headers, send)


async def _send(status: int, body: bytes, headers: dict[str, str], send: Send) -> None:
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
