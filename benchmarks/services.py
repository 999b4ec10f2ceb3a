"""Ours and its peers, each as a process of its own, side by side."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.served import serve_command
from benchmarks.spawn import free_port, read_end, spawn, wait_until_ready
from benchmarks.stage import Stage

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
    Raises RuntimeError, with the end of what it printed, if one fails to start; to one of the
    block's the ends of all are added.
    """
    paths = {name: logs / f"{name}.log" for name in names}
    with ExitStack() as stack:
        started = {}
        for name, log in paths.items():
            port = free_port()
            command = serve_command(port, workers) if name == "ours" else _run_peer(name, port)
            started[name] = (
                port,
                stack.enter_context(spawn(command, log, stage.to_environment(name))),
            )
        for name, (port, process) in started.items():
            wait_until_ready(process, port, paths[name])
        try:
            yield {name: Service(port, process.pid) for name, (port, process) in started.items()}
        except RuntimeError as error:
            for name, log in paths.items():
                error.add_note(f"{name} printed at the end: {read_end(log)}")
            raise


@contextmanager
def run_ours(stage: Stage, logs: Path, workers: int = 1) -> Iterator[Service]:
    with run_services(stage, logs, ["ours"], workers) as services:
        yield services["ours"]


def _run_peer(name: str, port: int) -> list[str]:
    """On uvicorn with uvloop and httptools, as ours is."""
    lifespan = "off" if name == "django-orm" else "on"  # Django's handler has none.
    return [
        *(sys.executable, "-m", "uvicorn", _PEERS[name], "--port", str(port)),
        *("--loop", "uvloop", "--http", "httptools", "--lifespan", lifespan),
        *("--no-access-log", "--no-server-header"),
    ]
