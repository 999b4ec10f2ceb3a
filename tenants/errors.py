"""Errors that carry their own answer.

One subclass per expected outcome, raised where the outcome is known and rendered at one place
(`project/api.py`). This module is free of Django so that every layer can raise.
"""

from collections.abc import Mapping
from typing import ClassVar


class ApplicationError(Exception):
    """An expected outcome that isn't success.

    status: the HTTP status. code: a stable word that programs may match on.
    headers: what the answer carries besides the usual.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    message: ClassVar[str] = "Something went wrong on our side."
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)

    @property
    def detail(self) -> str:
        """What the caller is told."""
        return str(self.args[0])


# What a caller sent.


class InvalidInput(ApplicationError):
    """A well-formed request with a value that isn't acceptable.

    errors: the fields at fault, as pairs of field path and reason.
    """

    status = 422
    code = "invalid_input"
    message = "The request has invalid values."

    def __init__(
        self, message: str | None = None, *, errors: list[tuple[str, str]] | None = None
    ) -> None:
        super().__init__(message)
        self.errors = errors or []


class MalformedBody(ApplicationError):
    status = 400
    code = "malformed_json"
    message = "The request body is not valid JSON."


class UnsupportedMediaType(ApplicationError):
    status = 415
    code = "unsupported_media_type"
    message = "Send the body as application/json."


class BodyTooLarge(ApplicationError):
    status = 413
    code = "body_too_large"
    message = "The request body is larger than this server accepts."


class InvalidCursor(ApplicationError):
    status = 400
    code = "invalid_cursor"
    message = "The cursor in `after` does not belong to this list. Start without one."


class InvalidHost(ApplicationError):
    status = 400
    code = "invalid_host"
    message = "This server does not serve the requested host."


class RequestTimeout(ApplicationError):
    status = 408
    code = "request_timeout"
    message = "The request body took too long to arrive."


class KeyInUrl(ApplicationError):
    status = 400
    code = "key_in_url"
    message = (
        "An API key was sent in the URL, where it ends up in logs. Revoke that key and send "
        "its successor in the header `Authorization: Bearer …`."
    )


# Who a caller is.


class Unauthenticated(ApplicationError):
    status = 401
    code = "unauthenticated"
    message = "Send a valid API key in the header `Authorization: Bearer …`."
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class ScopeMissing(ApplicationError):
    status = 403
    code = "scope_missing"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This API key does not have the scope `{scope}`.")


class TenantSuspended(ApplicationError):
    status = 403
    code = "tenant_suspended"
    message = "This tenant is suspended. Its data is kept; an administrator can resume it."


class TenantDeleting(ApplicationError):
    status = 403
    code = "tenant_deleting"
    message = "This tenant is being deleted."


class ModuleNotEnabled(ApplicationError):
    status = 404
    code = "module_not_enabled"

    def __init__(self, module: str) -> None:
        super().__init__(f"The module `{module}` is not enabled for this tenant.")


class NotFound(ApplicationError):
    status = 404
    code = "not_found"
    message = "There is no such resource."


class Conflict(ApplicationError):
    status = 409
    code = "conflict"
    message = "The request conflicts with the state of the resource."


# What the administrators run into.


class TenantNotFound(NotFound):
    code = "tenant_not_found"

    def __init__(self, slug: str) -> None:
        super().__init__(f"There is no tenant `{slug}`.")


class KeyNotFound(NotFound):
    code = "key_not_found"

    def __init__(self, public_id: str) -> None:
        super().__init__(f"There is no API key `{public_id}` of this tenant.")


class SlugTaken(Conflict):
    code = "slug_taken"

    def __init__(self, slug: str) -> None:
        super().__init__(f"The slug `{slug}` is taken.")


class WrongState(Conflict):
    code = "wrong_state"


class ConfirmationMismatch(InvalidInput):
    code = "confirmation_mismatch"
    message = "The confirmation is not the tenant's slug; nothing was erased."


# What the database does.


class DatabaseDefect(ApplicationError):
    """A database error that no caller caused: a defect of ours, answered with 500.

    reason: for the log alone, what the server's primary message says; never its DETAIL, which
    holds rows, and with them what users wrote.
    """

    def __init__(self, reason: str) -> None:
        super().__init__()
        self._reason = reason

    def __str__(self) -> str:
        return self._reason


class DatabaseUnavailable(ApplicationError):
    """The database could not be reached, or cut the connection; the transaction did not commit.

    Where the cut came during COMMIT the outcome is unknown, see `CommitInDoubt`.
    """

    status = 503
    code = "database_unavailable"
    message = "The database is not available at the moment. Try again."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class PoolExhausted(DatabaseUnavailable):
    code = "pool_exhausted"
    message = "All database connections are busy. Try again."


class LockTimeout(DatabaseUnavailable):
    code = "lock_timeout"
    message = "Another request held what this one needs for too long. Try again."


class StatementTimeout(DatabaseUnavailable):
    code = "statement_timeout"
    message = "The database took too long to answer. Try again."


class StorageFull(DatabaseUnavailable):
    status = 507
    code = "storage_full"
    message = "The database has no room left for writes."


class ConnectionLost(DatabaseUnavailable):
    """The connection was cut before COMMIT was sent, so nothing was written.

    Repeated like a `TransactionConflict`: the pool replaces the dead connection.
    """


class CommitInDoubt(DatabaseUnavailable):
    code = "commit_in_doubt"
    message = (
        "The connection to the database was lost while committing. The write may or may not "
        "have happened; read before you repeat it."
    )


class TransactionConflict(DatabaseUnavailable):
    """A failure that leaves no trace and that a fresh attempt is expected to get past.

    Deadlocks, serialization failures and stale query plans. The whole request is repeated once
    (`project/api.py`) before the caller sees this.
    """

    code = "transaction_conflict"
    message = "The request collided with others. Try again."


class TenantUnavailable(DatabaseUnavailable):
    """The tenant's role or schema can't be entered: it is gone, or was never made."""

    code = "tenant_unavailable"
    message = "The tenant's storage is not available."
