"""What is sent, what an answer means, and when to try again; no input or output happens here."""

import json
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any
from urllib.parse import quote

import httpx

from tenantry_client.errors import make_error

__version__ = "0.1.0"
NATIVE, OPENAI = "/api/v1", "/openai/v1"
# What says nothing about the request itself, so that the same may go well a moment later.
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
# Another attempt of this very request is still at work.
_IN_FLIGHT = "idempotency_key_in_use"
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 8.0
_LONGEST_ASKED_SECONDS = 60.0


class Unset(Enum):
    """What an argument is that isn't given, where None means something else."""

    UNSET = "unset"


UNSET = Unset.UNSET


@dataclass(frozen=True)
class Call:
    """One request, as often as it is sent.

    path: after the prefix. Each None in the query is left out. json: None for no body.
    retries, read_seconds: where they aren't the client's own.
    """

    method: str
    path: str
    prefix: str = NATIVE
    query: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    files: Mapping[str, Any] | None = None
    form: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retries: int | None = None
    read_seconds: float | None = None


def make_path(template: str, *values: str) -> str:
    """A path with values in the places of `{}`, each escaped as one segment.

    Raises ValueError for an empty one: the path would lead to something else.
    """
    return template.format(*map(_escape, values))


def _escape(value: str) -> str:
    if not value:
        raise ValueError("an id may not be empty")
    # On their way these would be taken for steps up the path.
    return value.replace(".", "%2E") if value in (".", "..") else quote(value, safe="")


def only_given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not UNSET}


def without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def write_query(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _write_value(value) for name, value in query.items() if value is not None}


def _write_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json.dumps(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(value)
    return value


def write_body(call: Call) -> bytes | None:
    if call.json is None:
        return call.content
    return json.dumps(call.json, ensure_ascii=False, default=_write_json).encode()


def _write_json(value: Any) -> Any:
    """What JSON has no word for."""
    if isinstance(value, Decimal):
        return format(value, "f")  # The service takes no exponents.
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return list(value)
    raise TypeError(f"{type(value).__name__} can't be sent as JSON")


def make_headers(call: Call, api_key: str) -> dict[str, str]:
    """Every POST gets a key, under which repeating it is safe."""
    headers = {
        "authorization": f"Bearer {api_key}",
        "user-agent": f"tenantry-client/{__version__}",
    }
    if call.json is not None:
        headers["content-type"] = "application/json"
    if call.method == "POST":
        headers["idempotency-key"] = secrets.token_hex(16)
    return {**headers, **call.headers}


def raise_for(response: httpx.Response) -> None:
    """Raises an APIError unless the answer is success. The body must have been read."""
    if not response.is_success:
        request_id = response.headers.get("x-request-id", "")
        raise make_error(response.status_code, _read_problem(response), request_id)


def _read_problem(response: httpx.Response) -> dict[str, Any]:
    """What an answer says is wrong; what a proxy sends may be anything.

    The OpenAI wire has it under `error`.
    """
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return {"detail": response.text[:500]}
    error = problem.get("error")
    if isinstance(error, dict):
        return {**error, "detail": error.get("message")}
    return problem


def may_help(response: httpx.Response) -> bool:
    """Whether sending the same again may go better."""
    if response.status_code == 409:
        return _read_problem(response).get("code") == _IN_FLIGHT
    return response.status_code in _RETRIED


def pause_before(attempt: int, response: httpx.Response | None = None) -> float:
    """Seconds to wait before the attempt (the second is 1): what the service asks for, or longer
    each time, with chance in it so that clients don't come in step."""
    asked = response.headers.get("retry-after") if response is not None else None
    seconds = None if asked is None else _read_retry_after(asked)
    if seconds is not None:
        return min(seconds, _LONGEST_ASKED_SECONDS)
    # The exponent is bounded, too: a stream may try for days.
    longest = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(attempt - 1, 10), _LONGEST_PAUSE_SECONDS)
    return longest * (0.5 + random.random() / 2)  # noqa: S311  # Nobody has to be kept from guessing.


def _read_retry_after(value: str) -> float | None:
    """Seconds, of a number or a date; None for neither."""
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None
