"""JSON answers, written straight from what the service returned.

An endpoint that returns one of these says with `response=` what the documentation shows; the
tests hold every answer against it, so that serving needn't.
"""

from typing import Any

import orjson
from django.http import HttpResponse


def json_response(content: Any, status: int = 200) -> HttpResponse:
    """content: JSON values, datetimes (written in UTC with a Z) and UUIDs."""
    return HttpResponse(
        orjson.dumps(content, option=orjson.OPT_UTC_Z),
        status=status,
        content_type="application/json",
    )


def created_response(content: Any, *, replayed: bool) -> HttpResponse:
    """Status 201, and whether the request repeats one that had been done before."""
    response = json_response(content, 201)
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response
