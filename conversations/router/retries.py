"""Requests that a client may send again without knowing whether they arrived.

Every POST endpoint does its work through `answer_once`.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse

from conversations import service
from tenants.auth import TenantRequest
from tenants.db.unit_of_work import WriteSession, write_session
from tenants.errors import InvalidInput
from tenants.responses import json_response

HEADER = "Idempotency-Key"
KEY_PATTERN = r"^[!-~]{1,255}$"
_KEY = re.compile(KEY_PATTERN)
_FORM = "multipart/form-data"


Write = Callable[[WriteSession], Awaitable[Any]]
# Does the work and keeps its answer; gives that, and whether it had been given before.
WriteOnce = Callable[
    [WriteSession, service.RepeatableRequest], Awaitable[tuple[service.Answer, bool]]
]


async def answer_once(
    request: TenantRequest, write: Write, status: int = 200, *, write_once: WriteOnce | None = None
) -> HttpResponse:
    """Do a request's work in one transaction, and answer with what it returns, as JSON.

    With the header `Idempotency-Key` the work is done once: the answer is kept in the same
    transaction, and a repeat gets it again, with `Idempotent-Replayed: true`. What fails leaves
    nothing, and may be tried again under the same key.
    write: may be run again after it failed, so it does nothing outside its session.
    status: with 204, the answer has no content.
    write_once: a quicker way for requests with a key, which keeps the answer itself.
    Raises InvalidInput (422) for what can't be a key, IdempotencyKeyReused (422) for another
    request under it, IdempotencyKeyInUse (409) while the first is under way; and as `write` does.
    """
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        async with write_session(request.auth.tenant) as session:
            content = await write(session)
        return _render(content, status)
    repeatable = await _name(request, key)
    async with write_session(request.auth.tenant) as session:
        # `project.api.repeat_once` says so.
        run_again = getattr(request, "is_run_again", False)
        if write_once is not None and not run_again:
            return _send(*await write_once(session, repeatable))
        answer = await service.find_answer(session, repeatable, run_again=run_again)
        if answer is not None:
            return _send(answer, replayed=True)
        content = await write(session)
        response = _render(content, status)
        match = request.resolver_match
        inside = match.kwargs.get("conversation_id") if match else None
        await service.keep_answer(
            session,
            repeatable,
            service.Answer(status, response.content),
            service.conversation_of(content, inside),
        )
    return response


async def _name(request: TenantRequest, key: str) -> service.RepeatableRequest:
    if not _KEY.fullmatch(key):
        reason = "Send 1 to 255 printable ASCII characters, without spaces."
        raise InvalidInput(errors=[(HEADER, reason)])
    caller = request.auth

    def name() -> service.RepeatableRequest:
        return service.RepeatableRequest.of(caller.tenant, caller.id, key, _asked(request))

    if request.content_type != _FORM:
        return name()
    return await asyncio.to_thread(name)  # Its files may be large, and on the disk.


def _asked(request: TenantRequest) -> Iterator[bytes]:
    """All that says what a request asks for: its method, path, query and body, byte for byte.

    Of a form the parts: clients choose another boundary between them each time.
    """
    assert request.method is not None
    yield from (part.encode() for part in (request.method, request.path))
    yield request.META["QUERY_STRING"].encode()
    if request.content_type != _FORM:
        yield request.body
        return
    for name, values in sorted(request.POST.lists()):
        for value in values:
            yield from (part.encode() for part in ("field", name, value))
    for name, files in sorted(request.FILES.lists()):
        for file in files:
            described = ("file", name, file.name, file.content_type)
            yield from (str(part).encode() for part in described)
            yield _hash_file(file)


def _hash_file(file: "UploadedFile[Any]") -> bytes:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return digest.digest()


def _render(content: Any, status: int) -> HttpResponse:
    return HttpResponse(status=204) if status == 204 else json_response(content, status)


def _send(answer: service.Answer, replayed: bool) -> HttpResponse:
    return HttpResponse(
        answer.body,
        status=answer.status,
        content_type="application/json",
        headers={"Idempotent-Replayed": "true"} if replayed else None,
    )
