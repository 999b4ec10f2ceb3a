"""The service as a process of its own: started with `manage.py`, watched, and always ended."""

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson

from project.dev.postgres import EmbeddedPostgres
from project.dev.settings import ENV_PREFIX, ROOT

START_SECONDS = 60


class Service:
    """A running `manage.py dev` or `serve`. What it logs is kept in a file."""

    def __init__(self, process: subprocess.Popen[str], log: Path, base_url: str) -> None:
        self.process = process
        self.log = log
        self.base_url = base_url
        self.facts: dict[str, Any] = {}

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.facts['api_key']}"}

    def tell(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int, seconds: float = 20) -> int:
        """Send a signal and return the exit code."""
        self.tell(number)
        return self.process.wait(seconds)


def run_command(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a management command with these settings and no others, to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


@contextlib.contextmanager
def running_dev(data_dir: Path, *options: str) -> Iterator[Service]:
    """`manage.py dev` on a free port, once it serves; killed at the end if it still runs."""
    arguments = ("dev", "--json", "--port", "0", "--data-dir", str(data_dir), *options)
    with _running(arguments, {}) as service:
        assert service.process.stdout is not None
        ready, _, _ = select.select([service.process.stdout], [], [], START_SECONDS)
        line = service.process.stdout.readline() if ready else ""
        assert line, service.log.read_text()
        service.facts = orjson.loads(line)
        service.base_url = service.facts["base_url"]
        yield service


@contextlib.contextmanager
def running_serve(*options: str, **settings: str) -> Iterator[Service]:
    """`manage.py serve` on the tests' own database, once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    named = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(ENV_PREFIX) and name.endswith(("_URL", "_MODULES", "_AT_ONCE"))
    }
    with _running(("serve", "--port", str(port), *options), named | settings) as service:
        service.base_url = f"http://127.0.0.1:{port}"
        until(lambda: status_of(service, "/readyz") == 200 or service.process.poll() is not None)
        assert service.process.poll() is None, service.log.read_text()
        yield service


@contextlib.contextmanager
def data_folder() -> Iterator[Path]:
    """A folder that the embedded server's account can enter, also where root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="tenantry-server-"))
    folder.chmod(0o711)
    try:
        yield folder / "data"
        until(lambda: not EmbeddedPostgres.running(folder / "data" / "postgres"))
    finally:
        # A server that is just stopping removes files, too.
        until(lambda: shutil.rmtree(folder, ignore_errors=True) or not folder.exists())


def status_of(service: Service, path: str) -> int:
    """The status that a path answers with; 0 where nobody answers."""
    try:
        return httpx.get(service.base_url + path, timeout=5).status_code
    except httpx.TransportError:
        return 0


def until(holds: Callable[[], object], seconds: float = 20) -> bool:
    """Wait for a condition; fail if it doesn't come true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return True


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie, which waits for its parent only, doesn't."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.strip().startswith(b"Z")


def children_of(pid: int) -> list[int]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True)
    pairs = [map(int, line.split()) for line in listing.stdout.splitlines()]
    return [child for child, parent in pairs if parent == pid]


def environment(settings: dict[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    binaries = f"{ENV_PREFIX}POSTGRES_BIN_DIR"
    if binaries in os.environ:
        own[binaries] = os.environ[binaries]
    return own | settings


@contextlib.contextmanager
def _running(arguments: tuple[str, ...], settings: dict[str, str]) -> Iterator[Service]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env=environment(settings),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        with process:
            try:
                yield Service(process, log, "")
            finally:
                process.kill()
