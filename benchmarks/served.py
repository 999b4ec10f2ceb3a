"""Our own server as a process of its own, with settings of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.spawn import free_port, spawn, wait_until_ready
from project.dev.settings import ENV_PREFIX


def serve_command(port: int, workers: int = 1) -> list[str]:
    return [sys.executable, *f"manage.py serve --port {port} --workers {workers}".split()]


@contextmanager
def run_server(log: Path, **settings: object) -> Iterator[int]:
    """`manage.py serve` while the block runs; its port. settings: by their names in upper case.

    log: where it writes to. Raises RuntimeError, with the end of that, if it doesn't get ready.
    """
    port = free_port()
    environment = {f"{ENV_PREFIX}{name}": str(value) for name, value in settings.items()}
    with spawn(serve_command(port), log, environment) as process:
        wait_until_ready(process, port, log)
        yield port
