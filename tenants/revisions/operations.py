"""Alembic's `op`, for several schemas at once.

Alembic has one for the whole process, which its revisions import. Here several schemas are migrated
at a time, each in a task of its own, and `op` does what it does for the one in whose task it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from alembic import op

_operations: ContextVar[Operations] = ContextVar("operations")


class _OfThisTask:
    def __getattr__(self, name: str) -> Any:
        return getattr(_operations.get(), name)


@contextmanager
def operating(context: MigrationContext) -> Iterator[None]:
    """Have `op` work on a context, for as long as the block runs and for this task alone."""
    # Where Alembic itself puts an `Operations`; its own commands take it away when they end.
    vars(op)["_proxy"] = _OfThisTask()
    token = _operations.set(Operations(context))
    try:
        yield
    finally:
        _operations.reset(token)
