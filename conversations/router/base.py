"""The router that the endpoints hang on."""

from collections.abc import Callable
from typing import Any

from ninja import Router

from conversations.router.retries import HEADER, KEY_PATTERN

_IDEMPOTENCY_KEY = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Send the same again with a repeated request, and it is done only once: the "
    "repeat gets the first one's answer, with the header `Idempotent-Replayed: true`.",
    "schema": {"type": "string", "pattern": KEY_PATTERN},
}


class RepeatableRouter(Router):
    """Says in the document that a POST may be repeated; `answer_once` sees to that."""

    def add_api_operation(
        self, path: str, methods: list[str], view_func: Callable[..., Any], **options: Any
    ) -> None:
        if "POST" in methods:
            extra = options.get("openapi_extra") or {}
            parameters = [*extra.get("parameters", ()), _IDEMPOTENCY_KEY]
            options["openapi_extra"] = {**extra, "parameters": parameters}
        super().add_api_operation(path, methods, view_func, **options)


router = RepeatableRouter()
