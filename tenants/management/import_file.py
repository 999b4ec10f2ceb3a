"""Onboarding from a CSV file on the command line: the report that keeps the keys, and progress.

The report is a CSV file that only its owner can read. Lines are only ever added to it, each
before the next tenant is begun, so no key is lost whenever the process ends. A tenant whose
process was killed between its creation and its line is reported as there by the next run.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tenants.actor import Actor
from tenants.errors import ApplicationError, InvalidInput
from tenants.imports import Outcome, import_rows, read_rows

COLUMNS = ["slug", "outcome", "api_key", "owner_url", "error"]


class ReportUnwritable(ApplicationError):
    code = "report_unwritable"


class Report:
    """A report that is open for adding lines.

    A tenant that was there before gets a line only if no earlier run has reported it.
    Raises InvalidInput (422) for a file that is something else.
    """

    def __init__(self, path: Path) -> None:
        with _opening(path):
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._path = path
        self._file = file = os.fdopen(descriptor, "a+", encoding="utf-8", errors="replace")
        self._writer = csv.writer(file, lineterminator="\n")
        file.seek(0)
        text = file.read()
        if text and not text.startswith(",".join(COLUMNS) + "\n"):
            file.close()
            raise InvalidInput(f"{path} is not the report of an import. Name another file.")
        self._known = {
            row["slug"]
            for row in csv.DictReader(io.StringIO(text))
            # A machine that died may have left a line unfinished, whose key is lost.
            if row["error"] is not None and row["outcome"] != "failed"
        }
        os.fchmod(descriptor, 0o600)
        if not text:
            self._writer.writerow(COLUMNS)
        elif not text.endswith("\n"):
            file.write("\n")

    def add(self, outcome: Outcome) -> None:
        """Write a line, and return when it is on the disk. Raises ReportUnwritable (500)."""
        if outcome.kind == "exists" and outcome.slug in self._known:
            return
        self._known.add(outcome.slug)
        try:
            self._writer.writerow(
                [outcome.slug, outcome.kind, outcome.api_key, outcome.owner_url, outcome.error]
            )
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise ReportUnwritable(
                f"{self._path} can't be written ({error.strerror}). `{outcome.slug}` was "
                f"{outcome.kind}; if that made a key, it is lost, so issue another."
            ) from error

    def close(self) -> None:
        self._file.close()


async def import_file(path: Path, report_path: Path, *, by: Actor) -> dict[str, object]:
    """Onboard the tenants of a CSV file; return how many were created, existed and failed.

    Raises InvalidInput (422) before anything is done, and as `import_rows` does.
    """
    counts: Counter[str] = Counter(created=0, exists=0, failed=0)
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    progress = Progress(console=console, disable=not console.is_terminal)
    with _opening(path):
        rows = read_rows(path)
    with closing(Report(report_path)) as report, progress:
        task = progress.add_task("Onboarding", total=len(rows))

        def note(outcome: Outcome) -> None:
            report.add(outcome)
            counts[outcome.kind] += 1
            progress.advance(task)
            if outcome.kind == "failed":
                console.print(f"failed: {outcome.slug}: {outcome.error}")

        await import_rows(rows, note, by=by)
    return {**counts, "report": str(report_path)}


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(f"{path} can't be opened: {error.strerror}") from error
