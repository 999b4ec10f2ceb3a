"""An installation that has been in use for a while, for showing the admin. All of it is made up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from asgiref.sync import async_to_sync
from django.utils import timezone

from conversations import service
from conversations.schemas import NewConversation, NewMessage
from tenants import lifecycle, rollouts
from tenants.actor import Actor, ActorKind
from tenants.apps import get_settings
from tenants.db.unit_of_work import write_session
from tenants.keys import Scope
from tenants.models import ApiKey, Domain, Rollout, RolloutAttempt, RolloutStatus, Tenant, User

STAFF_NAME = "mira"
SHOWN_SLUG = "fjordlight"
_HEAD = "conversations_0007"


@dataclass(frozen=True)
class Customer:
    slug: str
    name: str
    plan: str


CUSTOMERS = [
    Customer("quillstone", "Quillstone Library", "team"),
    Customer("mossbank", "Mossbank Dairy", "starter"),
    Customer("tidewheel", "Tidewheel Logistics", "enterprise"),
    Customer("lanternhill", "Lanternhill Clinic", "enterprise"),
    Customer("copperleaf", "Copperleaf Insurance", "enterprise"),
    Customer("saltgrass", "Saltgrass Ferries", "team"),
    Customer("windrow", "Windrow Farms", "starter"),
    Customer("juniper-post", "Juniper Post", "team"),
    Customer("amberfold", "Amberfold Textiles", "starter"),
    Customer("northquay", "Northquay Savings", "enterprise"),
    Customer("hollowell", "Hollowell & Daughters, Makers of Fine Instruments", "team"),
    Customer("bramblegate", "Bramblegate School", "starter"),
]
# Two whom a rollout could not carry, and why, and after how many tries.
_FAILURES = {
    "saltgrass": (
        'DuplicateColumnError 42701: column "locale" of relation "conversations" already exists',
        1,
    ),
    "northquay": ("LockNotAvailableError 55P03: canceling statement due to lock timeout", 6),
}
_CONVERSATION = NewConversation(
    user_id="user-7",
    title="A night train to the north",
    messages=[
        NewMessage(role="user", content="Is there a berth on Friday's night train?"),
        NewMessage(role="assistant", content="Yes, two are free. Shall I hold one?"),
    ],
)


def fill_showcase(password: str) -> None:
    """Make the staff, the customers, and their past."""
    staff = User.objects.create_superuser(STAFF_NAME, f"{STAFF_NAME}@example.com", password)
    async_to_sync(_onboard_customers)(staff)
    _make_rollouts()
    _spread_over_time([SHOWN_SLUG, *(customer.slug for customer in reversed(CUSTOMERS))])


async def _onboard_customers(staff: User) -> None:
    """Onboard a dozen customers, and do to them what administrators do in some weeks."""
    by = Actor(ActorKind.STAFF, str(staff.pk), staff.username, address="192.0.2.41")
    deployer = Actor(ActorKind.COMMAND, "deploy", "deploy", address="ops-1.example.com")
    operator = await lifecycle.create_operator("Billing", by=deployer)
    billing = Actor(ActorKind.OPERATOR, operator.row.public_id, "Billing", address="203.0.113.17")
    for customer in CUSTOMERS:
        await lifecycle.create_tenant(
            customer.slug,
            customer.name,
            plan=customer.plan,
            owner_email=f"owner@{customer.slug}.example.com",
            by=billing,
        )
    await _fill_shown(by, deployer)
    await lifecycle.suspend_tenant("copperleaf", by=by)
    await lifecycle.delete_tenant("windrow", by=by)
    await lifecycle.issue_key("tidewheel", "Warehouse bots", by=deployer)
    await lifecycle.change_tenant("mossbank", plan="team", by=billing)
    await lifecycle.add_domain("saltgrass", "help.saltgrass.example.com", by=by)
    await lifecycle.invite_member("lanternhill", "nurse@lanternhill.example.com", "viewer", by=by)
    await lifecycle.suspend_tenant("amberfold", by=billing)
    await lifecycle.change_tenant("northquay", limits={"concurrent_requests": 200}, by=by)
    await _join("juniper-post", "owner@juniper-post.example.com", "owner", by)
    await lifecycle.create_operator("Nightly report", ["read"], by=deployer)


async def _fill_shown(by: Actor, deployer: Actor) -> None:
    """The tenant whose page is shown has something of everything."""
    slug, domain = SHOWN_SLUG, "fjordlight.example.com"
    onboarded = await lifecycle.create_tenant(slug, "Fjordlight Travel", plan="team", by=by)
    production = await lifecycle.issue_key(slug, "Production", by=by)
    await lifecycle.issue_key(slug, "Reporting", [Scope.READ], by=deployer)
    nightly = await lifecycle.issue_key(
        slug, "Evaluation runs", expires_at=timezone.now() + timedelta(days=90), by=by
    )
    await lifecycle.rotate_key(slug, nightly.row.public_id, timedelta(days=2), by=by)
    await lifecycle.revoke_key(slug, onboarded.key.row.public_id, by=by)
    for name, role in (("solveig", "owner"), ("jonas", "admin"), ("ida", "member")):
        await _join(slug, f"{name}@{domain}", role, by)
    await lifecycle.invite_member(slug, f"support@{domain}", "viewer", by=by)
    await lifecycle.add_domain(slug, f"chat.{domain}", by=by)
    await lifecycle.add_domain(slug, f"assistant.{domain}", by=by)
    await Domain.objects.filter(host=f"chat.{domain}").aupdate(verified_at=timezone.now())
    await lifecycle.change_tenant(slug, limits={"concurrent_requests": 40}, by=by)
    await ApiKey.objects.filter(pk=production.row.pk).aupdate(last_used_at=timezone.now())
    tenant = await lifecycle.get_tenant(slug)
    for _ in range(24):
        async with write_session(tenant.ref) as session:
            await service.start_conversation(session, _CONVERSATION)


async def _join(slug: str, email: str, role: str, by: Actor) -> None:
    invitation = await lifecycle.invite_member(slug, email, role, by=by)
    user = await User.objects.acreate(username=email, email=email)
    assert invitation.url is not None
    token = invitation.url.rstrip("/").rpartition("/")[2]
    member = Actor(ActorKind.MEMBER, str(user.pk), email, role, address="198.51.100.24")
    await lifecycle.accept_invitation(token, user, by=member)


def _make_rollouts() -> None:
    """One that has ended, and one that seems to run: its lease ends long after the last picture."""
    Rollout.objects.all().delete()  # Starting the service has begun some already.
    now = timezone.now()
    ended = _make_rollout(RolloutStatus.COMPLETED, 1_271, now - timedelta(days=6, minutes=37))
    Rollout.objects.filter(pk=ended.pk).update(
        migrated=1_271, finished_at=ended.started_at + timedelta(seconds=19)
    )
    running = _make_rollout(RolloutStatus.RUNNING, 1_284, now - timedelta(seconds=14))
    Rollout.objects.filter(pk=running.pk).update(
        migrated=864,
        failed=len(_FAILURES),
        runner="ops-1.example.com:812:x",
        lease_ends_at=now + timedelta(days=1),
    )
    for number, tenant in enumerate(Tenant.objects.exclude(slug="windrow").order_by("slug")):
        error, tries = _FAILURES.get(tenant.slug, ("", 1))
        RolloutAttempt.objects.create(
            rollout=running,
            tenant_id=tenant.pk,
            slug=tenant.slug,
            succeeded=not error,
            revisions={} if error else {"conversations": _HEAD},
            error=error,
            tries=tries,
            milliseconds=14 + number * 5 % 17,
            at=now - timedelta(seconds=12, milliseconds=-870 * number),
        )


def _make_rollout(status: RolloutStatus, planned: int, started_at: datetime) -> Rollout:
    options = rollouts.Options(canary=20, max_failures="5%", concurrency=8)
    rollout = Rollout.objects.create(
        targets={"conversations": _HEAD},
        scope={"tenants": None},
        options=options.as_json(),
        status=status,
        started_by="command deploy",
        planned=planned,
    )
    Rollout.objects.filter(pk=rollout.pk).update(started_at=started_at)
    rollout.refresh_from_db()
    return rollout


def _spread_over_time(slugs: Sequence[str]) -> None:
    """Let what has just been done seem to have been done in the past weeks."""
    now = timezone.now()
    for days, slug in enumerate(slugs, start=1):
        made_at = now - timedelta(days=3 * days, hours=days, minutes=7 * days)
        Tenant.objects.filter(slug=slug).update(created_at=made_at, updated_at=made_at)
        ApiKey.objects.filter(tenant__slug=slug).update(created_at=made_at)
    # What only the login that owns the log may do.
    with psycopg.connect(get_settings().owner_url.get_secret_value()) as owner:
        owner.execute(
            "UPDATE tenantry.audit_log a SET at = now() - r.age * interval '67 minutes' "
            "FROM (SELECT id, row_number() OVER (ORDER BY id DESC) AS age "
            "FROM tenantry.audit_log) r WHERE r.id = a.id"
        )
