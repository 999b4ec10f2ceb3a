"""What every measurement works with: the stage, the load driver, the scale."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.driver import LoadDriver
from benchmarks.load import Result
from benchmarks.scale import CONNECTIONS, Scale
from benchmarks.scenarios import Run, Target
from benchmarks.stage import Stage, join_as_superuser, set_stage

# More than any run appends; runs are this far apart in their numbers.
_NUMBERS_PER_RUN = 1_000_000


@dataclass
class Bench:
    """logs: a folder for what services print."""

    stage: Stage
    superuser_url: str
    driver: LoadDriver
    logs: Path
    scale: Scale
    _numbers: Iterator[int] = field(default_factory=lambda: count(0, _NUMBERS_PER_RUN))

    def next_number(self) -> int:
        """The first of a run's numbers, which no other run has."""
        return next(self._numbers)

    def targets(self, service: str) -> dict[str, list[Target]]:
        """What a service appends to, reads and lists when nothing else is said."""
        stage = self.stage
        return {
            "log": [(stage.api_key, conversation) for conversation in stage.logs[service]],
            "page": [(stage.api_key, stage.page)],
            "library": [(stage.library_key, "")],
        }

    def perform(
        self,
        port: int,
        scenario: str,
        targets: dict[str, list[Target]],
        *,
        seconds: float,
        first_number: int | None = None,
        connections: int = CONNECTIONS,
        query: str = "",
    ) -> Result:
        """Raises RuntimeError if an answer was not the expected one."""
        number = self.next_number() if first_number is None else first_number
        return self.driver.perform(
            Run(port, scenario, targets, number, connections, seconds, query)
        )


@contextmanager
def set_up(scale: Scale) -> Iterator[Bench]:
    with (
        set_stage() as stage,
        join_as_superuser() as superuser_url,
        TemporaryDirectory(prefix="tenantry-bench-logs-") as logs,
        LoadDriver() as driver,
    ):
        yield Bench(stage, superuser_url, driver, Path(logs), scale)
