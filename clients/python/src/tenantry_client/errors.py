"""What can go wrong. Everything raised by this package is a `TenantryError`."""

from collections.abc import Mapping
from typing import Any


class TenantryError(Exception):
    """Anything that a call can raise, beside what its arguments raise."""


class ConnectionFailed(TenantryError):
    """The service could not be reached, or the connection broke, as often as it was tried."""


class APIError(TenantryError):
    """An answer that isn't success. Match on `code`; the text is for people.

    status: of HTTP. code: stable, such as `conversation_not_found`. request_id: names the request
    in the service's logs. errors: pairs of field and reason, where values were invalid.
    problem: all of the answer (RFC 9457).
    """

    def __init__(self, status: int, problem: Mapping[str, Any], request_id: str) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code = str(problem.get("code", "unknown"))
        self.request_id = request_id
        self.errors = _read_errors(problem.get("errors"))
        detail = str(problem.get("detail") or problem.get("title") or "No reason was given.")
        fields = "; ".join(f"{field}: {reason}" for field, reason in self.errors)
        super().__init__(f"{status} {self.code}: {detail}{f' ({fields})' if fields else ''}")

    def __reduce__(self) -> tuple[Any, ...]:
        """So that it can be pickled, as task queues do."""
        return type(self), (self.status, self.problem, self.request_id)


class InvalidRequest(APIError):
    """400, 413, 415 or 422: what was sent can't be used."""


class NotAuthenticated(APIError):
    """401: the key is missing, wrong, revoked or expired."""


class NotAllowed(APIError):
    """403: the key may not do this, or the tenant is suspended."""


class NotFound(APIError):
    """404: there is no such thing, or it is another tenant's."""


class Conflict(APIError):
    """409: it contradicts what is there."""


class PreconditionFailed(APIError):
    """412: somebody else was faster. last_seq: where the conversation is now."""

    @property
    def last_seq(self) -> int | None:
        return self.problem.get("last_seq")


class TooManyRequests(APIError):
    """429: the tenant has as much under way as it may."""


class ServerFailed(APIError):
    """5xx, as often as it was tried."""


_BY_STATUS: dict[int, type[APIError]] = {
    400: InvalidRequest,
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    429: TooManyRequests,
}


def _read_errors(errors: Any) -> list[tuple[str, str]]:
    if not isinstance(errors, list):
        return []
    return [
        (str(each.get("field")), str(each.get("reason")))
        for each in errors
        if isinstance(each, dict)
    ]


def make_error(status: int, problem: Mapping[str, Any], request_id: str) -> APIError:
    kind = _BY_STATUS.get(status, ServerFailed if status >= 500 else APIError)
    return kind(status, problem, request_id)
