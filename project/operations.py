"""Running an operation of Ninja's with no more around it than ours need.

Ninja makes a response for each request that endpoints may write to, asks each way in whether it
is a coroutine function, and reads the path and an absent query through models; that took longer
than reading the body. What it documents, and how it reads values and reports errors in them,
stays Ninja's.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pydantic
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja.errors import AuthenticationError
from ninja.operation import AsyncOperation, Operation
from ninja.params.models import ParamModel, PathModel, QueryModel
from ninja.utils import is_async_callable

Run = Callable[..., Awaitable[HttpResponseBase]]
Reader = Callable[[HttpRequest, dict[str, Any]], dict[str, Any]]


def run_lean(run: Run) -> Run:
    """A decorator of mode `view`. It leaves operations alone that use what it leaves out."""
    operation: Operation = run.__self__  # type: ignore[attr-defined]
    if not _is_simple(operation):
        return run
    readers = [_reader(model, operation) for model in operation.models]

    async def run_operation(request: HttpRequest, **path: Any) -> HttpResponseBase:
        try:
            await _authenticate(operation, request)
            values = _read(operation, readers, request, path)
            result = await operation.view_func(request, **values)
            if isinstance(result, HttpResponseBase):
                return result
            written = operation.api.create_temporal_response(request)
            return operation._result_to_response(request, result, written)
        except Exception as error:
            return operation.api.on_exception(request, error)

    return run_operation


def _is_simple(operation: Operation) -> bool:
    """Whether it is a coroutine, as its ways in are, and asks for no throttle or response."""
    return (
        isinstance(operation, AsyncOperation)
        and all(is_async_callable(way_in) for way_in in operation.auth_callbacks)
        and not operation.csrf_exempt
        and not operation.throttle_objects
        and not operation.stream_format
        and not operation.signature.response_arg
    )


async def _authenticate(operation: Operation, request: HttpRequest) -> None:
    """Raises what a way in raises, or AuthenticationError if there are some and none lets in."""
    for way_in in operation.auth_callbacks:
        if caller := await way_in(request):
            request.auth = caller  # type: ignore[attr-defined]
            return
    if operation.auth_callbacks:
        raise AuthenticationError


def _read(
    operation: Operation, readers: list[Reader], request: HttpRequest, path: dict[str, Any]
) -> dict[str, Any]:
    """The endpoint's arguments. Raises Ninja's ValidationError, which names all that is wrong."""
    try:
        values: dict[str, Any] = {}
        for read in readers:
            values.update(read(request, path))
    except pydantic.ValidationError:
        # Ninja reads on after the first model with an error.
        return operation._get_values(request, path, HttpResponse())
    return values


def _reader(model: type[ParamModel], operation: Operation) -> Reader:
    """What reads the values of one of an operation's models, by their names."""
    if issubclass(model, PathModel) and all(
        each.annotation is str and not each.metadata for each in model.model_fields.values()
    ):
        return lambda _request, path: path
    if issubclass(model, QueryModel):
        empty = model._map_data_paths({})

        def read_query(request: HttpRequest, path: dict[str, Any]) -> dict[str, Any]:
            if request.META["QUERY_STRING"]:
                return model.resolve(request, operation.api, path).__dict__
            return model.model_validate(empty).__dict__

        return read_query
    return lambda request, path: model.resolve(request, operation.api, path).__dict__
