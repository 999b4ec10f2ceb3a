"""Ours against the peers: each scenario on each service, in turn, several rounds."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.bench import Bench
from benchmarks.cpu import Cpu, CpuMeter
from benchmarks.figures import ratio, show, show_spread, spread
from benchmarks.likeness import APPENDS, check_likeness
from benchmarks.load import Result
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

    results: dict[str, dict[str, list[tuple[Result, Cpu]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, scenario: str, service: str, result: Result, cpu: Cpu) -> None:
        self.results[scenario][service].append((result, cpu))

    def summarize(self) -> dict[str, Any]:
        """A ratio is the median over the rounds, and above 1 where ours is better."""
        return {
            scenario: {
                "services": {
                    name: _sum_up(services[name]) for name in SERVICES if name in services
                },
                "ratios": {
                    peer: _compare(services[_OURS], services[peer])
                    for peer in SERVICES
                    if peer in services and peer != _OURS
                },
            }
            for scenario, services in self.results.items()
        }


def _sum_up(rounds: list[tuple[Result, Cpu]]) -> dict[str, Any]:
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


def _compare(ours: list[tuple[Result, Cpu]], peer: list[tuple[Result, Cpu]]) -> dict[str, Any]:
    return {
        "per_second": ratio(_rates(ours), _rates(peer)),
        "cpu": ratio(_costs(peer), _costs(ours)),
    }


def _rates(rounds: list[tuple[Result, Cpu]]) -> list[float]:
    return [result.answers / result.seconds for result, _ in rounds]


def _costs(rounds: list[tuple[Result, Cpu]]) -> list[float]:
    """Processor seconds an answer; where nothing tells them, the same for all."""
    return [(cpu.service + cpu.database) / result.answers or 1.0 for result, cpu in rounds]


def tabulate(scenario: str, found: dict[str, Any]) -> Table:
    rows = []
    for name, figures in found["services"].items():
        own, base = figures["service_cpu_milliseconds"], figures["database_cpu_milliseconds"]
        compared = found["ratios"].get(name)
        rows.append(
            [
                name,
                show(figures["per_second"]["median"]),
                show_spread(figures["per_second"]),
                show(figures["p50_milliseconds"]),
                show(figures["p99_milliseconds"]),
                f"{show(own)} + {show(base)}",
                *_show_ratio(compared, "per_second"),
                *_show_ratio(compared, "cpu")[:1],
            ]
        )
    columns = [
        *("", "a second", "spread", "p50 ms", "p99 ms", "cpu ms"),
        *("ours to it", "spread", "by cpu"),
    ]
    return Table(scenario, columns, rows)


def _show_ratio(compared: dict[str, Any] | None, what: str) -> list[str]:
    if compared is None:
        return ["", ""]
    found = compared[what]
    return [f"{found['median']:.2f}", f"{found['least']:.2f} to {found['most']:.2f}"]
