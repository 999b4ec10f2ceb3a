"""Examines an installation: what it has, what it needs, and how to mend what is missing.

Each check looks at one thing and says what it found. The number of queries doesn't grow with the
number of tenants.
"""

from collections.abc import Coroutine, Sequence
from typing import Any

import asyncpg
from django.db import DatabaseError

from tenants.apps import get_settings
from tenants.doctor.finding import Finding, Status, problem
from tenants.doctor.fleet import check_fleet
from tenants.doctor.installation import check_migrations, check_modules, check_settings
from tenants.doctor.logins import check_owner, check_registry, check_runtime
from tenants.doctor.server import check_server
from tenants.errors import ApplicationError

__all__ = ["Finding", "Status", "examine"]

_Check = Coroutine[Any, Any, list[Finding]]


async def examine(workers: int) -> list[Finding]:
    """Look at settings, logins, server, registry and tenants, in this order.

    What rests on something that is broken isn't looked at: mend that, and ask again.
    workers: how many processes serve, or will.
    """
    settings = get_settings()
    findings = check_settings()
    for name, check in (
        ("registry login", check_registry(settings)),
        ("runtime login", check_runtime(settings)),
        ("owner login", check_owner(settings)),
    ):
        findings += await _attempt(name, check)
    if not _is_blocked(findings):
        findings += check_modules()
        findings += await _attempt("server", check_server(settings, workers))
        findings += await _attempt("migrations", check_migrations())
    if not _is_blocked(findings):
        findings += await _attempt("tenants", check_fleet(settings))
    return findings


async def _attempt(name: str, check: _Check) -> list[Finding]:
    """What a check finds; that it can't be made is a finding, too."""
    try:
        return await check
    except (
        *(asyncpg.PostgresError, asyncpg.InterfaceError),
        *(OSError, DatabaseError, ApplicationError),
    ) as error:
        reason = str(error.__cause__ or error or repr(error)).partition("\n")[0]
        return [
            problem(
                name,
                f"It can't be examined: {reason}",
                "See that the server runs and that the three URLs in the settings are right; "
                "`manage.py setup_database` makes the logins.",
                blocks=True,
            )
        ]


def _is_blocked(findings: Sequence[Finding]) -> bool:
    return any(finding.blocks for finding in findings)
