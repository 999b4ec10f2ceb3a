"""The way from one revision to another, cut where the manner of going changes.

Neighbouring revisions that are plain SQL are one segment: one message, one transaction, one new
stamp. One that runs Python, or outside a transaction, is a segment of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import Connection

from tenants.errors import BrokenRevision
from tenants.module import Module
from tenants.revisions.operations import operating
from tenants.revisions.scripts import Kind, find_position, kind_of, list_line


@dataclass(frozen=True, eq=False)
class Segment:
    """A part of the way that is gone at once; it ends with the stamp at `end`.

    start, end: revisions; None is the empty schema. statements: what is rendered; empty for
    Python. They name no schema (but `SCHEMA`, where they run outside a transaction), begin no
    transaction and write no stamp.
    """

    module: Module
    start: str | None
    end: str | None
    kind: Kind
    statements: tuple[str, ...]
    functions: tuple[Callable[[], None], ...]

    @property
    def sql(self) -> str:
        return "\n".join(self.statements)

    def run(self, connection: Connection) -> None:
        """Run the revisions themselves, with Alembic's operations, on a connection.

        Its search path is at the tenant's schema.
        """
        with operating(MigrationContext.configure(connection)):
            for function in self.functions:
                function()


@cache
def plan_segments(module: Module, start: str | None, end: str | None) -> tuple[Segment, ...]:
    """From `start` up or down to `end`. Raises UnknownRevision, BrokenRevision (422)."""
    line = list_line(module)
    names = [None, *(script.revision for script in line)]
    first, last = find_position(module, start), find_position(module, end)
    step = 1 if last >= first else -1
    segments = []
    for part in _cut(line, first, last, step):
        scripts = [line[position - (step < 0)] for position in part]
        kind = kind_of(scripts[0])
        functions = tuple(
            script.module.upgrade if step > 0 else script.module.downgrade for script in scripts
        )
        statements = () if kind is Kind.PYTHON else _render(scripts, functions)
        segments.append(
            Segment(module, names[part[0]], names[part[-1] + step], kind, statements, functions)
        )
    return tuple(segments)


def _cut(line: Sequence[Script], first: int, last: int, step: int) -> list[list[int]]:
    """The positions that are passed, together where what lies behind them is plain SQL."""
    parts: list[list[int]] = []
    joined = False
    for position in range(first, last, step):
        plain = kind_of(line[position - (step < 0)]) is Kind.SQL
        if plain and joined:
            parts[-1].append(position)
        else:
            parts.append([position])
        joined = plain
    return parts


def _render(scripts: Sequence[Script], functions: Sequence[Callable[[], None]]) -> tuple[str, ...]:
    written = _Written()
    context = MigrationContext.configure(
        dialect_name="postgresql",
        # Where parameters are marked by percent signs, those of the SQL come out doubled.
        dialect_opts={"paramstyle": "named"},
        opts={"as_sql": True, "output_buffer": written},
    )
    with operating(context):
        for script, function in zip(scripts, functions, strict=True):
            try:
                function()
            except Exception as error:  # A revision is a program of its author's.
                raise BrokenRevision(script.revision, repr(error)) from error
    return tuple(written.statements)


class _Written:
    """What Alembic writes its SQL to, a statement at a time."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def write(self, text: str) -> None:
        if text.strip():
            self.statements.append(text.strip())

    def flush(self) -> None:
        """Alembic calls it after each statement."""
