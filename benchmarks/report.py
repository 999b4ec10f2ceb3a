"""The figures of a benchmark: medians, spread and ratios, as a table and as JSON."""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.load import Result
from benchmarks.stage import SERVICES

_PEERS = tuple(name for name in SERVICES if name != "ours")


@dataclass
class Report:
    """Results by scenario and service, one for each round, in order."""

    results: dict[str, dict[str, list[Result]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, scenario: str, service: str, result: Result) -> None:
        self.results[scenario][service].append(result)

    def summarize(self) -> dict[str, Any]:
        """By scenario: each service's figures, and ours as a ratio to each peer's.

        A ratio is the median over the rounds: what disturbs a round disturbs both its sides.
        """
        summary: dict[str, Any] = {}
        for scenario, services in self.results.items():
            rates = {
                name: [result.answers / result.seconds for result in results]
                for name, results in services.items()
            }
            summary[scenario] = {
                name: {
                    "per_second": _spread(rates[name]),
                    "p50_milliseconds": median(item.p50_milliseconds for item in results),
                    "p99_milliseconds": median(item.p99_milliseconds for item in results),
                }
                for name, results in services.items()
            }
            summary[scenario]["ratios"] = {
                f"ours/{peer}": _spread(
                    [own / other for own, other in zip(rates["ours"], rates[peer], strict=True)]
                )
                for peer in _PEERS
            }
        return summary


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": median(values), "least": min(values), "most": max(values)}


def render(summary: dict[str, Any]) -> str:
    lines = []
    for scenario, figures in summary.items():
        lines += ["", f"{scenario:<14}{'per second':>12}{'spread':>16}{'p50 ms':>10}{'p99 ms':>10}"]
        for service in SERVICES:
            rate = figures[service]["per_second"]
            spread = f"{rate['least']:.0f} to {rate['most']:.0f}"
            lines.append(
                f"  {service:<12}{rate['median']:>12.0f}{spread:>16}"
                f"{figures[service]['p50_milliseconds']:>10.1f}"
                f"{figures[service]['p99_milliseconds']:>10.1f}"
            )
        for pair, ratio in figures["ratios"].items():
            spread = f"{ratio['least']:.2f} to {ratio['most']:.2f}"
            lines.append(f"  {pair:<12}{ratio['median']:>12.2f}{spread:>16}")
    return "\n".join(lines)
