"""Files that tenants are exported to and imported from."""

import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tenants.errors import ApplicationError, InvalidInput


class ExportUnwritable(ApplicationError):
    code = "export_unwritable"


async def print_lines(chunks: AsyncIterator[bytes]) -> None:
    """Write them to standard output."""
    async for chunk in chunks:
        sys.stdout.write(chunk.decode())


async def write_file(chunks: AsyncIterator[bytes], path: Path) -> int:
    """Write them into a new file, which only this account can read and which is whole or not there.

    Returns its size in bytes. Raises InvalidInput (422) if there is such a file, ExportUnwritable
    (500), and what reading the chunks raises.
    """
    with _making(path) as file:
        async for chunk in chunks:
            file.write(chunk)
        return file.tell()


@contextmanager
def reading_lines(path: Path) -> Iterator[BinaryIO]:
    """A file that gives its lines one by one. Raises InvalidInput (422) if it can't be opened."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}.") from error
    with file:
        yield file


@contextmanager
def _making(path: Path) -> Iterator[BinaryIO]:
    """A file that has this name once the block ends well, and else is gone."""
    if path.exists():
        raise InvalidInput(f"{path} is there already; name a file that isn't.")
    half = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
            half.rename(path)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        raise ExportUnwritable(f"{path} can't be written: {error.strerror}.") from error
