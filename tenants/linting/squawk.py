"""What squawk finds in the SQL of a module's revisions: locks, rewrites, and what breaks readers.

It is a program, called once for a module, with a file for each revision.
"""

import json
import os
import shutil
import subprocess
import sysconfig
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from tenants.linting.advice import INSTEAD
from tenants.linting.finding import LintUnavailable
from tenants.linting.statements import Hit, Revision, Statement
from tenants.revisions import Kind

# The oldest that is supported.
_POSTGRESQL = "15"
_EXCLUDED = (
    # The engine sets a lock_timeout before everything it carries in a transaction; the statements
    # that it sends outside of one keep nobody waiting, or are refused by our own rules. A
    # statement_timeout would cut off just what takes long and harms nobody, such as VALIDATE.
    *("require-lock-timeout", "require-statement-timeout"),
    # A revision and its stamp are one transaction, so there is nothing to do again. For those that
    # aren't we have a rule, which also knows what is repeatable by itself.
    "prefer-robust-stmts",
    # It advises what Citus refuses.
    "prefer-identity",
    # Our own rules refuse the thing itself, and not only a manner of it.
    *("transaction-nesting", "ban-uncommitted-transaction", "ban-drop-database"),
    *("ban-create-domain-with-constraint", "ban-alter-domain-with-add-constraint"),
    *("require-enum-value-ordering", "require-concurrent-partition-detach", "ban-alter-identity"),
    *("ban-set-schema", "prefer-repack"),
    # Ours also knows DROP INDEX and REINDEX, and a statement that is alone in its revision.
    "ban-concurrent-index-creation-in-transaction",
    # Whoever writes SMALLINT means it, for an index in a list or a number of attempts; INTEGER is
    # what one gets without thinking, and is what fills up one day.
    "prefer-bigint-over-smallint",
)
# True of a type whoever uses the table; the others are about those who do.
_OF_NEW_TABLES_TOO = {
    *("prefer-bigint-over-int", "prefer-text-field", "prefer-timestamp-tz", "ban-char-field"),
    *("identifier-too-long", "syntax-error"),
}
_OUTSIDE = "-- squawk-disable-assume-in-transaction\n"


def ask_squawk(revisions: Sequence[Revision]) -> Iterator[tuple[Statement, Hit]]:
    """Statements, and what is said of them, as it comes. Raises LintUnavailable (503)."""
    with tempfile.TemporaryDirectory(prefix="tenantry-lint-") as folder:
        names = []
        for number, revision in enumerate(revisions):
            names.append(f"{number}.sql")
            sql = "".join(f"{each.sql};\n" for each in revision.readable)
            heading = _OUTSIDE if revision.kind is Kind.OUTSIDE else "\n"
            Path(folder, names[-1]).write_text(heading + sql, encoding="utf-8")
        reports = _run(folder, names) if names else []
    for report in reports:
        revision = revisions[int(report["file"].removesuffix(".sql"))]
        # Lines are counted from 0, and the first is the heading.
        lines = (each.sql.count("\n") + 1 for each in revision.readable)
        begins = list(accumulate(lines, initial=1))
        statement = revision.readable[bisect_right(begins, report["line"]) - 1]
        rule = report["rule_name"]
        if rule in _OF_NEW_TABLES_TOO or not revision.is_on_new_table(statement):
            said = " ".join(filter(None, (report["message"], report["help"])))
            yield statement, Hit(rule, INSTEAD.get(rule, said))


def _run(folder: str, names: Sequence[str]) -> list[dict[str, Any]]:
    scripts = sysconfig.get_path("scripts")
    program = shutil.which("squawk", path=os.pathsep.join([scripts, os.environ.get("PATH", "")]))
    if program is None:
        raise LintUnavailable
    ran = subprocess.run(
        [
            *(program, "--reporter=json", f"--config={os.devnull}", "--assume-in-transaction"),
            *(f"--pg-version={_POSTGRESQL}", f"--exclude={','.join(_EXCLUDED)}"),
            *names,
        ],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,  # It ends with 1 when it has found something.
    )
    try:
        reports: list[dict[str, Any]] = json.loads(ran.stdout)
    except ValueError as error:
        raise LintUnavailable(f"squawk can't be run: {ran.stderr.strip()}") from error
    return reports
