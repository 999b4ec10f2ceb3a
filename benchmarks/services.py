"""Starts each service as a process of its own, and ends what it started."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stage import Stage

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_PEERS = {
    "bare": "benchmarks.peers.bare:application",
    "fastapi-core": "benchmarks.peers.fastapi_core:application",
    "fastapi-orm": "benchmarks.peers.fastapi_orm:application",
    "django-orm": "benchmarks.peers.django_orm:application",
}


@dataclass(frozen=True)
class Service:
    """A service that runs. pid: of its first process."""

    port: int
    pid: int


@contextmanager
def run_services(
    stage: Stage, logs: Path, names: Sequence[str], workers: int = 1
) -> Iterator[dict[str, Service]]:
    """Services side by side, each idle until it is asked.

    logs: a folder for what they print. workers: processes of ours.
    Raises RuntimeError, with the end of what it printed, if one fails.
    """
    with ExitStack() as stack:
        services = {}
        for name in names:
            port = free_port()
            log = stack.enter_context((logs / f"{name}.log").open("ab"))
            process = subprocess.Popen(
                _command(name, port, workers),
                cwd=ROOT,
                env=os.environ | stage.to_environment(name),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            stack.callback(stop, process)
            services[name] = Service(port, process.pid)
        for name, service in services.items():
            _wait_for(name, service.port, logs / f"{name}.log")
        try:
            yield services
        except RuntimeError as error:
            for name in names:
                error.add_note(f"{name} printed at the end: {_read_end(logs / f'{name}.log')}")
            raise


@contextmanager
def run_ours(stage: Stage, logs: Path, workers: int = 1) -> Iterator[Service]:
    with run_services(stage, logs, ["ours"], workers) as services:
        yield services["ours"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a service; SIGINT, since on SIGTERM ours would go on listening for its drain delay."""
    process.send_signal(signal.SIGINT)
    wait_or_kill(process)


def wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def is_ready(port: int) -> bool:
    """Whether it answers at all; ours, that it is ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return error.code in {401, 404}  # A peer, which has no such page.
    except OSError:
        return False


def _command(name: str, port: int, workers: int) -> list[str]:
    """On uvicorn with uvloop and httptools, all alike."""
    if name == "ours":
        serve = ["serve", "--port", str(port), "--workers", str(workers)]
        return [sys.executable, "manage.py", *serve]
    lifespan = "off" if name == "django-orm" else "on"  # Django's handler has none.
    return [
        *(sys.executable, "-m", "uvicorn", _PEERS[name], "--port", str(port)),
        *("--loop", "uvloop", "--http", "httptools", "--lifespan", lifespan),
        *("--no-access-log", "--no-server-header"),
    ]


def _wait_for(name: str, port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if is_ready(port):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{name} does not answer: {_read_end(log)}")


def _read_end(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
