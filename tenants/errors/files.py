"""What the storage of files does."""

from collections.abc import Mapping
from typing import ClassVar

from tenants.errors.base import ApplicationError


class FileStoreUnavailable(ApplicationError):
    """It could not be reached, or refused. Nothing is known to have been kept."""

    status = 503
    code = "storage_unavailable"
    message = "The storage of files is not available at the moment. Try again."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}
