"""Holds a module's revisions against the rules, and what is found against what they acknowledge."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from alembic.script import Script

from tenants.errors import UnknownRevision
from tenants.linting.advice import OWN
from tenants.linting.finding import Finding, LintUnavailable
from tenants.module import Module
from tenants.revisions import list_line

if TYPE_CHECKING:
    from tenants.linting.rules import Found

_LEAST_WORDS = 3
_SHOWN_CHARACTERS = 160
_NOTES = {"online-revision"}


def lint_module(module: Module) -> list[Finding]:
    """What is to be said of a module's revisions, in their order, acknowledged or not.

    Only of their way up; no database is asked. Raises LintUnavailable (503) where the extra `lint`
    isn't installed, BrokenRevision (422).
    """
    try:
        # Here, and not above: what only serves has no parser of SQL.
        from tenants.linting.rules import examine
    except ModuleNotFoundError as error:
        if error.name != "pglast":
            raise
        raise LintUnavailable from error
    return [
        finding
        for script, found in examine(module)
        for finding in _weigh(module.name, script, found)
    ]


def lint_revision(module: Module, revision: str) -> list[Finding]:
    """The same of one revision. Raises UnknownRevision (422) besides."""
    if not any(script.revision == revision for script in list_line(module)):
        raise UnknownRevision(module.name, revision)
    return [finding for finding in lint_module(module) if finding.revision == revision]


def _weigh(module: str, script: Script, found: "Sequence[Found]") -> Iterator[Finding]:
    acknowledged = getattr(script.module, "acknowledged", {})
    reasons = acknowledged if isinstance(acknowledged, Mapping) else {}
    for each in found:
        reason = reasons.get(each.rule)
        yield Finding(
            module,
            script.revision,
            each.rule,
            each.message,
            textwrap.shorten(each.sql, _SHOWN_CHARACTERS, placeholder=" …"),
            reason if _is_reason(reason) else None,
            each.rule in _NOTES,
        )
    if not isinstance(acknowledged, Mapping):
        yield _complain(module, script, "empty-acknowledgement", "no dictionary")
    rules = {each.rule for each in found}
    for rule, reason in reasons.items():
        if rule not in rules:
            yield _complain(module, script, "unused-acknowledgement", rule)
        elif not _is_reason(reason):
            yield _complain(module, script, "empty-acknowledgement", rule)


def _complain(module: str, script: Script, rule: str, subject: str) -> Finding:
    return Finding(module, script.revision, rule, f"{subject}: {OWN[rule]}")


def _is_reason(reason: Any) -> bool:
    return isinstance(reason, str) and len(reason.split()) >= _LEAST_WORDS
