"""The watchdog of an embedded PostgreSQL server: a script that runs it while owners live.

It runs in a session of its own, so that Ctrl-C reaches neither it nor the server, and with
`python -I -S`, which starts in a few milliseconds; hence it imports nothing of the project. It
restarts a postmaster that died. Of its own death Linux informs the postmaster, which then stops.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SUPERUSER = "postgres"
SOCKET_NAME = ".s.PGSQL.5432"
POLL_SECONDS = 0.1
STOP_SECONDS = 10  # A fast shutdown writes one checkpoint; after this the server is cut off.


class Plan(NamedTuple):
    """What the watchdog needs to know; kept as JSON in `watchdog.lock`, hence plain types."""

    folder: str
    home: str  # Holds `data`: the folder itself, or one in SYSTEM_FOLDER.
    socket: str
    binaries: str
    major_version: int
    account: tuple[int, int] | None  # User and group id for the server; None: those we have.
    settings: dict[str, str]

    @property
    def data(self) -> Path:
        return Path(self.home, "data")


def read_plan(folder: Path) -> Plan | None:
    try:
        return Plan(*json.loads((folder / "watchdog.lock").read_bytes()))
    except (OSError, ValueError, TypeError):  # Also when another release wrote it.
        return None


def flock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS / 5)
    return True


def answers(socket_folder: str) -> bool:
    """Tell whether a server lets clients in, by sending it the start of a login.

    57P03 means not yet, or no more. Source: PostgreSQL manual, "Message Formats".
    """
    login = struct.pack("!I", 3 << 16) + f"user\0{SUPERUSER}\0\0".encode()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(f"{socket_folder}/{SOCKET_NAME}")
            client.sendall(struct.pack("!I", len(login) + 4) + login)
            reply = client.recv(1024)
        except OSError:
            return False
    return reply != b"" and b"57P03" not in reply


def _recorded_pid(data: Path) -> int | None:
    try:
        return abs(int((data / "postmaster.pid").read_text().splitlines()[0]))
    except (OSError, ValueError, IndexError):
        return None


def postmaster_pid(data: Path) -> int | None:
    """Return the pid of the living postmaster; another process that reuses its pid is not it."""
    pid = _recorded_pid(data)
    command = b""
    if pid and sys.platform == "linux":
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    elif pid:
        ps = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
        command = subprocess.run(ps, capture_output=True, check=False).stdout
    return pid if b"postgres -D %b " % os.fsencode(data) in command else None


def as_account(account: tuple[int, int] | None) -> dict[str, Any]:
    """Return the arguments that make subprocess switch to that user and group for good."""
    return {"user": account[0], "group": account[1], "extra_groups": []} if account else {}


def _spawn(plan: Plan, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a child of the watchdog that on Linux dies with it; its output goes to the log."""
    watchdog = os.getpid()
    prctl: Callable[[int, int], int] | None = None
    if sys.platform == "linux":
        import ctypes  # Only the watchdog needs it, and it is slow to import.

        prctl = ctypes.CDLL(None).prctl

    def die_with_watchdog() -> None:
        if prctl:
            prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG. subprocess has switched accounts by now.
            if os.getppid() != watchdog:
                os._exit(1)

    # The caller's environment stays out: PGPORT and the like would change the server.
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        cwd="/",
        env={"LC_ALL": "C", "TZ": "UTC"} | kept | environment,
        preexec_fn=die_with_watchdog,  # Safe, as the watchdog has but one thread.
        **as_account(plan.account),
    )


def _initialise(plan: Plan, owners: int) -> bool:
    """Make the data folder, under another name until it is whole; False if that failed."""
    home, work = Path(plan.home), Path(plan.home, f"initdb-{os.getpid()}")
    for left in home.glob("initdb-*"):
        shutil.rmtree(left, ignore_errors=True)
    work.mkdir(mode=0o700)
    password = work / "password"
    shutil.copy(Path(plan.folder, "password"), password)
    if plan.account:
        os.chown(password, *plan.account)
        os.chown(work, *plan.account)
    # The builtin provider sorts alike on every machine; it came with PostgreSQL 17.
    locale = "C.UTF-8" if plan.major_version < 17 and sys.platform == "linux" else "C"
    command = [f"{plan.binaries}/initdb", "-D", f"{work}/data", "-U", SUPERUSER, "--encoding=UTF8"]
    command += [f"--pwfile={password}", "--auth=scram-sha-256", f"--locale={locale}"]
    command += ["--lc-messages=C", "--data-checksums", "--no-instructions"]
    if plan.major_version >= 17:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if plan.settings.get("fsync") == "off":
        command.append("--no-sync")
    initdb = _spawn(plan, command, {})
    while initdb.poll() is None:
        if flock(owners):
            initdb.terminate()
            initdb.wait()
        time.sleep(POLL_SECONDS / 5)
    if initdb.returncode == 0:
        (work / "data").rename(plan.data)
    shutil.rmtree(work)
    return initdb.returncode == 0


def _start_postmaster(plan: Plan) -> subprocess.Popen[bytes]:
    environment = {}
    if postmaster_pid(plan.data) is None:
        # PostgreSQL refuses to start while the pid in its lock files lives, even if that is by now
        # some other process's. Calling that process its grandparent makes PostgreSQL disregard it,
        # and still check that no orphaned backend uses the shared memory named in postmaster.pid.
        # The socket's lock file carries no such check.
        environment["PG_GRANDPARENT_PID"] = str(_recorded_pid(plan.data) or 0)
        Path(plan.socket, f"{SOCKET_NAME}.lock").unlink(missing_ok=True)
    options = [part for setting in plan.settings.items() for part in ("-c", "=".join(setting))]
    return _spawn(plan, [f"{plan.binaries}/postgres", "-D", str(plan.data), *options], environment)


def _memory_held(plan: Plan) -> bool:
    """Tell whether backends that outlived their postmaster hold its shared memory for a moment."""
    return b"shared memory block" in Path(plan.folder, "server.log").read_bytes()[-1000:]


def _watch(plan: Plan, watchdog: int) -> None:
    """Keep the server up while owners live; give up if it has never started."""
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, lambda *_: sys.exit(1))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # Ignored by an owner, it would hide exit codes.
    owners = os.open(Path(plan.folder, "owners.lock"), os.O_RDWR)
    server: subprocess.Popen[bytes] | None = None
    try:
        if not plan.data.exists() and not _initialise(plan, owners):
            return
        server = _start_postmaster(plan)
        answered = ever_answered = False
        pause_seconds = POLL_SECONDS
        while not flock(owners):
            time.sleep(POLL_SECONDS)
            if server.poll() is None:
                if not answered and answers(plan.socket):
                    answered = ever_answered = True
                    pause_seconds = POLL_SECONDS
                continue
            if not ever_answered and server.returncode >= 0 and not _memory_held(plan):
                return
            time.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, 1)
            answered, server = False, _start_postmaster(plan)
    finally:
        for signal_number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if server and server.poll() is None:
                server.send_signal(signal_number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(STOP_SECONDS)
        with contextlib.suppress(OSError):
            Path(plan.socket).rmdir()
        os.close(watchdog)  # Before `owners`: who gets that one must not find this one held.


if __name__ == "__main__" and sys.argv[1:2] == ["--watch"] and os.fork() == 0:
    plan_to_watch = read_plan(Path(sys.argv[2]))
    if plan_to_watch:
        _watch(plan_to_watch, int(sys.argv[3]))
