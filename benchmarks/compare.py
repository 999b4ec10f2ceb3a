"""Ours against the peers: each scenario on each service, in turn, several rounds."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bench import Bench
from benchmarks.cpu import Cpu, CpuMeter
from benchmarks.likeness import APPENDS, check_likeness
from benchmarks.load import Result
from benchmarks.measured import COLUMNS, Round, compare_rounds, show_ratio, show_rounds, sum_up
from benchmarks.scale import WARM_UP_SECONDS
from benchmarks.services import run_services
from benchmarks.stage import SERVICES, count_rows
from benchmarks.tables import Table

# The peers that can play in each, besides ours.
_ALL = SERVICES[1:]
PEERS = {
    "append": _ALL,
    "append-keyed": _ALL,
    "read": _ALL,
    "list": _ALL,
    "mixed": _ALL,
    "search": ("bare",),
}
_OURS = SERVICES[0]


def compare(bench: Bench, scenarios: Sequence[str], peers: Sequence[str]) -> dict[str, Any]:
    """By scenario: each service's figures, and ours as a ratio to each peer's.

    Raises RuntimeError if a service answers wrongly or has not written what it said.
    """
    report = Report()
    names = [_OURS, *(name for name in SERVICES if name in peers)]
    appended = dict.fromkeys(names, APPENDS)
    with run_services(bench.stage, bench.logs, names) as services:
        ports = {name: service.port for name, service in services.items()}
        pids = {name: service.pid for name, service in services.items()}
        check_likeness(bench.stage, ports)
        with CpuMeter(bench.superuser_url, pids) as meter:
            # Round 0 only warms up.
            for turn in range(bench.scale.rounds + 1):
                for scenario in scenarios:
                    first_number = bench.next_number()
                    for name in _order(names, scenario, turn):
                        with meter.measure(name) as cpu:
                            result = bench.perform(
                                ports[name],
                                scenario,
                                bench.targets(name),
                                seconds=bench.scale.seconds if turn else WARM_UP_SECONDS,
                                first_number=first_number,
                            )
                        appended[name] += result.appends
                        if turn:
                            report.add(scenario, name, result, cpu)
    for name, messages in appended.items():
        found = asyncio.run(count_rows(bench.stage, name))
        if found != (messages, 2 * messages):
            raise RuntimeError(f"{name} answered {messages} appends, but wrote {found}")
    return report.summarize()


def _order(names: Sequence[str], scenario: str, turn: int) -> list[str]:
    """Those that can play in it; nobody is always the first."""
    able = [name for name in names if name == _OURS or name in PEERS[scenario]]
    begin = turn % len(able)
    return [*able[begin:], *able[:begin]]


@dataclass
class Report:
    """Results by scenario and service, one for each round, in order."""

    results: dict[str, dict[str, list[Round]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, scenario: str, service: str, result: Result, cpu: Cpu) -> None:
        self.results[scenario][service].append((result, cpu))

    def summarize(self) -> dict[str, Any]:
        """A ratio is the median over the rounds, and above 1 where ours is better."""
        return {
            scenario: {
                "services": {name: sum_up(services[name]) for name in SERVICES if name in services},
                "ratios": {
                    peer: compare_rounds(services[_OURS], services[peer])
                    for peer in SERVICES
                    if peer in services and peer != _OURS
                },
            }
            for scenario, services in self.results.items()
        }


def tabulate(scenario: str, found: dict[str, Any]) -> Table:
    rows = []
    for name, figures in found["services"].items():
        compared = found["ratios"].get(name)
        ratios = ("", "", "") if compared is None else show_ratio(compared)
        rows.append([name, *show_rounds(figures), *ratios])
    return Table(scenario, ["", *COLUMNS, "ours to it", "spread", "by cpu"], rows)
