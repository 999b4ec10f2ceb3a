"""The tenant API: the modules' routes under `/api/v1`, one error handler, one OpenAPI document."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.params.models import QueryModel
from ninja.renderers import BaseRenderer

from project.openapi import DocumentedAPI
from project.parsing import StrictParser
from project.problems import render_problem
from tenants import __version__, errors
from tenants.auth import KeyAuth
from tenants.modules import get_modules

log = structlog.get_logger(__name__)

PREFIX = "v1"
# Modules that take one of several bodies tag them with these words.
BODY_TAGS = frozenset({"one", "batch"})
_DESCRIPTION = """
Send `Authorization: Bearer <API key>` with every request; the key knows its tenant.

Lists come in pages: pass `limit` (1 to 100) and, while `has_more`, `next_cursor` as `after`.

Errors are problem details (RFC 9457) with a stable `code`, and the `request_id` that the header
`X-Request-Id` carries too. Unknown fields and parameters are refused. When a key is repeated in a
JSON object, its last value counts.
"""


class OrjsonRenderer(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return orjson.dumps(data)


def create_api() -> NinjaAPI:
    """The API with every loaded module mounted."""
    api = DocumentedAPI(
        title="Tenantry",
        version=__version__,
        description=_DESCRIPTION,
        parser=StrictParser(),
        renderer=OrjsonRenderer(),
        urls_namespace="api",
    )
    api.add_decorator(refuse_unknown_parameters)
    api.add_decorator(repeat_once)
    api.add_exception_handler(Exception, answer_error)
    for kind in (HttpError, ValidationError):
        api.add_exception_handler(kind, answer_error)
    for module in get_modules():
        api.add_router(PREFIX, module.router, auth=KeyAuth(module.name), tags=[module.label])
    return api


def refuse_unknown_parameters(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse parameters in the URL that the endpoint doesn't have, as fields of a body are.

    A misspelt filter would otherwise silently find everything.
    """
    known = {
        name
        for model in getattr(endpoint, "_ninja_operation").models  # noqa: B009  # Ninja's mark.
        if issubclass(model, QueryModel)
        for name in getattr(model, "__ninja_flatten_map__", ())
    }

    @functools.wraps(endpoint)
    def run(request: HttpRequest, *args: Any, **values: Any) -> Any:
        if request.META["QUERY_STRING"]:
            unknown = sorted(set(request.GET) - known)
            if unknown:
                raise errors.InvalidInput(
                    errors=[(name, "There is no such parameter.") for name in unknown]
                )
        return endpoint(request, *args, **values)

    return run


def repeat_once(
    endpoint: Callable[..., Awaitable[Any]],
) -> Callable[..., Awaitable[Any]]:
    """Run an endpoint once more when its transaction failed without a trace.

    The whole endpoint is repeated: what it read is stale together with what it wanted to write.
    """

    @functools.wraps(endpoint)
    async def run(request: HttpRequest, *args: Any, **values: Any) -> Any:
        try:
            return await endpoint(request, *args, **values)
        except (errors.TransactionConflict, errors.ConnectionLost) as error:
            log.warning("request.repeated", code=error.code, reason=repr(error.__cause__))
            return await endpoint(request, *args, **values)

    return run


def answer_error(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    """The one place where an exception becomes an answer."""
    assert isinstance(error, Exception)
    known = _as_application_error(error)
    if known.status >= 500:
        log.error(
            "request.failed",
            code=known.code,
            reason=str(error.__cause__ or error) or repr(error),
            exc_info=error if known.status == 500 else None,
        )
    body, headers = render_problem(known, getattr(request, "request_id", ""))
    return HttpResponse(body, status=known.status, headers=headers)


def _as_application_error(error: Exception) -> errors.ApplicationError:
    if isinstance(error, errors.ApplicationError):
        return error
    if isinstance(error, ValidationError):
        return errors.InvalidInput(errors=[_field_error(detail) for detail in error.errors])
    if isinstance(error, TooManyFieldsSent):
        return errors.InvalidInput("The URL has too many parameters.")
    if isinstance(error, AuthenticationError):
        return errors.Unauthenticated()
    # Ninja wraps what its parser raises.
    if isinstance(error, HttpError) and isinstance(error.__cause__, errors.ApplicationError):
        return error.__cause__
    return errors.ApplicationError()


def _field_error(detail: dict[str, Any]) -> tuple[str, str]:
    """The path to the field as a client wrote it, and the reason.

    Pydantic's path begins with where the value stood and the name of our parameter; the tag of a
    union's member, which stands there too, is no field either.
    """
    source, *path = detail["loc"]
    if source == "body":
        path = path[1:]
    if path and str(path[0]) in BODY_TAGS:
        path = path[1:]
    field = ".".join(str(part) for part in path) or str(source)
    return field, detail["msg"].removeprefix("Value error, ")
