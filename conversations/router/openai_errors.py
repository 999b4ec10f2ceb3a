"""Errors as the `openai` SDK expects them."""

import re

import orjson

from tenants.errors import ApplicationError, InvalidInput

# Its SDK tells them apart by these; 422 it has never seen from the service it was made for.
STATUSES = {422: 400}
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_INDEX = re.compile(r"\.(\d+)(?=\.|$)")


def render_error(error: ApplicationError, request_id: str) -> tuple[bytes, dict[str, str]]:
    """The body and headers of the answer.

    The SDK repeats what got 409. That helps only where an answer says when to come back.
    """
    default = "server_error" if error.status >= 500 else "invalid_request_error"
    fields = error.errors if isinstance(error, InvalidInput) else []
    content = {
        "message": " ".join(
            [error.detail, *(f"{_name(field)}: {why.rstrip('.')}." for field, why in fields)]
        ),
        "type": _TYPES.get(error.status, default),
        "param": _name(fields[0][0]) if fields else None,
        "code": error.code,
        "request_id": request_id,
    }
    headers = {"Content-Type": "application/json", **error.headers}
    if error.status == 409 and "Retry-After" not in headers:
        headers["x-should-retry"] = "false"
    return orjson.dumps({"error": content}), headers


def _name(field: str) -> str:
    """`items.0` as `items[0]`."""
    return _INDEX.sub(r"[\1]", field)
