"""Cutting the connections to the database."""

import asyncpg

from tenants.apps import get_settings


async def cut_connections():
    """End all other sessions of the runtime login, as a restart of the server does."""
    connection = await asyncpg.connect(get_settings().runtime_url.get_secret_value())
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE usename = current_user AND pid <> pg_backend_pid()"
    )
    await connection.close()
