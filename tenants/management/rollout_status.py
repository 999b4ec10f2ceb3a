"""Where the fleet stands: schemas by module and revision, and those that are behind, with why."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tenants import modules
from tenants.apps import get_settings
from tenants.doctor.finding import count
from tenants.models import Rollout
from tenants.rollouts import Plan, Scope, list_attempts, list_rollouts, plan_rollout
from tenants.rollouts.fleet import Vessel, read_fleet
from tenants.rollouts.ledger import show_rollout_id
from tenants.rollouts.wire import Wire
from tenants.shapes import show_rollout

FLEET_COLUMNS = ("module", "revision", "schemas", "head")
BEHIND_COLUMNS = ("name", "revisions", "error")
RUN_COLUMNS = ("id", "status", "planned", "migrated", "failed", "started_at", "started_by", "note")
# What is listed of each kind; the rest is counted.
_MOST = 20
_RUNS = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """counts: schemas by module and revision, None where there is none.

    errors: why a schema's last attempt failed, by its name, of the newest rollout's.
    """

    plan: Plan
    counts: Counter[tuple[str, str | None]]
    errors: dict[str, str]
    runs: list[Rollout]


async def read_standing() -> Standing:
    plan = await plan_rollout(Scope())
    wire = Wire(get_settings())
    try:
        fleet = await read_fleet(wire)
    finally:
        await wire.close()
    counts = Counter(
        (name, vessel.stamps.get(name)) for vessel in fleet for name in _list_modules(vessel)
    )
    runs = await list_rollouts(limit=_RUNS)
    failed = await list_attempts(show_rollout_id(runs[0].id), succeeded=False) if runs else []
    errors = {each.slug or f"t_{each.tenant_id.hex}": each.error for each in failed}
    return Standing(plan, counts, errors, runs)


def show_standing(standing: Standing) -> dict[str, Any]:
    """For programs. behind: up to twenty of `behind_count`, those that failed first."""
    return {
        "modules": count_revisions(standing),
        "behind_count": len(standing.plan.work) + len(standing.plan.strays),
        "behind": list_behind(standing),
        "rollouts": [show_rollout(each) for each in standing.runs],
    }


def count_revisions(standing: Standing) -> list[dict[str, Any]]:
    """Rows with the columns `FLEET_COLUMNS`, a module's newest revision first."""
    return [
        {
            "module": name,
            "revision": revision,
            "schemas": number,
            "head": revision == standing.plan.targets.get(name),
        }
        for (name, revision), number in sorted(
            standing.counts.items(), key=lambda item: (item[0][0], item[0][1] or ""), reverse=True
        )
    ]


def list_behind(standing: Standing) -> list[dict[str, Any]]:
    """Rows with the columns `BEHIND_COLUMNS`. revisions: those at which the schema is now."""
    rows: list[dict[str, Any]] = [
        {"name": stray.vessel.name, "revisions": stray.vessel.stamps, "error": stray.reason}
        for stray in standing.plan.strays
    ]
    rows += [
        {
            "name": work.vessel.name,
            "revisions": {name: work.vessel.stamps.get(name) for name in work.revisions},
            "error": standing.errors.get(work.vessel.name),
        }
        for work in standing.plan.work
    ]
    return sorted(rows, key=lambda row: row["error"] is None)[:_MOST]


def summarize(standing: Standing) -> str:
    """For people: how many are behind, those included that aren't listed, and what to do."""
    number = len(standing.plan.work) + len(standing.plan.strays)
    if not number:
        return "Every schema is at the heads of its modules."
    listed = f", of which {_MOST} are listed" if number > _MOST else ""
    return f"{count(number, 'schema')} behind{listed}. See: manage.py rollout plan"


def _list_modules(vessel: Vessel) -> set[str]:
    """Those that a schema is to have; what it has of modules that it gave back doesn't count."""
    known = vessel.ref.modules.intersection(module.name for module in modules.get_modules())
    needed = {module.name for module in modules.with_required(known)}
    return needed | vessel.ref.modules
