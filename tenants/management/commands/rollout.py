"""Carry revisions to the fleet, in stages, and see how that goes."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from tenants.doctor.finding import count
from tenants.errors import RolloutNotFound
from tenants.linting import lint_module
from tenants.management import rollout_plan, rollout_status
from tenants.management.command import EVENTS, VerbCommand, argument, verb, walk
from tenants.management.lint_report import describe_finding, show_finding
from tenants.management.output import FAILED
from tenants.management.rollout_arguments import (
    MODULE,
    RUN,
    RUN_OPTIONS,
    TENANT,
    TO,
    WAIT,
    Target,
    make_scope,
)
from tenants.management.rollout_display import list_revisions, show_seconds
from tenants.management.rollout_run import carry, rehearse, suggest
from tenants.models import RolloutStatus
from tenants.modules import get_module, get_modules
from tenants.rollouts import (
    Options,
    cancel_rollout,
    get_rollout,
    list_attempts,
    list_rollouts,
    plan_rollout,
    resume_rollout,
    retry_rollout,
    show_rollout_id,
    start_rollout,
)
from tenants.rollouts.drift import Drift, check_fleet
from tenants.shapes import show_attempt, show_rollout


class Command(VerbCommand):
    help = """
    Carry revisions to every tenant's schema, and see how that goes. A rollout goes on past a tenant
    that fails, can be stopped at any time and carried on later, and keeps a record of every
    tenant. `migrate_tenants` is short for `rollout run`.
    """
    examples = (
        "rollout plan",
        "rollout run --canary 10 --pause",
        "rollout resume last",
        "rollout status",
    )

    @verb(
        TENANT,
        MODULE,
        TO,
        argument("--sql", action="store_true", help="print the SQL of each way, and no table"),
        examples=[
            "rollout plan",
            "rollout plan --module notes --sql > notes.sql",
            "rollout plan --tenant acme --to notes@notes_0002",
        ],
    )
    async def plan(
        self,
        slugs: Sequence[str] | None,
        modules: Sequence[str] | None,
        targets: Sequence[Target] | None,
        sql: bool,
    ) -> None:
        """Show who is behind, and what a rollout would do. Changes nothing.

        A step is `sql`, many revisions in one transaction; or `python`, one that reads or writes
        rows; or `outside`, one that can't run in a transaction. What `lint` finds unsafe in them,
        and nobody has acknowledged, is named.
        """
        plan = await plan_rollout(make_scope(slugs, modules, targets))
        if self.json:
            self.show_facts(rollout_plan.detail_plan(plan, sql=sql))
            return
        if sql:
            self.stdout.write(rollout_plan.render_sql(plan), ending="")
        elif plan.work:
            rows = rollout_plan.describe_ways(plan)
            await self.show_list(rollout_plan.COLUMNS, rows, "")
        for risk in rollout_plan.describe_risks(plan):
            self.say(risk)
        self.say(rollout_plan.summarize(plan))

    @verb(
        TENANT,
        MODULE,
        TO,
        *RUN_OPTIONS,
        argument(
            "--dry-run",
            action="store_true",
            help="do it in each schema, all in one transaction, and roll it back",
        ),
        WAIT,
        examples=[
            "rollout run",
            "rollout run --canary 10 --pause",
            'rollout run --canary staging --batch 500 --check-command "./smoke_test.sh"',
            "rollout run --module notes --max-failures 5% --concurrency 8 --json",
            "rollout run --tenant acme --to notes@notes_0002 --dry-run",
        ],
        answer=EVENTS,
    )
    async def run(
        self,
        slugs: Sequence[str] | None,
        modules: Sequence[str] | None,
        targets: Sequence[Target] | None,
        canary: int | str,
        pause: bool,
        check_command: str | None,
        batch: int,
        concurrency: int,
        max_failures: str,
        lock_timeout_ms: int,
        retries: int,
        dry_run: bool,
        wait: float | None,
    ) -> None:
        """Carry every tenant's schema to the heads of its modules.

        Each ends there or stays as it was. Exits with 1 if a tenant failed, or the rollout stopped
        before its end. Ctrl-C stops it; `resume` carries on.
        """
        scope = make_scope(slugs, modules, targets)
        options = Options(
            canary=canary,
            pause=pause,
            check_command=check_command,
            batch=batch,
            concurrency=concurrency,
            max_failures=max_failures,
            lock_timeout_ms=lock_timeout_ms,
            retries=retries,
        )
        if dry_run:
            await rehearse(scope, options, json=self.json)
            return
        await carry(partial(start_rollout, scope, options, by=self.by), json=self.json, wait=wait)

    @verb(examples=["rollout status", "rollout status --json"])
    async def status(self) -> None:
        """Show where the fleet stands, who is behind, and the last rollouts."""
        standing = await rollout_status.read_standing()
        if self.json:
            self.show_facts(rollout_status.show_standing(standing))
            return
        await self.show_list(
            rollout_status.FLEET_COLUMNS,
            rollout_status.count_revisions(standing),
            "No tenant has a module.",
        )
        if behind := rollout_status.list_behind(standing):
            self.stdout.write("")
            await self.show_list(rollout_status.BEHIND_COLUMNS, map(_describe, behind), "")
        if standing.runs:
            self.stdout.write("")
            rows = map(show_rollout, standing.runs)
            await self.show_list(rollout_status.RUN_COLUMNS, rows, "")
        self.say(rollout_status.summarize(standing))

    @verb(
        RUN,
        argument("--failed", action="store_true", help="only the attempts that failed"),
        examples=["rollout show last", "rollout show last --failed --json"],
    )
    async def show(self, reference: str, failed: bool) -> None:
        """Show a rollout, with how it went for each tenant."""
        reference = await _find(reference)
        rollout = await get_rollout(reference)
        list_page = partial(list_attempts, reference, succeeded=False if failed else None)
        attempts = (show_attempt(each) async for each in walk(list_page, lambda each: each.id))
        if self.json:
            self.show_facts(
                {**show_rollout(rollout), "attempts": [each async for each in attempts]}
            )
            return
        shown = show_rollout(rollout)
        targets = list_revisions(shown["targets"])
        self.show_facts({**shown, "targets": targets, "tenants": shown["tenants"] or "all"})
        self.stdout.write("")
        await self.show_list(
            ("name", "revisions", "tries", "milliseconds", "at", "error"),
            (_describe(each) async for each in attempts),
            "No attempts.",
        )
        if todo := suggest(rollout):
            self.say(todo)

    @verb(RUN, WAIT, examples=["rollout resume last"], answer=EVENTS)
    async def resume(self, reference: str, wait: float | None) -> None:
        """Carry on a rollout that was paused, cancelled, stopped or cut off.

        Those that failed are left as they are; see `retry`.
        """
        reference = await _find(reference)
        await carry(partial(resume_rollout, reference, by=self.by), json=self.json, wait=wait)

    @verb(RUN, WAIT, examples=["rollout retry last"], answer=EVENTS)
    async def retry(self, reference: str, wait: float | None) -> None:
        """Try those again that failed in a rollout, and no others."""
        reference = await _find(reference)
        await carry(partial(retry_rollout, reference, by=self.by), json=self.json, wait=wait)

    @verb(RUN, examples=["rollout cancel last"])
    async def cancel(self, reference: str) -> None:
        """Have a rollout stop, wherever it runs; what is under way is done first."""
        rollout = await cancel_rollout(await _find(reference), by=self.by)
        shown = show_rollout_id(rollout.id)
        running = rollout.status == RolloutStatus.RUNNING
        self.show_done(
            show_rollout(rollout),
            f"{shown} stops within seconds." if running else f"Cancelled {shown}.",
        )

    @verb(TENANT, examples=["rollout check", "rollout check --tenant acme --json"], name="check")
    async def check_schemas(self, slugs: Sequence[str] | None) -> None:
        """Compare every schema with the revisions that it is stamped with.

        Finds what was changed by hand, or went missing. Being behind is none of it. Changes
        nothing; exits with 1 if a schema differs.
        """
        drifted: list[Drift] = []

        def report(drift: Drift) -> None:
            drifted.append(drift)
            for difference in () if self.json else drift.differences:
                self.stdout.write(f"{drift.name}: {difference}")

        result = await check_fleet(report, slugs)
        if self.json:
            self.show_facts({**asdict(result), "schemas": [asdict(each) for each in drifted]})
        self.say(
            f"{result.drifted:,} of {count(result.checked, 'schema')} not as stamped, "
            f"{result.behind:,} behind, in {show_seconds(result.seconds)}."
        )
        if drifted:
            sys.exit(FAILED)

    @verb(MODULE, examples=["rollout lint", "rollout lint --module notes --json"])
    async def lint(self, modules: Sequence[str] | None) -> None:
        """Find what is unsafe in revisions, before any tenant meets it.

        Exits with 1 unless each finding is acknowledged in its revision, with a reason.
        """
        chosen = [get_module(name) for name in modules] if modules else get_modules()
        findings = [finding for module in chosen for finding in lint_module(module)]
        if self.json:
            self.show_facts([show_finding(finding) for finding in findings])
        else:
            for finding in findings:
                self.stdout.write(describe_finding(finding))
        unsafe = sum(finding.is_open for finding in findings)
        self.say(f"{count(len(findings), 'finding')}, {unsafe:,} to be mended or acknowledged.")
        if unsafe:
            sys.exit(FAILED)


async def _find(reference: str) -> str:
    """A rollout's id, where `last` may stand for the newest one's."""
    if reference != "last":
        return reference
    newest = await list_rollouts(limit=1)
    if not newest:
        raise RolloutNotFound(reference)
    return show_rollout_id(newest[0].id)


def _describe(row: Mapping[str, Any]) -> dict[str, Any]:
    """A schema's row for people: a spare, which has no slug, is named as its schema is."""
    name = row.get("name") or row["slug"] or f"t_{row['tenant_id'].hex}"
    return {**row, "name": name, "revisions": list_revisions(row["revisions"])}
