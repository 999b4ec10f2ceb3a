"""Kinds of the same thing, measured in turn."""

from collections.abc import Callable, Mapping

from benchmarks.bench import Bench
from benchmarks.cpu import CpuMeter
from benchmarks.load import Result
from benchmarks.measured import Round
from benchmarks.scale import WARM_UP_SECONDS
from benchmarks.services import Service

# Performs a kind for so many seconds.
Perform = Callable[[float], Result]


def take_turns(bench: Bench, ours: Service, kinds: Mapping[str, Perform]) -> dict[str, list[Round]]:
    """The rounds of each kind, after one that only warms up."""
    rounds: dict[str, list[Round]] = {kind: [] for kind in kinds}
    with CpuMeter(bench.superuser_url, {"ours": ours.pid}) as meter:
        for turn in range(bench.scale.own_rounds + 1):
            for kind, perform in kinds.items():
                with meter.measure("ours") as cpu:
                    result = perform(bench.scale.own_seconds if turn else WARM_UP_SECONDS)
                if turn:
                    rounds[kind].append((result, cpu))
    return rounds
