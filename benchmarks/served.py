"""Our own server as a process of its own, with settings of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from project.dev.settings import ENV_PREFIX, ROOT

_START_SECONDS = 30.0


@contextmanager
def run_server(log: Path, **settings: object) -> Iterator[int]:
    """`manage.py serve` while the block runs; its port. settings: by their names in upper case.

    log: where it writes to. Raises RuntimeError, with the end of that, if it doesn't get ready.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    environment = {f"{ENV_PREFIX}{name}": str(value) for name, value in settings.items()}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(port)],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(process, port, log)
        yield port
    finally:
        process.send_signal(signal.SIGINT)  # On SIGTERM it would go on for its drain delay.
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2),
        ):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server doesn't get ready: {log.read_text(errors='replace')[-2000:]}")
