"""What a rollout would do, before it does: each way once, with those that would go it."""

from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from tenants.doctor.finding import count, list_some
from tenants.linting import Finding, LintUnavailable, lint_module
from tenants.management.lint_report import describe_finding, show_finding
from tenants.management.rollout_display import show_target
from tenants.revisions import SCHEMA, Kind, Segment, list_line
from tenants.revisions.scripts import find_position
from tenants.rollouts import Plan
from tenants.shapes import show_plan

COLUMNS = ("module", "from", "to", "schemas", "steps", "who")


@dataclass(frozen=True, slots=True)
class Way:
    """From one revision of a module to another. names: of the schemas that are to go it."""

    segments: tuple[Segment, ...]
    names: list[str] = field(default_factory=list)

    @property
    def module(self) -> str:
        return self.segments[0].module.name

    @property
    def start(self) -> str | None:
        return self.segments[0].start

    @property
    def end(self) -> str | None:
        return self.segments[-1].end

    def find_risks(self) -> list[Finding]:
        """What the linter has against revisions on the way up, and nobody has acknowledged.

        Raises LintUnavailable (503).
        """
        module = self.segments[0].module
        passed = [script.revision for script in list_line(module)]
        first, last = find_position(module, self.start), find_position(module, self.end)
        return [
            finding
            for finding in lint_module(module)
            if finding.is_open and finding.revision in passed[first:last]
        ]


def list_ways(plan: Plan) -> list[Way]:
    """Modules in the order in which they are carried."""
    ways: dict[tuple[Segment, ...], Way] = {}
    for work in plan.work:
        for _, segments in groupby(work.segments, lambda segment: segment.module.name):
            line = tuple(segments)
            ways.setdefault(line, Way(line)).names.append(work.vessel.name)
    return list(ways.values())


def detail_plan(plan: Plan, *, sql: bool) -> dict[str, Any]:
    """For programs: the plan's shape, and of each way its steps and all who go it.

    sql: with the statements, too. findings: None where there is no linter.
    """
    ways = [
        {
            "module": way.module,
            "start": way.start,
            "end": way.end,
            "count": len(way.names),
            "steps": [_show_step(segment, sql=sql) for segment in way.segments],
            "findings": _show_risks(way),
            "names": way.names,
        }
        for way in list_ways(plan)
    ]
    return {**show_plan(plan), "ways": ways}


def describe_ways(plan: Plan) -> list[dict[str, object]]:
    """For people: rows of a table with the columns `COLUMNS`."""
    return [
        {
            "module": way.module,
            "from": show_target(way.start),
            "to": show_target(way.end),
            "schemas": f"{len(way.names):,}",
            "steps": [f"{segment.kind} to {show_target(segment.end)}" for segment in way.segments],
            "who": list_some(way.names),
        }
        for way in list_ways(plan)
    ]


def describe_risks(plan: Plan) -> list[str]:
    """For people: each finding that isn't acknowledged, once."""
    try:
        findings = [finding for way in list_ways(plan) for finding in way.find_risks()]
    except LintUnavailable as error:
        return [error.detail]
    return [f"risky: {text}" for text in dict.fromkeys(map(describe_finding, findings))]


def render_sql(plan: Plan) -> str:
    """What is sent to each schema, but for its stamps; comments say how, and to how many."""
    lines = []
    for way in list_ways(plan):
        schemas = count(len(way.names), "schema")
        lines += [f"-- {way.module}, {schemas}"]
        for segment in way.segments:
            lines += [f"-- {_explain(segment)}", *segment.statements, ""]
    return "\n".join(lines)


def summarize(plan: Plan) -> str:
    """For people: how many, and who can't be carried at all."""
    total = len(plan.work) + len(plan.strays) + plan.current
    lines = [f"{len(plan.work):,} of {count(total, 'schema')} to carry."]
    lines += [f"can't be carried: {each.vessel.name}: {each.reason}" for each in plan.strays]
    return "\n".join(lines)


def _show_risks(way: Way) -> list[dict[str, Any]] | None:
    try:
        return [show_finding(finding) for finding in way.find_risks()]
    except LintUnavailable:
        return None


def _show_step(segment: Segment, *, sql: bool) -> dict[str, Any]:
    step = {"kind": segment.kind, "start": segment.start, "end": segment.end}
    return step | ({"statements": segment.statements} if sql else {})


def _explain(segment: Segment) -> str:
    step = f"{show_target(segment.start)} to {show_target(segment.end)}"
    match segment.kind:
        case Kind.SQL:
            return f"{step}, in one transaction"
        case Kind.PYTHON:
            return f"{step} runs Python, which is in the revision's file"
        case Kind.OUTSIDE:
            return f"{step}, outside a transaction; {SCHEMA} stands for the schema's name"
