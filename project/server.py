"""Runs the ASGI application: uvicorn, with a drain before it stops listening.

On SIGTERM readiness fails first, while requests are still accepted; after the drain delay the
listener closes, running requests finish, and the process exits with 0. On Ctrl-C there is no
delay. With several workers a supervisor holds the listening socket, replaces a worker that dies,
and passes the signals on; a worker whose supervisor was killed stops by itself.
"""

import asyncio
import contextlib
import functools
import multiprocessing
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from types import FrameType
from typing import cast

import uvicorn

from project.connections import PromptConnection
from project.health import readiness
from project.settings import Settings
from tenants.streams import hub

_RESPAWN_DELAY_SECONDS = 0.5
_READY_TIMEOUT_SECONDS = 30.0


class PortTaken(Exception):
    """The address can't be listened on; the message says which and why."""


class DrainingServer(uvicorn.Server):
    """A uvicorn server that goes on listening for the drain delay."""

    def __init__(self, config: uvicorn.Config, drain_delay_seconds: float) -> None:
        super().__init__(config)
        self._drain_delay_seconds = drain_delay_seconds
        self._stop_at = float("inf")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT. uvicorn raises them again at the end and exits with 143."""
        originals = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in originals.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if readiness.draining and sig == signal.SIGINT:
            self.force_exit = True  # Ctrl-C for the second time: don't wait for requests.
        delay = self._drain_delay_seconds if sig == signal.SIGTERM else 0.0
        readiness.draining = True
        self._stop_at = min(self._stop_at, time.monotonic() + delay)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the event streams, which would never end by themselves, and then as always.

        Not before the listener closes: until then their readers would come back to this process.
        """
        hub.close()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        if time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise PortTaken(
            f"cannot listen on {host}:{port}: {reason}. Choose another with --port."
        ) from error
    listener.setblocking(False)
    return listener


def worker_count(value: str) -> int:
    """An argument that counts processes. Raises ValueError for less than one."""
    if (count := int(value)) < 1:
        raise ValueError(value)
    return count


def serve(
    listener: socket.socket,
    settings: Settings,
    workers: int = 1,
    on_ready: Callable[[], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code.

    on_ready: called once, from a thread, when the first request can be answered.
    """
    if on_ready is not None:
        threading.Thread(target=_wait_until_ready, args=(listener, on_ready), daemon=True).start()
    if workers == 1:
        return _run_worker(listener, settings)
    return _Supervisor(listener, settings, workers).run()


def _run_worker(
    listener: socket.socket, settings: Settings, lifeline: Connection | None = None
) -> int:
    from project.asgi import application  # Late: in a worker, Django is set up here.

    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        loop="uvloop",
        http=cast(
            "type[asyncio.Protocol]",  # Whatever makes one.
            functools.partial(PromptConnection, head_timeout_seconds=settings.head_timeout_seconds),
        ),
        proxy_headers=settings.trust_proxy_headers,
        forwarded_allow_ips="*" if settings.trust_proxy_headers else "",
        timeout_graceful_shutdown=int(settings.shutdown_timeout_seconds) or 1,
    )
    server = DrainingServer(config, settings.drain_delay_seconds)
    if lifeline is not None:
        threading.Thread(target=_stop_with_supervisor, args=(lifeline,), daemon=True).start()
    try:
        server.run(sockets=[listener])
    except SystemExit as exit_:  # Start-up failed, and has been logged.
        return int(exit_.code or 0)
    return 0


def _stop_with_supervisor(lifeline: Connection) -> None:
    """The supervisor never writes: the pipe becomes readable when it has died."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()
    os.kill(os.getpid(), signal.SIGTERM)


class _Supervisor:
    def __init__(self, listener: socket.socket, settings: Settings, workers: int) -> None:
        self._listener = listener
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")
        self._lifeline, self._own_end = self._context.Pipe(duplex=False)
        self._stop_signal: int | None = None
        self._workers = [self._spawn() for _ in range(workers)]

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        code = 0
        while self._workers:
            for worker in list(self._workers):
                worker.join(0.1)
                if worker.exitcode is None:
                    continue
                self._workers.remove(worker)
                if self._stop_signal is None and worker.exitcode == uvicorn.config.STARTUP_FAILURE:
                    code = worker.exitcode  # It would fail the same way again.
                    self._stop(signal.SIGINT, None)
                elif self._stop_signal is None:
                    time.sleep(_RESPAWN_DELAY_SECONDS)
                    self._workers.append(self._spawn())
                    # A signal during these two lines has not reached the newcomer.
                    if self._stop_signal is not None:
                        self._stop(self._stop_signal, None)
        return code

    def _spawn(self) -> multiprocessing.process.BaseProcess:
        worker = self._context.Process(
            target=_worker_main, args=(self._listener, self._settings, self._lifeline)
        )
        worker.start()
        return worker

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._stop_signal = number
        for worker in self._workers:
            if worker.pid is not None and worker.exitcode is None:
                os.kill(worker.pid, number)


def _worker_main(listener: socket.socket, settings: Settings, lifeline: Connection) -> None:
    # Ctrl-C reaches the terminal's whole process group; the supervisor alone is to pass it on.
    os.setpgid(0, 0)
    raise SystemExit(_run_worker(listener, settings, lifeline))


def _wait_until_ready(listener: socket.socket, on_ready: Callable[[], None]) -> None:
    host, port = listener.getsockname()[:2]
    address = f"[{host}]" if ":" in host else host
    deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://{address}:{port}/readyz", timeout=2),
        ):
            on_ready()
            return
        time.sleep(0.05)
