"""What a benchmark does with the peer: create tenants, seed many, migrate all, and time it."""

import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_ROOT = Path(__file__).resolve().parent.parent.parent
_LOGIN = "peer"
_MIGRATION = '''"""A change to the tables of every tenant, as plain SQL."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = {dependencies!r}
    operations = [migrations.RunSQL({statements!r})]
'''


class Peer:
    """The peer's process and its database on a server; use as a context manager.

    superuser_url: of the server. revisions: the statements of each of the tables' revisions; they
    name no schema.
    """

    def __init__(self, superuser_url: str, revisions: Sequence[Sequence[str]]) -> None:
        self._superuser_url = superuser_url
        self._password = secrets.token_hex(16)
        self._revisions = 0
        self._folder = TemporaryDirectory(prefix="tenantry-peer-")
        self._migrations = Path(self._folder.name) / "peer_migrations"
        self._migrations.mkdir()
        (self._migrations / "__init__.py").touch()
        for statements in revisions:
            self.add_migration(statements)

    def __enter__(self) -> "Peer":
        self._make_database()
        self._process = self._start({})
        self._ask("migrate_schemas", shared=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._folder.cleanup()

    def add_migration(self, statements: Sequence[str]) -> None:
        """Write the next migration; the process knows it after `restart`."""
        self._revisions += 1
        parent = f"log_{self._revisions - 1:04d}"
        (self._migrations / f"log_{self._revisions:04d}.py").write_text(
            _MIGRATION.format(
                dependencies=[("log", parent)] if self._revisions > 1 else [],
                statements=list(statements),
            )
        )

    def restart(self, template: str | None = None) -> None:
        """Begin anew, as a deployment does.

        template: the schema that new tenants' are copied from, instead of being migrated.
        """
        self._end()
        self._process = self._start({"PEER_TEMPLATE": template} if template else {})

    def create(self, names: Sequence[str]) -> list[float]:
        """Create tenants, each with a domain, one after the other. Returns seconds, for each."""
        durations: list[float] = self._ask("create", names=names)
        return durations

    def seed(self, template: str, names: Sequence[str]) -> None:
        """Make tenants quickly, without django-tenants: like this one, which has been created."""
        self._ask("seed", template=template, names=names)
        # Without statistics of the catalog, its way of copying a schema takes a minute at times.
        with psycopg.connect(self._superuser_url, dbname=_LOGIN, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    def migrate_schemas(self, executor: str = "standard", processes: int = 2) -> float:
        """Run its `migrate_schemas` for all tenants. Returns seconds.

        executor: `standard`, or `multiprocessing` with so many processes.
        """
        seconds: float = self._ask("migrate_schemas", executor=executor, processes=processes)
        return seconds

    def _make_database(self) -> None:
        with psycopg.connect(self._superuser_url, autocommit=True) as server:
            server.execute(f"CREATE ROLE {_LOGIN} LOGIN PASSWORD '{self._password}'")
            server.execute(f"CREATE DATABASE {_LOGIN} OWNER {_LOGIN}")

    def _start(self, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        parts = conninfo_to_dict(self._superuser_url)
        parts |= {"user": _LOGIN, "password": self._password, "dbname": _LOGIN}
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.django_tenants_peer"],
            cwd=_ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "benchmarks.django_tenants_peer.settings",
                "PYTHONPATH": self._folder.name,
                "PEER_URL": make_conninfo(**parts),
                **environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def _ask(self, verb: str, **arguments: Any) -> Any:
        """Raises RuntimeError if the peer can't do it; why is on standard error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps([verb, arguments]) + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"django-tenants failed at {verb}")
        return orjson.loads(answer)

    def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # It reads to the end and leaves.
        self._process.wait(30)
