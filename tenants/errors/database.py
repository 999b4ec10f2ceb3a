"""What the database does."""

from collections.abc import Mapping
from typing import ClassVar

from tenants.errors.base import ApplicationError


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
