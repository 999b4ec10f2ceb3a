"""How much memory a process and a server's backends hold, as Linux tells it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SAMPLE_SECONDS = 0.1


@dataclass
class Peak:
    """The most that was seen, in MiB: resident in a process; private to one backend, to all."""

    process: float = 0.0
    backend: float = 0.0
    backends: float = 0.0


@contextmanager
def watch_memory(postmaster: int, process: int | str = "self") -> Iterator[Peak]:
    """Sample while the block runs. Elsewhere than on Linux nothing is seen."""
    peak, finished = Peak(), threading.Event()

    def sample() -> None:
        while not finished.wait(_SAMPLE_SECONDS):
            peak.process = max(peak.process, read_resident(process))
            private = read_backends(postmaster)
            peak.backend = max([peak.backend, *private])
            peak.backends = max(peak.backends, sum(private))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        finished.set()
        thread.join()


def read_resident(process: int | str) -> float:
    """All that is in memory, shared or not, in MiB."""
    return _read(process, "status", "VmRSS")


def read_proportional(process: int | str) -> float:
    """Of what is shared with other processes only this one's part, in MiB."""
    return _read(process, "smaps_rollup", "Pss:")


def read_backends(postmaster: int) -> list[float]:
    """Private to each of the server's processes, in MiB.

    The shared buffers are the server's, however many backends have touched them.
    """
    return [_read(child, "status", "RssAnon") for child in list_children(postmaster)]


def list_children(process: int) -> list[int]:
    try:
        return [
            int(child)
            for task in Path(f"/proc/{process}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []


def _read(process: int | str, file: str, name: str) -> float:
    try:
        lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    except OSError:  # It has ended.
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)
