"""Errors as the API shows them: problem details with a stable code and the request's id.

Source: RFC 9457. Every error of the service, whatever raised it, is rendered here.
"""

from typing import Any

import orjson

from tenants.errors import ApplicationError, InvalidInput

CONTENT_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Conflict",
    412: "Precondition failed",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Invalid request",
    500: "Internal server error",
    503: "Service unavailable",
    507: "Insufficient storage",
}


def render_problem(error: ApplicationError, request_id: str) -> tuple[bytes, dict[str, str]]:
    """The body and headers of the answer; its status is the error's."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES.get(error.status, "Error"),
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "request_id": request_id,
        **error.members,
    }
    if isinstance(error, InvalidInput) and error.errors:
        content["errors"] = [{"field": field, "reason": reason} for field, reason in error.errors]
    return orjson.dumps(content), {"Content-Type": CONTENT_TYPE, **error.headers}
