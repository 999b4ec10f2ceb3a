"""Finds what is unsafe in revisions, before any tenant meets it.

A revision is carried to thousands of schemas while they are in use, beside the previous release of
the code. What squawk knows of locks and rewrites is looked for by squawk; our own rules hold what a
tenant's schema may have at all. Both read the SQL that a rollout would send.

A revision that knows better says so, by rule, and the finding stays on record with the reason:

    acknowledged = {"ban-drop-column": "Nothing reads it since release 1.4."}
"""

from tenants.linting.finding import Finding, LintUnavailable
from tenants.linting.lint import lint_module, lint_revision

__all__ = ["Finding", "LintUnavailable", "lint_module", "lint_revision"]
