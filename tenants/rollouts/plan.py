"""What a rollout would do: for each schema that is behind, the segments of its way."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from tenants.errors import BrokenRevision, InvalidInput
from tenants.modules import get_module, get_modules, with_required
from tenants.revisions import Segment, get_head, plan_segments
from tenants.revisions.scripts import find_position
from tenants.rollouts.fleet import Vessel

# Module, revision now, revision to come.
Way = tuple[str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Work:
    """A schema that is behind, and the segments of its way, modules in the order of their needs."""

    vessel: Vessel
    segments: tuple[Segment, ...]

    @property
    def revisions(self) -> dict[str, str | None]:
        """The revision that each module will have."""
        return {segment.module.name: segment.end for segment in self.segments}


@dataclass(frozen=True, slots=True)
class Stray:
    """A schema with a stamp or a module that this release doesn't know, and that stays as it is."""

    vessel: Vessel
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """targets: revision by module. ways: how many schemas go each. current: those at target."""

    targets: dict[str, str | None]
    work: list[Work]
    strays: list[Stray]
    current: int
    ways: Counter[Way]

    @property
    def behind(self) -> set[UUID]:
        """All that aren't at target, by the ids of their schemas."""
        strays = {each.vessel.ref.id for each in self.strays}
        return strays | {each.vessel.ref.id for each in self.work}

    def only(self, ids: Collection[UUID]) -> "Plan":
        """The part for these schemas."""
        work = [each for each in self.work if each.vessel.ref.id in ids]
        strays = [each for each in self.strays if each.vessel.ref.id in ids]
        return replace(self, work=work, strays=strays)


def choose_targets(
    modules: Collection[str] | None, targets: Mapping[str, str | None] | None
) -> dict[str, str | None]:
    """The revision to carry each module to: its head, unless another is named.

    modules: those to carry; None for all, or for those that `targets` names.
    Raises InvalidInput (422) for an unknown module, UnknownRevision (422).
    """
    named = dict(targets or {})
    chosen = [get_module(name) for name in modules or named] or list(get_modules())
    for name, revision in named.items():
        find_position(get_module(name), revision)
        if modules and name not in modules:
            reason = f"names `{name}`, which is not among the modules to carry"
            raise InvalidInput(f"`targets` {reason}.", errors=[("targets", reason)])
    return {module.name: named.get(module.name, get_head(module)) for module in chosen}


def make_plan(fleet: Sequence[Vessel], targets: dict[str, str | None]) -> Plan:
    """What it takes to have each schema's modules at their targets.

    Raises BrokenRevision (422).
    """
    work, strays, ways = [], [], Counter[Way]()
    for vessel in fleet:
        try:
            planned = plan_work(vessel, targets)
        except BrokenRevision:
            raise  # No schema could be carried over it.
        except InvalidInput as error:
            strays.append(Stray(vessel, error.detail))
            continue
        if planned.segments:
            work.append(planned)
            ways.update(
                (name, vessel.stamps.get(name), end) for name, end in planned.revisions.items()
            )
    return Plan(targets, work, strays, len(fleet) - len(work) - len(strays), ways)


def plan_work(vessel: Vessel, targets: Mapping[str, str | None]) -> Work:
    """Raises InvalidInput (422) for a stamp or a module that this release doesn't know."""
    segments: list[Segment] = []
    for module in with_required(vessel.ref.modules):
        if module.name in targets:
            start, end = vessel.stamps.get(module.name), targets[module.name]
            if start != end:
                segments += plan_segments(module, start, end)
    return Work(vessel, tuple(segments))
