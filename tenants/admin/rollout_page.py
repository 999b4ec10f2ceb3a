"""What a rollout's page shows: how far it is, who failed and why, and a part of the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from tenants.models import Rollout, RolloutAttempt, RolloutStatus
from tenants.rollouts import RESUMABLE, show_rollout_id

STATUS_LABELS = {
    RolloutStatus.RUNNING.value: "info",
    RolloutStatus.PAUSED.value: "warning",
    RolloutStatus.COMPLETED.value: "success",
    RolloutStatus.FAILED.value: "danger",
    RolloutStatus.CANCELLED.value: "",
    RolloutStatus.INTERRUPTED.value: "warning",
}
# Attempts of each kind on a page.
SHOWN = 25
# Of the tenants to which a rollout was restricted.
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rollout is, in words and as the parts of a bar, in percent."""

    rollout: Rollout

    @property
    def done(self) -> int:
        return int(self.rollout.migrated + self.rollout.failed)

    @property
    def planned(self) -> int:
        """Those who came to be behind while it ran included."""
        return max(self.rollout.planned, self.done)

    @property
    def good(self) -> str:
        nothing = 100.0 if self.rollout.status == RolloutStatus.COMPLETED else 0.0
        return _percent(self.rollout.migrated, self.planned, nothing)

    @property
    def bad(self) -> str:
        return _percent(self.rollout.failed, self.planned, 0.0)

    @property
    def words(self) -> str:
        if not self.planned:
            return "Nobody was behind"
        return f"{self.rollout.migrated:,} of {self.planned:,} migrated"

    @property
    def failures(self) -> str:
        """Empty if there is none."""
        return f"{self.rollout.failed:,} failed" if self.rollout.failed else ""

    @property
    def label(self) -> str:
        return STATUS_LABELS[self.rollout.status]


def gather(request: HttpRequest, rollout: Rollout) -> dict[str, Any]:
    """The page's context."""
    attempts = RolloutAttempt.objects.filter(rollout=rollout)
    later = attempts.filter(tenant_id=OuterRef("tenant_id"), id__gt=OuterRef("id"))
    return {
        "rollout": rollout,
        "reference": show_rollout_id(rollout.id),
        "progress": Progress(rollout),
        "runner": _describe_runner(rollout.runner),
        "verbs": list_verbs(rollout),
        "facts": _list_options(rollout.options),
        "tenants": _name_some(rollout.scope["tenants"]),
        "failures": _find_page(
            request, "failed_before", attempts.filter(~Exists(later), succeeded=False)
        ),
        "carried": _find_page(request, "carried_before", attempts.filter(succeeded=True)),
    }


def list_verbs(rollout: Rollout) -> list[str]:
    """What can be done with a rollout as it is now, the likeliest first."""
    verbs = []
    if rollout.status in RESUMABLE:
        verbs = ["resume", "retry"] if rollout.failed else ["resume"]
        if Progress(rollout).planned == Progress(rollout).done:
            verbs.reverse()
    if rollout.status in {RolloutStatus.PAUSED, RolloutStatus.INTERRUPTED} or (
        rollout.status == RolloutStatus.RUNNING and not rollout.cancel_requested
    ):
        verbs.append("cancel")
    return verbs


def _find_page(request: HttpRequest, name: str, rows: QuerySet[RolloutAttempt]) -> dict[str, Any]:
    """The newest rows, or those before the one that the address names."""
    before = request.GET.get(name, "")
    if before.isdecimal() and len(before) < len(str(2**63)):
        rows = rows.filter(id__lt=int(before))
    found = list(rows.order_by("-id")[: SHOWN + 1])
    older = f"?{name}={found[SHOWN - 1].pk}" if len(found) > SHOWN else None
    return {"rows": found[:SHOWN], "older": older, "newest": not before}


def _list_options(options: dict[str, Any]) -> list[tuple[str, str]]:
    pause = ", then a pause" if options["pause"] else ""
    facts = [
        ("Canary", _describe_canary(options["canary"]) + pause),
        ("At the same time", f"{options['concurrency']}"),
        ("Stops at", f"{options['max_failures']} failed"),
        ("Waits for a lock", f"{options['lock_timeout_ms']:,} ms"),
        ("Further tries", f"{options['retries']}"),
    ]
    if options["check_command"]:
        facts.append(("Check", options["check_command"]))
    if options["batch"]:
        facts.append(("Checked after", f"{options['batch']:,} each"))
    return facts


def _describe_canary(canary: int | str) -> str:
    if isinstance(canary, str):
        return f"the group {canary}"
    return f"{canary:,} first" if canary else "none"


def _describe_runner(runner: str) -> str:
    """The process that carries it out; empty if none does."""
    host, _, rest = runner.partition(":")
    return f"{host}, process {rest.partition(':')[0]}" if runner else ""


def _name_some(slugs: Sequence[str] | None) -> str:
    if slugs is None:
        return "all"
    more = len(slugs) - _NAMED
    return ", ".join(slugs[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _percent(part: int, whole: int, otherwise: float) -> str:
    return f"{100 * part / whole if whole else otherwise:.2f}"
