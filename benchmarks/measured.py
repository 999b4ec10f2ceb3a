"""What was measured in one round, and what several rounds come to."""

from statistics import median
from typing import Any

from benchmarks.cpu import Cpu
from benchmarks.figures import ratio, show, show_spread, spread
from benchmarks.load import Result

# What was answered, and the processor time that it took.
Round = tuple[Result, Cpu]
# Of the columns that `show_rounds` fills.
COLUMNS = ("a second", "spread", "p50 ms", "p99 ms", "cpu ms")


def sum_up(rounds: list[Round]) -> dict[str, Any]:
    return {
        "per_second": spread(_rates(rounds)),
        "p50_milliseconds": median(result.p50_milliseconds for result, _ in rounds),
        "p99_milliseconds": median(result.p99_milliseconds for result, _ in rounds),
        "service_cpu_milliseconds": median(
            cpu.service / result.answers * 1000 for result, cpu in rounds
        ),
        "database_cpu_milliseconds": median(
            cpu.database / result.answers * 1000 for result, cpu in rounds
        ),
    }


def compare_rounds(own: list[Round], other: list[Round]) -> dict[str, Any]:
    """Two ratios, above 1 where `own` is better: of rates, and of the processor time they took."""
    return {
        "per_second": ratio(_rates(own), _rates(other)),
        "cpu": ratio(_costs(other), _costs(own)),
    }


def show_rounds(figures: dict[str, Any]) -> list[str]:
    own, base = figures["service_cpu_milliseconds"], figures["database_cpu_milliseconds"]
    return [
        show(figures["per_second"]["median"]),
        show_spread(figures["per_second"]),
        show(figures["p50_milliseconds"]),
        show(figures["p99_milliseconds"]),
        f"{show(own)} + {show(base)}",
    ]


def show_ratio(compared: dict[str, Any]) -> tuple[str, str, str]:
    """The ratio of rates with its spread, and the one by processor time."""
    return (
        show(compared["per_second"]["median"]),
        show_spread(compared["per_second"]),
        show(compared["cpu"]["median"]),
    )


def _rates(rounds: list[Round]) -> list[float]:
    return [result.answers / result.seconds for result, _ in rounds]


def _costs(rounds: list[Round]) -> list[float]:
    """Processor seconds an answer; where nothing tells them, the same for all."""
    return [(cpu.service + cpu.database) / result.answers or 1.0 for result, cpu in rounds]
