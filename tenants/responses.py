"""JSON answers, written straight from what the service returned.

An endpoint that returns one of these says with `response=` what the documentation shows; the
tests hold every answer against it, so that serving needn't.
"""

from collections.abc import AsyncGenerator
from typing import Any

import orjson
from django.http import HttpResponse, StreamingHttpResponse

from tenants.db.engine import get_settings
from tenants.running import RunningRequest, running


def to_json(content: Any) -> bytes:
    """content: JSON values, datetimes (written in UTC with a Z) and UUIDs."""
    return orjson.dumps(content, option=orjson.OPT_UTC_Z)


def json_response(content: Any, status: int = 200) -> HttpResponse:
    """content: as `to_json` takes it."""
    return HttpResponse(to_json(content), status=status, content_type="application/json")


def created_response(content: Any, *, replayed: bool) -> HttpResponse:
    """Status 201, and whether the request repeats one that had been done before."""
    response = json_response(content, 201)
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def event_response(
    request: RunningRequest, events: AsyncGenerator[bytes, None]
) -> StreamingHttpResponse:
    """Server-sent events, counted among the tenant's streams. Raises TooManyStreams (429)."""
    running.become_stream(request, get_settings().streams_per_tenant)
    return StreamingHttpResponse(
        events,
        content_type="text/event-stream",
        # Neither kept nor gathered by whatever stands in between.
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
