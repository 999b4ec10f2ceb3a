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
            peak.process = max(peak.process, _read(process, "VmRSS"))
            # The shared buffers are the server's, however many backends have touched them.
            private = [_read(child, "RssAnon") for child in _list_children(postmaster)]
            peak.backend = max([peak.backend, *private])
            peak.backends = max(peak.backends, sum(private))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        finished.set()
        thread.join()


def _list_children(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []


def _read(process: int | str, name: str) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:  # It has ended.
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)
