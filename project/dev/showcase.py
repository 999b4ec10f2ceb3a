"""An installation that has been in use for a while, for showing the admin. All of it is made up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from asgiref.sync import async_to_sync
from django.utils import timezone

from conversations import service
from conversations.schemas import NewConversation, NewMessage
from tenants import lifecycle
from tenants.actor import Actor, ActorKind
from tenants.apps import get_settings
from tenants.db.unit_of_work import write_session
from tenants.keys import Scope
from tenants.models import ApiKey, Domain, Tenant, User

STAFF_NAME = "mira"
SHOWN_SLUG = "fjordlight"


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
