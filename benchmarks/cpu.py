"""What a service's work costs the processors, its own process and its database's backends apart.

Unlike requests a second it hardly depends on what else the machine does. Only Linux tells it. Not
counted is what the server does for all: its log's writer, its checkpoints, its autovacuum.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.memory import list_children

_OWN_NAME = "benchmark"
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_BACKENDS = """
SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND
    CASE WHEN %(name)s = 'ours' THEN application_name <> ALL (%(others)s)
    ELSE application_name = %(name)s END"""


@dataclass
class Cpu:
    """Seconds of processor time, of user and system together."""

    service: float = 0.0
    database: float = 0.0


class CpuMeter:
    """Use as a context manager. processes: of the services, with their children, by name.

    A peer's backends bear its name; ours are all the others.
    """

    def __init__(self, superuser_url: str, processes: dict[str, int]) -> None:
        self._url = superuser_url
        self._processes = processes

    def __enter__(self) -> "CpuMeter":
        self._connection = psycopg.connect(
            self._url, autocommit=True, application_name=_OWN_NAME, dbname="tenantry"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @contextmanager
    def measure(self, service: str) -> Iterator[Cpu]:
        """What is used while the block runs; known after its end."""
        cpu = Cpu()
        process = self._processes[service]
        service_before = sum_seconds(tree(process))
        backends_before = {pid: sum_seconds([pid]) for pid in self._find_backends(service)}
        yield cpu
        cpu.service = sum_seconds(tree(process)) - service_before
        cpu.database = sum(
            sum_seconds([pid]) - backends_before.get(pid, 0.0)
            for pid in self._find_backends(service)
        )

    def _find_backends(self, service: str) -> list[int]:
        others = [name for name in self._processes if name != service]
        values = {"name": service, "others": [_OWN_NAME, *others]}
        return [pid for (pid,) in self._connection.execute(_BACKENDS, values)]


def tree(process: int) -> list[int]:
    """A process and all that it has started, and these in turn."""
    return [process, *(pid for child in list_children(process) for pid in tree(child))]


def sum_seconds(processes: Sequence[int]) -> float:
    return sum(map(_read_seconds, processes))


def _read_seconds(process: int) -> float:
    try:
        content = Path(f"/proc/{process}/stat").read_text()
    except OSError:  # It has ended, or this isn't Linux.
        return 0.0
    # The name, in parentheses, may hold anything; fields are counted from 1, and from behind it.
    fields = content.rpartition(")")[2].split()
    return (int(fields[14 - 3]) + int(fields[15 - 3])) / _TICKS_PER_SECOND
