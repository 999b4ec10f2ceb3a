"""Checks of all tenants: the registry against the schemas, roles and stamps that there are."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.engine import make_url

from tenants.doctor.connection import connect
from tenants.doctor.finding import Finding, count, list_some, ok, problem, warning
from tenants.doctor.jobs import check_jobs
from tenants.lifecycle.registry import LIVING, in_registry
from tenants.models import Tenant, TenantStatus
from tenants.modules import get_modules, with_required
from tenants.revisions import find_module_of_revision, get_head
from tenants.settings import EngineSettings

# A creation takes less than a second, and is retried at once.
STUCK_AFTER = timedelta(hours=1)
# What is younger may have been made since the registry was read.
_SETTLED_AFTER_SECONDS = 60

_SCHEMAS = r"SELECT nspname FROM pg_namespace WHERE nspname ~ '^t_[0-9a-f]{32}$'"
# Other installations on the same server have tenants' roles, too, with runtime logins of theirs.
_ROLES = r"""
SELECT r.rolname FROM pg_auth_members m
JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles l ON l.oid = m.member
WHERE l.rolname = $1 AND r.rolname ~ '^t_[0-9a-f]{32}$'
"""
_STAMPS = "SELECT tenant_id, module, revision FROM tenantry.tenant_stamps"
_SPARES = "SELECT id, modules FROM tenantry.spares"
# The second came with a later release, which makes it when it is first needed.
_TABLES_EXIST = (
    "SELECT to_regclass('tenantry.tenant_stamps') IS NOT NULL, "
    "to_regclass('tenantry.spares') IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The registry's rows, and by tenant's id what the tenants' database has for them.

    stamps: the revision by module. spares: the modules of each schema that waits for a tenant.
    """

    tenants: Collection[Tenant]
    schemas: Collection[UUID]
    roles: Collection[UUID]
    stamps: Mapping[UUID, Mapping[str, str]]
    spares: Mapping[UUID, Collection[str]] = field(default_factory=dict)

    @property
    def living(self) -> list[Tenant]:
        return [tenant for tenant in self.tenants if tenant.status in LIVING]


async def check_fleet(settings: EngineSettings) -> list[Finding]:
    fleet = await read_fleet(settings)
    return [
        ok("tenants", f"{count(len(fleet.tenants), 'tenant')} in the registry."),
        check_schemas(fleet),
        *check_revisions(fleet),
        check_leftovers(fleet),
        check_half_made(fleet),
        check_deleted(fleet),
        check_plans(fleet, settings),
        check_spares(fleet, settings),
        *await check_jobs(fleet.tenants),
    ]


async def read_fleet(settings: EngineSettings) -> Fleet:
    stamps: dict[UUID, dict[str, str]] = defaultdict(dict)
    spares = {}
    runtime = make_url(settings.runtime_url.get_secret_value()).username
    async with connect(settings.owner_url, settings) as owner:
        has_stamps, has_spares = await owner.fetchrow(_TABLES_EXIST)
        if has_spares:
            spares = {UUID(int=each.int): names for each, names in await owner.fetch(_SPARES)}
        # Then the registry: a spare that is a tenant's by now is in it, and whoever is active
        # in it had a schema before.
        tenants = await _read_tenants()
        if has_stamps:
            for tenant_id, module, revision in await owner.fetch(_STAMPS):
                stamps[UUID(int=tenant_id.int)][module] = revision
        schemas = {UUID(hex=name.removeprefix("t_")) for (name,) in await owner.fetch(_SCHEMAS)}
        roles = {
            UUID(hex=name.removeprefix("t_")) for (name,) in await owner.fetch(_ROLES, runtime)
        }
    return Fleet(tenants, schemas, roles, dict(stamps), spares)


def check_schemas(fleet: Fleet) -> Finding:
    missing = [tenant.slug for tenant in fleet.living if tenant.id not in fleet.schemas]
    if missing:
        return problem(
            "schemas",
            f"{count(len(missing), 'tenant')} without a schema: {list_some(missing)}",
            "Restore it from a backup; or give the tenant up: manage.py tenants delete SLUG, then "
            "manage.py tenants erase SLUG",
        )
    return ok("schemas", "Every tenant has its schema.")


def check_revisions(fleet: Fleet) -> list[Finding]:
    """Whether every tenant is at the heads of its modules."""
    loaded = {module.name for module in get_modules()}
    heads = {module.name: get_head(module) for module in get_modules()}
    behind: dict[str, list[str]] = defaultdict(list)
    foreign: dict[str, list[str]] = defaultdict(list)
    unloaded: dict[str, list[str]] = defaultdict(list)
    unknown = {
        revision
        for revision in {
            revision
            for stamps in fleet.stamps.values()
            for module, revision in stamps.items()
            if revision != heads.get(module)
        }
        if find_module_of_revision(revision) is None
    }
    for tenant in fleet.living:
        for name in set(tenant.modules) - loaded:
            unloaded[name].append(tenant.slug)
        stamps = fleet.stamps.get(tenant.id, {})
        for module in with_required(loaded.intersection(tenant.modules)):
            revision = stamps.get(module.name)
            if revision in unknown:
                foreign[f"{module.name} at {revision}"].append(tenant.slug)
            elif revision != heads[module.name]:
                behind[f"{module.name} below {heads[module.name]}"].append(tenant.slug)
    findings = []
    if behind:
        findings.append(
            problem("revisions", _describe(behind), "Carry them there: manage.py rollout run")
        )
    if foreign:
        findings.append(
            problem(
                "revisions",
                f"Not of this release: {_describe(foreign)}",
                "Run the release that these revisions came with.",
            )
        )
    if unloaded:
        findings.append(
            problem(
                "revisions",
                f"Modules that are not loaded: {_describe(unloaded)}",
                "Name the module's package in TENANTRY_MODULES again.",
            )
        )
    return findings or [ok("revisions", "Every tenant is at the heads of its modules.")]


def check_leftovers(fleet: Fleet) -> Finding:
    """Schemas, roles and stamps of tenants that the registry doesn't know."""
    known = {*fleet.spares, *(tenant.id for tenant in fleet.tenants)}
    found = {
        kind: [f"t_{tenant_id.hex}" for tenant_id in {*ids} - known if not _is_new(tenant_id)]
        for kind, ids in (
            ("schema", fleet.schemas),
            ("role", fleet.roles),
            ("stamp", fleet.stamps),
        )
    }
    parts = [
        f"{count(len(names), kind)} ({list_some(names)})" for kind, names in found.items() if names
    ]
    if parts:
        return warning(
            "leftovers",
            f"Of no tenant in the registry: {'; '.join(parts)}",
            "If nobody needs the data any more, as the owner login, for each: "
            'DROP SCHEMA IF EXISTS "t_…" CASCADE; DROP ROLE IF EXISTS "t_…"; '
            "DELETE FROM tenantry.tenant_stamps WHERE tenant_id = '…';",
        )
    return ok("leftovers", "Nothing is left of tenants that are gone.")


def check_half_made(fleet: Fleet) -> Finding:
    stuck = [
        tenant.slug
        for tenant in fleet.tenants
        if tenant.status == TenantStatus.PROVISIONING
        and tenant.created_at < datetime.now(UTC) - STUCK_AFTER
    ]
    if stuck:
        return warning(
            "half-made tenants",
            f"{count(len(stuck), 'creation')} cut off and not repeated: {list_some(stuck)}",
            "Complete it: manage.py tenants create SLUG --name NAME; or give it up: "
            "manage.py tenants delete SLUG, then manage.py tenants erase SLUG",
        )
    return ok("half-made tenants", "No creation was cut off.")


def check_deleted(fleet: Fleet) -> Finding:
    waiting = [tenant.slug for tenant in fleet.tenants if tenant.status == TenantStatus.DELETING]
    if waiting:
        return warning(
            "deleted tenants",
            f"{count(len(waiting), 'tenant')} still there with all data: {list_some(waiting)}",
            "Remove it for good: manage.py tenants erase SLUG",
        )
    return ok("deleted tenants", "None waits for being erased.")


def check_plans(fleet: Fleet, settings: EngineSettings) -> Finding:
    gone: dict[str, list[str]] = defaultdict(list)
    for tenant in fleet.tenants:
        if tenant.plan not in settings.plans:
            gone[tenant.plan].append(tenant.slug)
    if gone:
        return warning(
            "plans",
            f"Not in the settings, so they limit nothing: {_describe(gone)}",
            "Add the plan to TENANTRY_PLANS, or: manage.py tenants change SLUG --plan PLAN",
        )
    return ok("plans", f"All tenants' plans are in the settings: {', '.join(settings.plans)}")


def check_spares(fleet: Fleet, settings: EngineSettings) -> Finding:
    """Schemas that wait for a tenant: whether there are any, and at the heads of all modules."""
    heads = {module.name: get_head(module) for module in get_modules()}
    stamped = {name: head for name, head in heads.items() if head is not None}
    ready = [
        spare
        for spare, modules in fleet.spares.items()
        if spare in fleet.schemas
        and list(modules) == list(heads)
        and fleet.stamps.get(spare, {}) == stamped
    ]
    stale = [f"t_{spare.hex}" for spare in fleet.spares if spare not in ready]
    if stale:
        return warning(
            "spares",
            f"{count(len(stale), 'spare')} not at the heads of all modules: {list_some(stale)}",
            "Carry them there: manage.py rollout run; those that have other modules than "
            "are loaded: manage.py tenants spares --drop",
        )
    if settings.spares and not ready:
        return warning(
            "spares",
            f"None of {settings.spares} is ready, so onboarding makes each schema itself.",
            "See that a server runs, and what its log says of spares; or: "
            f"manage.py tenants spares --fill {settings.spares}",
        )
    return ok("spares", f"{count(len(ready), 'spare')} ready; the settings want {settings.spares}.")


@in_registry
def _read_tenants() -> list[Tenant]:
    columns = ("id", "slug", "status", "plan", "modules", "created_at")
    return list(Tenant.objects.only(*columns).order_by("slug"))


def _describe(slugs_by_reason: Mapping[str, Collection[str]]) -> str:
    return "; ".join(
        f"{reason}: {count(len(slugs), 'tenant')} ({list_some(slugs)})"
        for reason, slugs in sorted(slugs_by_reason.items())
    )


def _is_new(tenant_id: UUID) -> bool:
    """Whether an id, which begins with the time in milliseconds, was made just now."""
    return abs(time.time() - (tenant_id.int >> 80) / 1000) < _SETTLED_AFTER_SECONDS
