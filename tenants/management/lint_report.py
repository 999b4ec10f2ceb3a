"""What the linter found, for people and for programs."""

from dataclasses import asdict
from typing import Any

from tenants.linting import Finding


def show_finding(finding: Finding) -> dict[str, Any]:
    return {**asdict(finding), "is_open": finding.is_open}


def describe_finding(finding: Finding) -> str:
    """A line, and below it the statement and why it is kept, if so."""
    note = " (a note)" if finding.is_note else ""
    lines = [f"{finding.revision}: {finding.rule}{note}: {finding.message}"]
    lines += [f"    {finding.statement}"] if finding.statement else []
    lines += [f"    acknowledged: {finding.reason}"] if finding.reason else []
    return "\n".join(lines)
