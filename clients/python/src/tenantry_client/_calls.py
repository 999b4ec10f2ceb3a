"""What is sent, what an answer means, and when to try again; no input or output happens here."""

import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx

from tenantry_client.errors import make_error

VERSION = "0.1.0"
# What says nothing about the request itself, so that the same may go well a moment later.
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
# Another attempt of this very request is still at work.
_IN_FLIGHT = "idempotency_key_in_use"
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 8.0


@dataclass(frozen=True)
class Call:
    """One request, as often as it is sent.

    path: after `/api/v1`. Each value None in query and json is left out.
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    files: Mapping[str, Any] | None = None
    form: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def make_path(template: str, *values: str) -> str:
    """A path with values in the places of `{}`, each escaped as one segment."""
    return template.format(*(quote(value, safe="") for value in values))


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def make_headers(call: Call, api_key: str) -> dict[str, str]:
    """All but what the body needs. Every POST gets a key, under which repeating it is safe."""
    headers = {
        "authorization": f"Bearer {api_key}",
        "user-agent": f"tenantry-client/{VERSION}",
    }
    if call.method == "POST":
        headers["idempotency-key"] = secrets.token_hex(16)
    return {**headers, **call.headers}


def raise_for(response: httpx.Response) -> None:
    """Raises an APIError unless the answer is success. The body must have been read."""
    if response.is_success:
        return
    try:
        problem = response.json()
    except ValueError:
        problem = {"detail": response.text[:500]}
    if not isinstance(problem, dict):
        problem = {"detail": str(problem)[:500]}
    raise make_error(response.status_code, problem, response.headers.get("x-request-id", ""))


def may_help(response: httpx.Response) -> bool:
    """Whether sending the same again may go better."""
    if response.status_code == 409:
        is_problem = response.headers.get("content-type", "").startswith("application/problem")
        return is_problem and bool(response.json().get("code") == _IN_FLIGHT)
    return response.status_code in _RETRIED


def pause_before(attempt: int, response: httpx.Response | None = None) -> float:
    """Seconds to wait before the attempt (the second is 1): what the service asks for, or longer
    each time, with chance in it so that clients don't come in step."""
    asked = response.headers.get("retry-after") if response is not None else None
    if asked is not None:
        seconds = _read_retry_after(asked)
        if seconds is not None:
            return min(seconds, 60.0)
    longest = min(_FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1), _LONGEST_PAUSE_SECONDS)
    return longest * (0.5 + random.random() / 2)  # noqa: S311  # Nobody has to be kept from guessing.


def _read_retry_after(value: str) -> float | None:
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None
