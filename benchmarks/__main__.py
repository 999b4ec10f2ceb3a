"""`python -m benchmarks [--quick] [--json]`: measure, check what was written, print."""

import argparse
import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from benchmarks.load import Run
from benchmarks.report import Report, render
from benchmarks.services import LoadDriver, check_likeness, run_services
from benchmarks.stage import SERVICES, Stage, count_rows, set_stage

SCENARIOS = ("append", "read")
CONNECTIONS = 16
# More than any run of one scenario appends; runs are this far apart in their numbers.
_NUMBERS_PER_RUN = 1_000_000
_WARM_UP_SECONDS = 0.7


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a minute instead of four")
    parser.add_argument("--json", action="store_true", help="one line of JSON at the end")
    options = parser.parse_args()
    rounds, seconds = (4, 1.0) if options.quick else (9, 4.0)
    with set_stage() as stage, TemporaryDirectory(prefix="tenantry-bench-logs-") as logs:
        summary = measure(stage, Path(logs), rounds, seconds)
    print(render(summary))
    if options.json:
        print(orjson.dumps(summary).decode())


def measure(stage: Stage, logs: Path, rounds: int, seconds: float) -> dict[str, object]:
    """Run every scenario on every service, in turn, `rounds` times.

    Raises RuntimeError if a service answers wrongly or has not written what it said.
    """
    report = Report()
    appended = dict.fromkeys(SERVICES, 1)  # The append of `check_likeness`.
    with run_services(stage, logs) as ports, LoadDriver() as driver:
        check_likeness(stage, ports)
        for turn in range(rounds + 1):
            # Nobody is always the first, and round 0 only warms up.
            order = SERVICES[turn % len(SERVICES) :] + SERVICES[: turn % len(SERVICES)]
            for scenario in SCENARIOS:
                for service in order:
                    result = driver.perform(
                        Run(
                            port=ports[service],
                            scenario=scenario,
                            api_key=stage.api_key,
                            conversations=stage.logs[service]
                            if scenario == "append"
                            else [stage.page],
                            first_number=turn * _NUMBERS_PER_RUN,
                            connections=CONNECTIONS,
                            seconds=seconds if turn else _WARM_UP_SECONDS,
                        )
                    )
                    if scenario == "append":
                        appended[service] += result.answers
                    if turn:
                        report.add(scenario, service, result)
    for service, messages in appended.items():
        found = asyncio.run(count_rows(stage, service))
        if found != (messages, 2 * messages):
            raise RuntimeError(f"{service} answered {messages} appends, but wrote {found}")
    return report.summarize()


if __name__ == "__main__":
    main()
