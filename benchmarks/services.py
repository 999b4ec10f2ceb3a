"""Starts each service as a process of its own, and ends what it started."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson

from benchmarks.load import Result, Run
from benchmarks.stage import PAGE_MESSAGES, SERVICES, Stage, message_body

_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_PEERS = {"bare": "benchmarks.bare:application", "fastapi": "benchmarks.fastapi_orm:application"}


def _command(service: str, port: int) -> list[str]:
    """One process on uvicorn with uvloop and httptools, for all alike."""
    if service == "ours":
        return [sys.executable, "manage.py", "serve", "--port", str(port)]
    return [
        *(sys.executable, "-m", "uvicorn", _PEERS[service], "--port", str(port)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header"),
    ]


@contextmanager
def run_services(stage: Stage, logs: Path) -> Iterator[dict[str, int]]:
    """All services side by side, each idle until it is asked; their ports by name.

    logs: a folder for what they print. Raises RuntimeError, with the end of it, if one fails.
    """
    with ExitStack() as stack:
        ports = {name: _free_port() for name in SERVICES}
        for name, port in ports.items():
            log = stack.enter_context((logs / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                _command(name, port),
                cwd=_ROOT,
                env=os.environ | stage.to_environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            stack.callback(_stop, process)
        for name, port in ports.items():
            _wait_for(name, port, logs / f"{name}.log")
        yield ports


# What differs from one append to the next.
_OF_THE_MOMENT = {"conversation_id", "created_at", "updated_at"}


class LoadDriver:
    """The load driver's process; use as a context manager."""

    def __enter__(self) -> "LoadDriver":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # It reads to the end and leaves.
        _wait_or_kill(self._process)

    def perform(self, run: Run) -> Result:
        """Raises RuntimeError if an answer was not the expected one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps(run) + b"\n")
        self._process.stdin.flush()
        result = Result(**orjson.loads(self._process.stdout.readline()))
        if result.error is not None:
            raise RuntimeError(f"{run.scenario}: {result.error}")
        return result


def check_likeness(stage: Stage, ports: dict[str, int]) -> None:
    """Raises RuntimeError unless all services answer an append and a read alike.

    Each appends one message to its first conversation; ids and times are its own.
    """
    pages = {}
    appended = {}
    for name, port in ports.items():
        pages[name] = _ask(stage, port, f"{stage.page}/messages?limit={PAGE_MESSAGES}")
        answer = _ask(stage, port, f"{stage.logs[name][0]}/messages", message_body(10**11))
        for part in (answer, *answer["tool_calls"]):
            part["id"] = part["id"][:4]
            part |= dict.fromkeys(_OF_THE_MOMENT & part.keys())
        appended[name] = answer
    for name in ports:
        if pages[name] != pages["ours"] or appended[name] != appended["ours"]:
            raise RuntimeError(f"{name} answers something else than ours")


def _ask(stage: Stage, port: int, path: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(  # A loopback address of our own.
        f"http://127.0.0.1:{port}/api/v1/conversations/{path}",
        data=body,
        headers={"Authorization": f"Bearer {stage.api_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return orjson.loads(response.read())


def _wait_for(name: str, port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{name} does not answer: {log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a service; SIGINT, since on SIGTERM ours would go on listening for its drain delay."""
    process.send_signal(signal.SIGINT)
    _wait_or_kill(process)


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
