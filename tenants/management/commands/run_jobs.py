"""Run the modules' jobs once, now."""

import sys
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any

from tenants.jobs import Report, run_jobs
from tenants.management.command import TenantryCommand, add_json
from tenants.management.output import FAILED, print_json, print_table, run

_COLUMNS = ["module", "job", "tenants", "dealt_with", "failed"]


class Command(TenantryCommand):
    help = """
    Run the modules' jobs once, for every active tenant or for one. Servers run them by themselves,
    so this is for those that are turned off there, and for whoever can't wait. The command goes on
    past a tenant that fails, reports each failure, and exits with 1 if there was any.
    """
    examples = (
        "run_jobs",
        "run_jobs --module notes --job tidy",
        "run_jobs --tenant acme --json",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--module", metavar="MODULE", help="only this module's jobs")
        parser.add_argument("--job", metavar="JOB", help="only jobs of this name")
        parser.add_argument("--tenant", dest="slug", metavar="SLUG", help="only for this tenant")
        add_json(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        reports = run(self._run(options))
        if any(report.failures for report in reports):
            sys.exit(FAILED)

    async def _run(self, options: dict[str, Any]) -> list[Report]:
        reports = await run_jobs(options["module"], options["job"], options["slug"])
        if options["json"]:
            print_json([asdict(report) for report in reports])
        else:
            await print_table(_COLUMNS, _show(reports))
            for report in reports:
                for slug, reason in report.failures.items():
                    self.stderr.write(f"failed: {report.module}.{report.job}: {slug}: {reason}")
        return reports


async def _show(reports: Sequence[Report]) -> AsyncIterator[dict[str, Any]]:
    for report in reports:
        yield {**asdict(report), "failed": len(report.failures)}
