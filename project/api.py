"""The APIs: the modules' routes under `/api/v1`, their wires, and the management API."""

import functools
import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.params.models import QueryModel
from ninja.renderers import BaseRenderer

from project.openapi import DocumentedAPI
from project.operations import run_lean
from project.parsing import StrictParser
from project.rendering import render_error
from project.threads import registry_threads
from tenants import __version__, errors
from tenants.admin_api.router import router as management_router
from tenants.auth import KeyAuth, MemberAuth
from tenants.modules import get_modules

log = structlog.get_logger(__name__)

PREFIX = "v1"
# Modules that take one of several shapes tag them so.
_TAG = re.compile(r"<[a-z]+>")
_ALL = """
Lists come in pages: pass `limit` (1 to 100) and, while `has_more`, `next_cursor` as `after`.

Errors are problem details (RFC 9457) with a stable `code`, and the `request_id` that the header
`X-Request-Id` carries too. Unknown fields and parameters are refused. When a key is repeated in a
JSON object, its last value counts.
"""
_TENANT_DESCRIPTION = (
    """
Send `Authorization: Bearer <API key>` with every request; the key knows its tenant. A signed-in
member sends its session's cookie instead, with the tenant's slug in `X-Tenant` where the host
does not name it, and the value of the cookie `csrftoken` in `X-CSRFToken` with all but GET.
"""
    + _ALL
)
_WIRE_DESCRIPTION = """
For clients that were made for another service. Send `Authorization: Bearer <API key>`; the key
knows its tenant, and the same data is at `/api/v1`. Errors have the shape that they expect.
"""
_MANAGEMENT_DESCRIPTION = (
    """
Send `Authorization: Bearer <operator key>`; `manage.py operators create` makes one. A signed-in
owner or admin of a tenant sends its session's cookie and `X-CSRFToken` instead, and reaches its
own tenant: what it is, its keys, domains, members and usage.
"""
    + _ALL
)


class OrjsonRenderer(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return orjson.dumps(data, option=orjson.OPT_UTC_Z)


def create_tenant_api() -> NinjaAPI:
    """The API with every loaded module mounted."""
    api = _create_api("Tenantry", _TENANT_DESCRIPTION, "api")
    for module in get_modules():
        ways_in = [KeyAuth(module.name), MemberAuth(module.name)]
        api.add_router(PREFIX, module.router, auth=ways_in, tags=[module.label])
    return api


def create_wire_apis() -> dict[str, NinjaAPI]:
    """An API for each wire of the loaded modules, by its prefix."""
    apis = {}
    for module in get_modules():
        for wire in module.wires:
            title = f"Tenantry: {module.label} at /{wire.prefix}"
            api = _create_api(title, _WIRE_DESCRIPTION, wire.prefix, NinjaAPI)
            ways_in = [KeyAuth(module.name), MemberAuth(module.name)]
            api.add_router("", wire.router, auth=ways_in, tags=[module.label])
            apis[wire.prefix] = api
    return apis


def create_management_api() -> NinjaAPI:
    """The API for administrators."""
    api = _create_api("Tenantry management", _MANAGEMENT_DESCRIPTION, "management")
    api.add_decorator(in_own_thread)
    api.add_router(PREFIX, management_router)
    return api


def _create_api(
    title: str, description: str, namespace: str, api_class: type[NinjaAPI] = DocumentedAPI
) -> NinjaAPI:
    api = api_class(
        title=title,
        version=__version__,
        description=description,
        parser=StrictParser(),
        renderer=OrjsonRenderer(),
        urls_namespace=namespace,
    )
    api.add_decorator(refuse_unknown_parameters)
    api.add_decorator(repeat_once)
    api.add_decorator(run_lean, mode="view")
    api.add_exception_handler(Exception, answer_error)
    for kind in (HttpError, ValidationError):
        api.add_exception_handler(kind, answer_error)
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
            # What was cut off may take a moment to give back what it held.
            request.is_run_again = True  # type: ignore[attr-defined]
            return await endpoint(request, *args, **values)

    return run


def in_own_thread(endpoint: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Give the use of Django's ORM in an endpoint a thread that no other request uses meanwhile."""

    @functools.wraps(endpoint)
    async def run(request: HttpRequest, *args: Any, **values: Any) -> Any:
        async with registry_threads.borrow():
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
    status, body, headers = render_error(request.path, known, getattr(request, "request_id", ""))
    return HttpResponse(body, status=status, headers=headers)


def _as_application_error(error: Exception) -> errors.ApplicationError:
    if isinstance(error, errors.ApplicationError):
        return error
    if isinstance(error, ValidationError):
        return errors.InvalidInput(errors=[_field_error(detail) for detail in error.errors])
    if isinstance(error, TooManyFieldsSent):
        return errors.InvalidInput("The URL has too many parameters.")
    if isinstance(error, RawPostDataException):  # A form, at an endpoint that takes JSON.
        return errors.UnsupportedMediaType()
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
    field = ".".join(str(part) for part in path if not _TAG.fullmatch(str(part))) or str(source)
    return field, detail["msg"].removeprefix("Value error, ")
