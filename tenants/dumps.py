"""One schema as a file: written by `pg_dump`, and read back under another name.

The file is in pg_dump's own format; `pg_restore` prints what is in it as SQL, in which the schema
has the name that it had. That is replaced everywhere but in rows: what users wrote stays as it is,
whatever it looks like. Rows are passed on as they come, so a dump may be larger than memory.
"""

import re
from asyncio import StreamReader
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import errors
from tenants.programs import run_program

_CHUNK_BYTES = 1024 * 1024
# A statement that locks one of the tables is waited for, but not for ever.
_LOCK_TIMEOUT = "30s"
# What the new schema has already: itself, and Alembic's table.
_THERE = re.compile(r"^\d+; \d+ \d+ (COMMENT - )?SCHEMA |^\d+; .* t_[0-9a-f]{32} alembic_version ")
# What would prepare a session of its own, and what psql alone understands.
_SESSION = re.compile(
    r"^(SET \w+ = [^\n]*;|SELECT pg_catalog\.set_config\('search_path', '', false\);"
    r"|\\(un)?restrict \w+)$",
    re.MULTILINE,
)
_COPY = re.compile(r"COPY (?P<table>.+?) \((?P<columns>.+)\) FROM stdin;")
_NAME = re.compile(r'"(?:[^"]|"")+"|[^",.\s]+')


async def dump_schema(program: Path, url: SecretStr, schema: str, file: Path) -> None:
    """Write all of a schema but its rights and owners. program: `pg_dump`.

    Raises ProgramFailed.
    """
    async with run_program(
        program,
        *("--format=custom", "--no-owner", "--no-privileges", "--encoding=UTF8"),
        *(f"--schema={schema}", "--strict-names", f"--lock-wait-timeout={_LOCK_TIMEOUT}"),
        f"--file={file}",
        url=url,
    ) as output:
        await output.read()


async def load_schema(
    connection: AsyncConnection, program: Path, file: Path, old: str, new: str
) -> None:
    """Make what a dump holds, in the open transaction of an owner connection.

    program: `pg_restore`. old: the dumped schema. new: one that `create_schema` has just made.
    Raises BackupUnusable (422), ProgramFailed, and what the database reports.
    """
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert driver is not None
    listed = await _read(program, "--list", str(file))
    with NamedTemporaryFile("w", suffix=".list") as entries:
        entries.writelines(
            line for line in listed.splitlines(keepends=True) if not _THERE.match(line)
        )
        entries.flush()
        reading = ["--no-owner", "--no-privileges", f"--use-list={entries.name}", "--file=-"]

        async def define(section: str) -> None:
            sql = await _read(program, f"--section={section}", *reading, str(file))
            await driver.execute(_SESSION.sub("", sql).replace(old, new))

        await define("pre-data")
        async with run_program(program, "--section=data", *reading, str(file)) as output:
            rows = _Rows(output)
            while (copy := await rows.find_copy()) is not None:
                table, columns = copy
                await driver.copy_to_table(
                    table, schema_name=new, columns=columns, source=rows.read(), format="text"
                )
        await define("post-data")


class _Rows:
    """What `pg_restore` prints of rows: for each table a COPY, its rows, and a line that ends it.

    Source: PostgreSQL manual, "COPY", "Text Format".
    """

    def __init__(self, output: StreamReader) -> None:
        self._output = output
        self._buffer = b""

    async def find_copy(self) -> tuple[str, Sequence[str]] | None:
        """The next table and its columns; None if there is none."""
        while line := await self._read_line():
            text = line.decode().rstrip("\n")
            if copy := _COPY.fullmatch(text):
                *_, table = _unquote(copy["table"])
                return table, _unquote(copy["columns"])
            if text and not text.startswith("--") and not _SESSION.fullmatch(text):
                raise errors.BackupUnusable(f"it holds more than tables and rows: {text[:80]}")
        return None

    async def read(self) -> AsyncIterator[bytes]:
        """The rows of this table, as COPY takes them."""
        beginning = True
        while True:
            if beginning and self._buffer.startswith(b"\\.\n"):
                self._buffer = self._buffer[3:]
                return
            end = self._buffer.find(b"\n\\.\n")
            if end >= 0:
                rows, self._buffer = self._buffer[: end + 1], self._buffer[end + 4 :]
                yield rows
                return
            if len(self._buffer) > 3:
                # The last three bytes may be where the end begins.
                rows, self._buffer = self._buffer[:-3], self._buffer[-3:]
                beginning = False
                yield rows
            if not await self._read_more():
                raise errors.BackupUnusable("it breaks off in the rows of a table")

    async def _read_line(self) -> bytes:
        """The next line with its end; empty where there is none any more."""
        while b"\n" not in self._buffer and await self._read_more():
            pass
        line, newline, self._buffer = self._buffer.partition(b"\n")
        return line + newline

    async def _read_more(self) -> bool:
        more = await self._output.read(_CHUNK_BYTES)
        self._buffer += more
        return bool(more)


async def _read(program: Path, *arguments: str) -> str:
    """All that a program prints; not of rows."""
    async with run_program(program, *arguments) as output:
        return (await output.read()).decode()


def _unquote(names: str) -> list[str]:
    """Names as they are, from identifiers with dots or commas between them."""
    return [
        name[1:-1].replace('""', '"') if name.startswith('"') else name
        for name in _NAME.findall(names)
    ]
