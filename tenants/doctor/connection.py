"""Connections of the doctor's own: it also looks at logins that the service couldn't use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from pydantic import SecretStr

from tenants.settings import EngineSettings


@asynccontextmanager
async def connect(url: SecretStr, settings: EngineSettings) -> AsyncIterator[Any]:
    """A connection, closed after the block. Raises asyncpg.PostgresError or OSError."""
    connection = await asyncpg.connect(
        url.get_secret_value(), timeout=settings.connect_timeout_seconds
    )
    try:
        yield connection
    finally:
        await connection.close()
