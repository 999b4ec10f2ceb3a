"""Files of tenants: what a module needs of the place that keeps them, whatever that is.

Free of Django, so that every layer can name it; `tenants/storage.py` has the one that is used.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import IO, Protocol


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that were uploaded, in memory or in a temporary file; read in threads alone.

    size: how many.
    """

    file: IO[bytes]
    size: int


class FileStore(Protocol):
    """The files of one tenant; no name reaches another's.

    Names are made by the module, never by a user: letters, digits, `-` and `_`.
    All raise FileStoreUnavailable (503), or StorageFull (507), when the storage fails.
    """

    async def save(self, name: str, content: Content) -> str:
        """Keep the bytes, under this name or, if it is taken, under one that begins with it.

        They are safe when it returns that name.
        """
        ...

    async def open(self, name: str) -> AsyncGenerator[bytes, None] | None:
        """The bytes in parts, to be read to the end or closed; None if there is no such file."""
        ...

    async def delete(self, name: str) -> None:
        """Remove a file; one that isn't there is removed already."""
        ...

    async def list_names(self) -> list[str]:
        """Of all files, in no order."""
        ...

    async def delete_all(self) -> None:
        """Remove every file, and the folder."""
        ...
