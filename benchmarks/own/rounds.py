"""Kinds of the same thing, measured in turn."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import spread
from benchmarks.load import Result
from benchmarks.scale import WARM_UP_SECONDS

# Performs a kind for so many seconds.
Perform = Callable[[float], Result]


def take_turns(bench: Bench, kinds: Mapping[str, Perform]) -> dict[str, list[Result]]:
    """The results of each kind, one for each round, after one that only warms up."""
    results: dict[str, list[Result]] = {kind: [] for kind in kinds}
    for turn in range(bench.scale.own_rounds + 1):
        for kind, perform in kinds.items():
            result = perform(bench.scale.own_seconds if turn else WARM_UP_SECONDS)
            if turn:
                results[kind].append(result)
    return results


def rates(results: list[Result]) -> list[float]:
    return [result.answers / result.seconds for result in results]


def sum_up(results: list[Result]) -> dict[str, Any]:
    return {
        "per_second": spread(rates(results)),
        "p50_milliseconds": median(result.p50_milliseconds for result in results),
        "p99_milliseconds": median(result.p99_milliseconds for result in results),
    }
