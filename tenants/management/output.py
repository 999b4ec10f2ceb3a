"""How a command ends and what it prints: lines and tables for people, JSON for programs."""

import asyncio
import sys
from collections.abc import AsyncIterable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import asyncpg
import orjson
from rich.console import Console
from rich.table import Table

from tenants.db.engine import dispose_engines
from tenants.errors import ApplicationError, DatabaseUnavailable

ResultT = TypeVar("ResultT")
# Exit codes, beside 0: something failed; the call was wrong; there is no such thing; it can't be
# done in this state.
FAILED, USAGE, MISSING, CONFLICT = 1, 2, 3, 4
# Wider than any row: names have 200 characters at the most.
_PIPE_WIDTH = 2000
# Rows whose common width is found before any is printed; a list may have ten thousand.
_TABLE_ROWS = 1000


def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run async work to its end; an expected failure becomes a line and an exit code.

    So does a database that can't be reached. What else Django's part of it raises is for
    `project/command_line.py`, since commands also ask the registry outside of this function.
    """

    async def to_its_end() -> ResultT:
        try:
            return await work
        finally:
            await dispose_engines()

    try:
        # Not asgiref's way, which runs the loop in another thread: Ctrl-C wouldn't reach it.
        return asyncio.run(to_its_end())
    except DatabaseUnavailable as error:
        fail(f"{error} {_first_line(error.__cause__)}".strip())
    except ApplicationError as error:
        fail(str(error), {404: MISSING, 409: CONFLICT, 422: USAGE}.get(error.status, FAILED))
    except BrokenPipeError:
        raise  # It is our own output that nobody reads any more.
    except (OSError, asyncpg.PostgresError) as error:
        fail(f"the tenants' database can't be used: {error}")


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End the command; each line of the message is one thing that is wrong."""
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)  # noqa: T201  # This is the terminal's output.
    sys.exit(code)


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(_dump(value) + "\n")


async def print_json_list(rows: AsyncIterable[Any]) -> None:
    """The same for a list that is longer than memory should hold."""
    separator = "["
    async for row in rows:
        sys.stdout.write(separator + _dump(row))
        separator = ","
    sys.stdout.write("[]\n" if separator == "[" else "]\n")


def print_facts(facts: Mapping[str, object]) -> None:
    """A line for each, with the values below each other; what is nested gets a dotted name."""
    lines = list(_flatten(facts))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        sys.stdout.write(f"{name:{width}}  {show_value(value)}\n")


async def print_table(columns: Sequence[str], rows: AsyncIterable[Mapping[str, Any]]) -> int:
    """Print these fields of each row, `a.b` for field b of a; return how many rows there were."""
    console = make_console()
    table = _make_table(columns, header=True)
    count = 0
    async for row in rows:
        table.add_row(*(show_value(_find(row, column)) for column in columns))
        count += 1
        if table.row_count == _TABLE_ROWS:
            console.print(table)
            table = _make_table(columns, header=console.is_terminal)
    if table.row_count:
        console.print(table)
    return count


def make_console(*, stderr: bool = False) -> Console:
    """A terminal folds what is too wide for it; in a pipe each row is one line."""
    # What tenants are called is shown as it is, and not as markup.
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def show_value(value: object) -> str:
    """A value as people read it. An empty one is a hyphen, so that columns can be counted."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, dict):
        return _dump(value) if value else "-"
    return "-" if value in {None, ""} else str(value)


def _make_table(columns: Sequence[str], *, header: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=header)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _flatten(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = []
    for name, value in facts.items():
        if isinstance(value, dict) and value:
            lines += _flatten(value, f"{prefix}{name}.")
        else:
            lines.append((prefix + name, value))
    return lines


def _find(row: Mapping[str, Any], path: str) -> object:
    value: Any = row
    for name in path.split("."):
        value = value[name]
    return value


def _dump(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z, default=str).decode()


def _first_line(error: BaseException | None) -> str:
    return str(error).partition("\n")[0] if error else ""
