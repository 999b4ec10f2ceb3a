"""Drift: schemas that aren't as their stamps say.

A stamp can lie: somebody has changed a schema by hand, a backup was restored in part, a revision
was stamped and not run. `check_fleet` looks at the schemas themselves.
"""

from tenants.rollouts.drift.check import CheckResult, Drift, check_fleet

__all__ = ["CheckResult", "Drift", "check_fleet"]
