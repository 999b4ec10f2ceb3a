"""Keeps the files of tenants in the storage that Django's setting `STORAGES` names `tenants`.

Django's storages block, so all of it runs in threads. What a storage raises depends on its maker;
here it becomes the errors of `tenants.errors`.
"""

import asyncio
import errno
import os
import re
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, storages

from tenants.errors import FileStoreUnavailable, StorageFull
from tenants.files import Content
from tenants.tenant import TenantRef

ALIAS = "tenants"
PART_BYTES = 256 * 1024
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")

P = ParamSpec("P")
T = TypeVar("T")


class DiskStorage(FileSystemStorage):
    """Files in a folder, which a power cut does not take back once they are saved."""

    def _save(self, name: str, content: Any) -> str:
        saved: str = super()._save(name, content)  # type: ignore[misc]  # The stubs lack it.
        path = Path(self.path(saved))
        for each in (path, path.parent, path.parent.parent):
            descriptor = os.open(each, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return saved


class TenantFiles:
    """`tenants.files.FileStore` for one tenant: a folder of the storage, named after its id."""

    def __init__(self, tenant: TenantRef) -> None:
        self._folder = tenant.id.hex

    async def save(self, name: str, content: Content) -> str:
        # Only the bytes: of a temporary file Django would take more, the file itself, and a
        # request that is repeated would find it gone.
        saved = await _in_thread(storages[ALIAS].save, self._path(name), File(content.file))
        return saved.rpartition("/")[2]

    async def open(self, name: str) -> AsyncGenerator[bytes, None] | None:
        try:
            file = await _in_thread(storages[ALIAS].open, self._path(name))
            # Some storages ask for the bytes only now.
            first = await _in_thread(file.read, PART_BYTES)
        except FileStoreUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        return _read_parts(file, first)

    async def delete(self, name: str) -> None:
        await _in_thread(storages[ALIAS].delete, self._path(name))

    async def list_names(self) -> list[str]:
        try:
            _, names = await _in_thread(storages[ALIAS].listdir, self._folder)
        except FileStoreUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return []
            raise
        return [name for name in names if _NAME.fullmatch(name)]

    async def delete_all(self) -> None:
        for name in await self.list_names():
            await self.delete(name)
        await _in_thread(storages[ALIAS].delete, self._folder)

    def _path(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a file")
        return f"{self._folder}/{name}"


async def _read_parts(file: Any, part: bytes) -> AsyncGenerator[bytes, None]:
    try:
        while part:
            yield part
            part = await _in_thread(file.read, PART_BYTES)
    finally:
        await asyncio.to_thread(file.close)


async def _in_thread(call: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> T:
    """Raises StorageFull (507), or FileStoreUnavailable (503) for all else."""
    try:
        return await asyncio.to_thread(call, *args, **options)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull("The storage of files has no room left.") from error
        raise FileStoreUnavailable from error
