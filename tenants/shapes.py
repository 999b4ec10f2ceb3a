"""What administrators are shown of the registry: the same in the API and in the commands' JSON."""

from datetime import datetime
from typing import Any
from uuid import UUID

from typing_extensions import TypedDict

from tenants.ids import show_id
from tenants.lifecycle.domains import verification_record
from tenants.lifecycle.invitations import Invitation, expires_at
from tenants.lifecycle.keys import IssuedKey
from tenants.lifecycle.members import MEMBER_PREFIX
from tenants.lifecycle.onboarding import Onboarded
from tenants.lifecycle.operators import IssuedOperatorKey
from tenants.lifecycle.usage import ModuleState, Usage
from tenants.models import AuditEntry, Domain, Membership, Rollout, RolloutAttempt, Tenant
from tenants.models.keys import Key
from tenants.rollouts import Attempt, Plan, show_rollout_id

ENTRY_PREFIX = "aud"
# Of a plan's tenants, which may be all there are.
MOST_NAMES = 100


class ShownTenant(TypedDict):
    """schema: also the name of its PostgreSQL role. limits: its own, beyond those of its plan."""

    id: UUID
    slug: str
    name: str
    status: str
    plan: str
    limits: dict[str, int]
    modules: list[str]
    schema: str
    created_at: datetime
    updated_at: datetime


class ShownKey(TypedDict):
    public_id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class ShownIssuedKey(ShownKey):
    """key: its text, which is shown only now."""

    key: str


class ShownRecord(TypedDict):
    type: str
    name: str
    value: str


class ShownDomain(TypedDict):
    """dns_record: what DNS must have before the domain can be verified."""

    host: str
    verified_at: datetime | None
    created_at: datetime
    dns_record: ShownRecord


class ShownMember(TypedDict):
    """status: `invited` or `active`. invitation_expires_at: None for an active one."""

    id: str
    email: str
    role: str
    status: str
    created_at: datetime
    accepted_at: datetime | None
    invitation_expires_at: datetime | None


class ShownInvitation(ShownMember):
    """url: the link that accepts, for operators only. mail_sent: whether it could be mailed."""

    url: str | None
    mail_sent: bool


class ShownOnboarded(ShownTenant):
    """api_key: the first key, shown only now. owner: the invitation, if an owner was named."""

    api_key: str
    owner: ShownInvitation | None


class ShownModule(TypedDict):
    """revision: of the tenant's tables, None where there are none. head: the newest there is."""

    name: str
    label: str
    enabled: bool
    revision: str | None
    head: str | None


class ShownUsage(TypedDict):
    """storage_bytes: size of the tenant's schema. counts: by module, what it holds."""

    storage_bytes: int
    counts: dict[str, dict[str, int]]


class ShownActor(TypedDict):
    """kind: operator, staff, member or command. address: of the client, or name of the machine."""

    kind: str
    id: str
    name: str
    address: str


class ShownEntry(TypedDict):
    """An entry of the audit log. details: what changed, as `[before, after]`, or what was given."""

    id: str
    at: datetime
    actor: ShownActor
    action: str
    tenant_id: UUID | None
    tenant_slug: str
    target: str
    details: dict[str, Any]
    request_id: str


class ShownWay(TypedDict):
    """count: schemas of which the module is to go from `start` to `end`; None is no tables."""

    module: str
    start: str | None
    end: str | None
    count: int


class ShownStray(TypedDict):
    name: str
    reason: str


class ShownPlan(TypedDict):
    """What a rollout would do. behind, current: schemas that are and aren't to be carried.

    names: of those that are behind, by slug. strays: those that nothing can be carried to. Of both
    the first hundred.
    """

    targets: dict[str, str | None]
    behind: int
    current: int
    ways: list[ShownWay]
    names: list[str]
    stray: int
    strays: list[ShownStray]


class ShownRollout(TypedDict):
    """targets: revision by module, None for the empty schema. tenants: slugs, None for all.

    options: as `tenants.rollouts.Options`. planned: schemas to carry, those that are done included.
    started_by: kind and name of an actor. note: why it stopped before its end, if it did.
    """

    id: str
    status: str
    targets: dict[str, str | None]
    tenants: list[str] | None
    options: dict[str, Any]
    planned: int
    migrated: int
    failed: int
    started_by: str
    note: str
    started_at: datetime
    finished_at: datetime | None


class ShownAttempt(TypedDict):
    """How a rollout went for one schema. slug: empty for a spare's. revisions: the new ones, by
    module. error: None if it went well."""

    tenant_id: UUID
    slug: str
    succeeded: bool
    revisions: dict[str, str | None]
    error: str | None
    tries: int
    milliseconds: float
    at: datetime


def show_tenant(tenant: Tenant) -> ShownTenant:
    return {
        "id": tenant.id,
        "slug": tenant.slug,
        "name": tenant.name,
        "status": str(tenant.status),
        "plan": tenant.plan,
        "limits": tenant.limits,
        "modules": tenant.modules,
        "schema": tenant.schema,
        "created_at": tenant.created_at,
        "updated_at": tenant.updated_at,
    }


def show_onboarded(onboarded: Onboarded) -> ShownOnboarded:
    owner = show_invitation(onboarded.owner) if onboarded.owner else None
    return {**show_tenant(onboarded.tenant), "api_key": onboarded.key.text, "owner": owner}


def show_key(key: Key) -> ShownKey:
    return {
        "public_id": key.public_id,
        "name": key.name,
        "scopes": key.scopes,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


def show_issued(issued: IssuedKey | IssuedOperatorKey) -> ShownIssuedKey:
    return {**show_key(issued.row), "key": issued.text}


def show_domain(domain: Domain) -> ShownDomain:
    name, value = verification_record(domain)
    return {
        "host": domain.host,
        "verified_at": domain.verified_at,
        "created_at": domain.created_at,
        "dns_record": {"type": "TXT", "name": name, "value": value},
    }


def show_member(member: Membership) -> ShownMember:
    return {
        "id": show_id(MEMBER_PREFIX, member.id),
        "email": member.email,
        "role": str(member.role),
        "status": "invited" if member.user_id is None else "active",
        "created_at": member.created_at,
        "accepted_at": member.accepted_at,
        "invitation_expires_at": expires_at(member),
    }


def show_invitation(invitation: Invitation) -> ShownInvitation:
    member = show_member(invitation.member)
    return {**member, "url": invitation.url, "mail_sent": invitation.sent}


def show_module(module: ModuleState) -> ShownModule:
    return {
        "name": module.name,
        "label": module.label,
        "enabled": module.enabled,
        "revision": module.revision,
        "head": module.head,
    }


def show_usage(usage: Usage) -> ShownUsage:
    return {"storage_bytes": usage.storage_bytes, "counts": usage.counts}


def show_entry(entry: AuditEntry) -> ShownEntry:
    return {
        "id": show_id(ENTRY_PREFIX, entry.id),
        "at": entry.at,
        "actor": {
            "kind": entry.actor_kind,
            "id": entry.actor_id,
            "name": entry.actor_name,
            "address": entry.address,
        },
        "action": entry.action,
        "tenant_id": entry.tenant_id,
        "tenant_slug": entry.tenant_slug,
        "target": entry.target,
        "details": entry.details,
        "request_id": entry.request_id,
    }


def show_plan(plan: Plan) -> ShownPlan:
    return {
        "targets": plan.targets,
        "behind": len(plan.work),
        "current": plan.current,
        "ways": [
            {"module": module, "start": start, "end": end, "count": count}
            for (module, start, end), count in plan.ways.most_common()
        ],
        "names": [work.vessel.name for work in plan.work[:MOST_NAMES]],
        "stray": len(plan.strays),
        "strays": [
            {"name": stray.vessel.name, "reason": stray.reason}
            for stray in plan.strays[:MOST_NAMES]
        ],
    }


def show_rollout(rollout: Rollout) -> ShownRollout:
    return {
        "id": show_rollout_id(rollout.id),
        "status": str(rollout.status),
        "targets": rollout.targets,
        "tenants": rollout.scope["tenants"],
        "options": rollout.options,
        "planned": rollout.planned,
        "migrated": rollout.migrated,
        "failed": rollout.failed,
        "started_by": rollout.started_by,
        "note": rollout.note,
        "started_at": rollout.started_at,
        "finished_at": rollout.finished_at,
    }


def show_attempt(attempt: Attempt | RolloutAttempt) -> ShownAttempt:
    return {
        "tenant_id": attempt.tenant_id,
        "slug": attempt.slug,
        "succeeded": attempt.succeeded,
        "revisions": dict(attempt.revisions),
        "error": attempt.error or None,
        "tries": attempt.tries,
        "milliseconds": round(attempt.milliseconds, 1),
        "at": attempt.at,
    }
