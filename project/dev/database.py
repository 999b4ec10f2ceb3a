"""Gives a process a database when no setting names one: the embedded PostgreSQL.

The server, its logins and what `manage.py dev` generates are kept in the data folder, so that
every command finds the same database, whether a server is being run or not.
"""

import asyncio
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic_settings import BaseSettings

from project.dev.postgres import EmbeddedPostgres
from project.dev.settings import ENV_PREFIX, EmbeddedSettings

DATABASE = "tenantry"
LOGINS = ("registry", "runtime", "owner")


class Credentials:
    """What was generated for this data folder: passwords, keys. Readable by its owner only."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "credentials.json"

    def read(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        content: dict[str, str] = json.loads(self._path.read_text())
        return content

    def write(self, **changes: str) -> None:
        """Add or replace entries; the file is replaced whole, so a crash can't truncate it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(self.read() | changes, indent=2))
        temporary.replace(self._path)


@contextmanager
def ensure_database(
    prepare: Callable[[], None] | None = None, server_settings: dict[str, str] | None = None
) -> Iterator[None]:
    """Have a database for as long as the block runs.

    Where no URL is set, starts the embedded server, or joins the one that runs, and sets in the
    environment its three URLs and what was generated for it.
    prepare: makes the registry's tables; called once in the life of a data folder, and again if
    it was cut off.
    Raises EmbeddedPostgresError, with one clear line.
    """
    if _database_is_named():
        yield
        return
    settings = EmbeddedSettings()
    data_dir = settings.data_dir.resolve()
    server = EmbeddedPostgres(
        data_dir / "postgres", binaries=settings.postgres_bin_dir, server_settings=server_settings
    )
    superuser_url = server.start()
    try:
        credentials = Credentials(data_dir)
        with _exclusive(data_dir / "setup.lock"):
            if "owner" not in credentials.read():
                _make_logins(superuser_url, credentials)
            known = credentials.read()
            for login in LOGINS:
                url = server.dsn(f"tenantry_{login}", known[login], DATABASE)
                os.environ[f"{ENV_PREFIX}{login.upper()}_URL"] = url
            given = _Environment()
            if not given.secret_key:
                os.environ[f"{ENV_PREFIX}SECRET_KEY"] = known["secret_key"]
            if not given.public_url and "public_url" in known:
                os.environ[f"{ENV_PREFIX}PUBLIC_URL"] = known["public_url"]
            if prepare is not None and "prepared" not in known:
                prepare()
                credentials.write(prepared="yes")
        yield
    finally:
        server.stop()


class _Environment(BaseSettings):
    """What the environment or a `.env` file may name already."""

    model_config = EmbeddedSettings.model_config
    registry_url: str | None = None
    runtime_url: str | None = None
    owner_url: str | None = None
    secret_key: str | None = None
    public_url: str | None = None


def _database_is_named() -> bool:
    return any(_Environment().model_dump(exclude={"secret_key", "public_url"}).values())


def _make_logins(superuser_url: str, credentials: Credentials) -> None:
    # Late: most commands find everything made, and these imports take a while.
    from tenants.logins import generate_passwords, setup_database

    passwords = generate_passwords()
    asyncio.run(setup_database(superuser_url, DATABASE, passwords))
    credentials.write(**passwords, secret_key=secrets.token_urlsafe(48))


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
