"""What the management commands share: running async work, and two ways to print a result."""

import sys
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

import asyncpg
import orjson
from asgiref.sync import async_to_sync
from rich.console import Console
from rich.table import Table

from tenants.db.engine import dispose_engines
from tenants.errors import ApplicationError

ResultT = TypeVar("ResultT")
# Exit codes, beside 0: something failed; the call was wrong; there is no such thing; it can't be
# done in this state.
FAILED, USAGE, MISSING, CONFLICT = 1, 2, 3, 4
# Wider than any row: names have 200 characters at the most.
_PIPE_WIDTH = 2000


def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run async work to its end; an expected failure becomes a line and an exit code.

    So does a database that can't be reached. What Django's part of it raises is for
    `project/command_line.py`, since commands also ask the registry outside of this function.
    """

    async def to_its_end() -> ResultT:
        try:
            return await work
        finally:
            await dispose_engines()

    try:
        return async_to_sync(to_its_end)()
    except ApplicationError as error:
        fail(str(error), {404: MISSING, 409: CONFLICT, 422: USAGE}.get(error.status, FAILED))
    except (OSError, asyncpg.PostgresError) as error:
        fail(f"the tenants' database can't be used: {error}")


def fail(message: str, code: int = FAILED) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201  # This is the terminal's output.
    sys.exit(code)


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_UTC_Z, default=str).decode() + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A terminal folds what is too wide for it; in a pipe each row is one line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console = Console()
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(table)
