"""Examine the installation, and say how to mend what is wrong."""

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tenants.doctor import Finding, Status, examine
from tenants.doctor.finding import count
from tenants.management.command import TenantryCommand, add_json, at_least_one
from tenants.management.output import FAILED, make_console, print_json, run

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.PROBLEM: "bold red"}


class Command(TenantryCommand):
    help = """
    Examine the installation, and say how to mend what is wrong. It looks at the settings, the
    three logins and their rights, the server's version, limits and clock, the migrations, what
    the database has of each tenant, and the jobs. It changes nothing, and exits with 1 if there is
    a problem; a warning is none.
    """
    examples = ("doctor", "doctor --workers 4", "doctor --json")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--workers",
            type=at_least_one,
            default=1,
            metavar="N",
            help="how many processes serve, or will; 1 if not given",
        )
        add_json(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        findings = run(examine(options["workers"]))
        if options["json"]:
            print_json(
                [
                    {
                        "name": finding.name,
                        "status": finding.status,
                        "found": finding.found,
                        "mend": finding.mend,
                    }
                    for finding in findings
                ]
            )
        else:
            _print(findings)
        if any(finding.status is Status.PROBLEM for finding in findings):
            sys.exit(FAILED)


def _print(findings: Sequence[Finding]) -> None:
    console = make_console()
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        status = Text(finding.status, _STYLES[finding.status])
        table.add_row(status, finding.name, finding.found)
        if finding.mend:
            table.add_row("", "", Padding(f"→ {finding.mend}", (0, 0, 0, 2)))
    console.print(table)
    counts = Counter(finding.status for finding in findings)
    console.print(
        f"\n{count(counts[Status.PROBLEM], 'problem')}, {count(counts[Status.WARNING], 'warning')}"
    )
    if any(finding.blocks for finding in findings):
        console.print("What rests on the above was not examined: mend it, and run this again.")
