"""The rules about members: who is invited, who becomes one, who may change whom."""

import asyncio
import contextlib
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core import mail, signing
from django.db import connections
from django.utils import timezone

from tenants import audit, errors, lifecycle
from tenants.actor import Actor, ActorKind
from tenants.ids import show_id
from tenants.lifecycle.invitations import PATH, make_token
from tenants.lifecycle.members import find_account
from tenants.models import AuditEntry, Membership, User
from tenants.testing import TESTER
from tests.tenants.people import make_user, new_email

PASSWORD = "correct horse battery"

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file; tests that count its members make their own."""
    return await make_tenant(modules=[])


async def invite(tenant, email=None, role="member", by=TESTER):
    return await lifecycle.invite_member(tenant.slug, email or new_email(), role, by=by)


def token_of(invitation):
    return invitation.url.rstrip("/").rpartition("/")[2]


async def join(tenant, role="member"):
    """Invite a new user, who accepts."""
    user = await make_user()
    invitation = await invite(tenant, user.email, role)
    return await lifecycle.accept_invitation(token_of(invitation), user, by=acting(user))


def acting(user, role=None):
    return Actor(ActorKind.MEMBER, str(user.pk), user.username, role)


@pytest.fixture
def at_once(monkeypatch):
    """Run calls in threads of their own, each on its own connection: their outcomes.

    Before it records what it does, each waits a moment for the others, so that they have all
    decided by then if nothing keeps them apart.
    """
    record = audit.record

    async def run_alone(call):
        async with ThreadSensitiveContext():
            try:
                return await call
            finally:
                await sync_to_async(connections.close_all)()

    async def run(*calls):
        meeting = threading.Barrier(len(calls))

        def record_late(*args, **details):
            with contextlib.suppress(threading.BrokenBarrierError):
                meeting.wait(0.2)
            record(*args, **details)

        with monkeypatch.context() as patched:
            patched.setattr(audit, "record", record_late)
            return await asyncio.gather(*map(run_alone, calls), return_exceptions=True)

    return run


async def entries(tenant, target):
    """What the audit log has about one member, the earliest first."""
    rows = AuditEntry.objects.filter(tenant_id=tenant.ref.id, target=target).order_by("id")
    return [(entry.action, entry.actor_name, entry.details) async for entry in rows]


# Inviting


async def test_an_invitation_is_mailed_with_a_link_that_accepts(tenant):
    email = new_email()

    invitation = await invite(tenant, email, "admin")

    (message,) = mail.outbox
    assert (message.to, invitation.sent) == ([email], True)
    assert tenant.row.name in message.subject
    assert "as admin" in message.body
    assert "within 7 days" in message.body
    (link,) = re.findall(r"https?://\S+", message.body)
    assert link == invitation.url
    assert link.startswith(f"http://localhost:8000{PATH}")
    member = await lifecycle.sign_up(token_of(invitation), PASSWORD, by=TESTER)
    assert (member.email, member.role, member.user.email) == (email, "admin", email)


async def test_names_stand_in_a_mail_as_they_are(make_tenant):
    tenant = await make_tenant(modules=[])
    await lifecycle.change_tenant(tenant.slug, name="O'Hara & <Söhne>", by=TESTER)

    await invite(tenant)

    assert "O'Hara & <Söhne>" in mail.outbox[0].body


@pytest.mark.parametrize(
    "backend", ["project.mail.NoServer", "django.core.mail.backends.smtp.EmailBackend"]
)
async def test_a_mail_that_cannot_be_sent_is_said_and_the_link_holds(tenant, settings, backend):
    settings.EMAIL_BACKEND = backend
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # Where nobody listens.

    invitation = await invite(tenant)

    assert not invitation.sent
    assert (await lifecycle.sign_up(token_of(invitation), PASSWORD, by=TESTER)).user is not None


async def test_an_address_counts_in_any_case(tenant):
    email = new_email()

    first = await invite(tenant, f" {email.upper()} ")
    second = await invite(tenant, email)

    assert first.member.email == email
    assert second.member.pk == first.member.pk


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ann",
        "ann@",
        "@example.com",
        "ann@example",
        "ann smith@example.com",
        "ann@example.com\nBcc: bob@example.com",
        "ann@example.com, bob@example.com",
        "Ann <ann@example.com>",
        "ann\0@example.com",
        "añn@example.com",
        "\u017fam@example.com",
        f"{'a' * 150}@example.com",
        f"ann@{'ü' * 63}.de",
    ],
)
async def test_an_address_that_no_mail_can_reach_is_refused(tenant, email):
    with pytest.raises(errors.InvalidInput) as refusal:
        await lifecycle.invite_member(tenant.slug, email, "member", by=TESTER)

    assert refusal.value.errors[0][0] == "email"


@pytest.mark.parametrize("role", ["", "Owner", "superuser", "member "])
async def test_a_role_that_there_is_not_is_refused(tenant, role):
    with pytest.raises(errors.InvalidInput) as refusal:
        await invite(tenant, role=role)

    assert refusal.value.errors[0][0] == "role"


async def test_inviting_again_sends_a_new_link_ends_the_old_one_and_may_change_the_role(tenant):
    email = new_email()
    first = await invite(tenant, email, "viewer")

    second = await invite(tenant, email, "member")

    assert len(mail.outbox) == 2
    with pytest.raises(errors.InvitationInvalid):
        await lifecycle.sign_up(token_of(first), PASSWORD, by=TESTER)
    member = await lifecycle.sign_up(token_of(second), PASSWORD, by=TESTER)
    assert member.role == "member"


async def test_a_member_is_not_invited_again(tenant):
    member = await join(tenant)

    with pytest.raises(errors.AlreadyMember):
        await invite(tenant, member.email)


async def test_a_member_whose_address_has_changed_is_known_by_the_new_one(tenant):
    member = await join(tenant)
    await User.objects.filter(pk=member.user_id).aupdate(email=f"New-{member.email}")

    with pytest.raises(errors.AlreadyMember):
        await invite(tenant, f"new-{member.email}")


async def test_a_tenant_that_is_being_deleted_invites_nobody(make_tenant):
    tenant = await make_tenant(modules=[])
    await lifecycle.delete_tenant(tenant.slug, by=TESTER)

    with pytest.raises(errors.WrongState):
        await invite(tenant)
    with pytest.raises(errors.TenantNotFound):
        await lifecycle.invite_member("nosuchtenant", new_email(), "member", by=TESTER)


async def test_the_limit_counts_those_who_are_invited_too(make_tenant):
    tenant = await make_tenant(modules=[])
    await lifecycle.change_tenant(tenant.slug, limits={"members": 2}, by=TESTER)
    invitation = await invite(tenant)
    await join(tenant)

    with pytest.raises(errors.LimitReached):
        await invite(tenant)
    await invite(tenant, invitation.member.email)  # Who is counted already.
    await lifecycle.remove_member(tenant.slug, invitation.member.email, by=TESTER)
    await invite(tenant)


async def test_the_first_owner_is_invited_with_the_tenant(make_tenant):
    tenant = await make_tenant(modules=[])
    email = new_email()

    onboarded = await lifecycle.create_tenant(
        f"{tenant.slug}-two", "Two", owner_email=email.upper(), by=TESTER
    )

    assert mail.outbox[0].to == [email]
    member = await lifecycle.sign_up(token_of(onboarded.owner), PASSWORD, by=TESTER)
    assert (member.role, member.tenant_id) == ("owner", onboarded.tenant.id)


# Accepting


async def test_a_link_is_good_once(tenant):
    user = await make_user()
    token = token_of(await invite(tenant, user.email))
    member = await lifecycle.accept_invitation(token, user, by=acting(user))
    assert member.accepted_at is not None

    with pytest.raises(errors.InvitationInvalid):
        await lifecycle.accept_invitation(token, user, by=acting(user))
    with pytest.raises(errors.InvitationInvalid):
        await lifecycle.sign_up(token, PASSWORD, by=TESTER)


async def test_a_link_of_somebody_who_was_removed_is_good_no_more(tenant):
    invitation = await invite(tenant)
    await lifecycle.remove_member(tenant.slug, invitation.member.email, by=TESTER)

    with pytest.raises(errors.InvitationInvalid):
        await lifecycle.sign_up(token_of(invitation), PASSWORD, by=TESTER)


async def test_the_link_of_an_invitation_is_the_same_whenever_it_is_shown(tenant, monkeypatch):
    invitation = await invite(tenant)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert make_token(invitation.member) == token_of(invitation)


async def test_a_link_expires(tenant, monkeypatch):
    long_ago = datetime.now(UTC) - timedelta(days=7, seconds=1)
    with monkeypatch.context() as then:
        then.setattr(timezone, "now", lambda: long_ago)
        token = token_of(await invite(tenant))

    with pytest.raises(errors.InvitationExpired) as refusal:
        await lifecycle.sign_up(token, PASSWORD, by=TESTER)

    assert refusal.value.status == 404


@pytest.mark.parametrize("spoil", ["{}x", "x{}", "", "a:b:c", "{}:{}", "🔑", "a" * 10_000])
async def test_a_link_that_was_not_made_here_is_good_for_nothing(tenant, spoil):
    token = spoil.replace("{}", token_of(await invite(tenant)))

    with pytest.raises(errors.InvitationInvalid):
        await lifecycle.sign_up(token, PASSWORD, by=TESTER)


async def test_what_was_signed_for_something_else_is_no_invitation(tenant):
    row = (await invite(tenant)).member
    content = [row.id.hex, row.invited_at.isoformat()]
    ours = signing.Signer(salt="tenantry.invitation")
    assert ours.unsign_object(make_token(row)) == content

    for token in (
        signing.Signer().sign_object(content),
        signing.Signer(key="another", salt="tenantry.invitation").sign_object(content),
        ours.sign_object([row.id.hex]),
        ours.sign_object({"id": row.id.hex}),
        ours.sign_object([None, None]),
        ours.sign(row.id.hex),
    ):
        with pytest.raises(errors.InvitationInvalid):
            await lifecycle.sign_up(token, PASSWORD, by=TESTER)


async def test_an_invitation_is_for_its_address_alone(tenant):
    other = await make_user()
    nobody = await make_user("", username=new_email())
    invitation = await invite(tenant)

    for user in (other, nobody):
        with pytest.raises(errors.InvitationInvalid):
            await lifecycle.accept_invitation(token_of(invitation), user, by=acting(user))

    assert (await Membership.objects.aget(pk=invitation.member.pk)).user_id is None


async def test_an_account_that_there_is_accepts_under_its_address_in_any_case(tenant):
    email = new_email()
    user = await make_user(email.upper(), username="ann" + email[:8])
    invitation = await invite(tenant, email)

    with pytest.raises(errors.AccountExists):
        await lifecycle.sign_up(token_of(invitation), PASSWORD, by=TESTER)
    member = await lifecycle.accept_invitation(token_of(invitation), user, by=acting(user))

    assert member.user_id == user.pk


async def test_a_suspended_tenant_can_be_joined_and_a_deleted_one_cannot(make_tenant):
    tenant = await make_tenant(modules=[])
    tokens = [token_of(await invite(tenant)) for _ in range(2)]
    await lifecycle.suspend_tenant(tenant.slug, by=TESTER)
    await lifecycle.sign_up(tokens[0], PASSWORD, by=TESTER)
    await lifecycle.delete_tenant(tenant.slug, by=TESTER)

    with pytest.raises(errors.WrongState):
        await lifecycle.sign_up(tokens[1], PASSWORD, by=TESTER)


@pytest.mark.parametrize("password", ["", "short", "password", "123456789012", "{email}"])
async def test_a_password_that_the_settings_refuse_makes_no_account(tenant, password):
    invitation = await invite(tenant)
    email = invitation.member.email

    with pytest.raises(errors.InvalidInput) as refusal:
        await lifecycle.sign_up(token_of(invitation), password.format(email=email), by=TESTER)

    assert {field for field, _ in refusal.value.errors} == {"password"}
    assert not await User.objects.filter(username=email).aexists()
    await lifecycle.sign_up(token_of(invitation), PASSWORD, by=TESTER)


async def test_an_account_that_could_not_join_is_not_made(make_tenant):
    tenant = await make_tenant(modules=[])
    invitation = await invite(tenant)
    await lifecycle.delete_tenant(tenant.slug, by=TESTER)

    with pytest.raises(errors.WrongState):
        await lifecycle.sign_up(token_of(invitation), PASSWORD, by=TESTER)

    assert not await User.objects.filter(email=invitation.member.email).aexists()


# Owners


async def test_the_last_owner_stays(make_tenant):
    tenant = await make_tenant(modules=[])
    owner = await join(tenant, "owner")
    await invite(tenant, role="owner")  # Who has not accepted yet counts for nothing.

    with pytest.raises(errors.LastOwner):
        await lifecycle.remove_member(tenant.slug, owner.email, by=TESTER)
    with pytest.raises(errors.LastOwner):
        await lifecycle.change_member(tenant.slug, owner.email, "admin", by=TESTER)
    await lifecycle.change_member(tenant.slug, owner.email, "owner", by=TESTER)

    await join(tenant, "owner")
    await lifecycle.remove_member(tenant.slug, owner.email, by=TESTER)


async def test_of_two_owners_who_leave_at_once_one_stays(make_tenant, at_once):
    tenant = await make_tenant(modules=[])
    owners = [await join(tenant, "owner") for _ in range(2)]

    outcomes = await at_once(
        *(lifecycle.remove_member(tenant.slug, owner.email, by=TESTER) for owner in owners)
    )

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LastOwner", "NoneType"]


async def test_a_member_who_is_no_owner_makes_none_and_unmakes_none(make_tenant):
    tenant = await make_tenant(modules=[])
    first, second = await join(tenant, "owner"), await join(tenant, "owner")
    member = await join(tenant)
    waiting = await invite(tenant, role="owner")
    admin = acting((await join(tenant, "admin")).user, "admin")

    for attempt in (
        lifecycle.change_member(tenant.slug, first.email, "admin", by=admin),
        lifecycle.remove_member(tenant.slug, second.email, by=admin),
        lifecycle.change_member(tenant.slug, member.email, "owner", by=admin),
        invite(tenant, role="owner", by=admin),
        invite(tenant, waiting.member.email, "member", by=admin),
        lifecycle.remove_member(tenant.slug, waiting.member.email, by=admin),
    ):
        with pytest.raises(errors.OwnerRequired):
            await attempt

    await lifecycle.change_member(tenant.slug, member.email, "admin", by=admin)
    owner = acting(first.user, "owner")
    await lifecycle.change_member(tenant.slug, member.email, "owner", by=owner)
    await lifecycle.remove_member(tenant.slug, second.email, by=owner)


# Changing


async def test_a_member_is_named_by_id_or_by_address(tenant):
    member = await join(tenant)

    for reference in (show_id("mem", member.pk), member.email.upper()):
        changed = await lifecycle.change_member(tenant.slug, reference, "viewer", by=TESTER)
        assert changed.pk == member.pk


async def test_a_role_can_be_changed_before_the_invitation_is_accepted(tenant):
    invitation = await invite(tenant, role="viewer")

    await lifecycle.change_member(tenant.slug, invitation.member.email, "admin", by=TESTER)

    member = await lifecycle.sign_up(token_of(invitation), PASSWORD, by=TESTER)
    assert member.role == "admin"


async def test_another_tenants_member_is_as_unknown_as_nobody(make_tenant, tenant):
    other = await join(await make_tenant(modules=[]))

    for reference in (other.email, show_id("mem", other.pk), "mem_", "nobody@example.com", ""):
        with pytest.raises(errors.MemberNotFound):
            await lifecycle.change_member(tenant.slug, reference, "owner", by=TESTER)
        with pytest.raises(errors.MemberNotFound):
            await lifecycle.remove_member(tenant.slug, reference, by=TESTER)


# The audit log


async def test_everything_that_happens_to_a_member_is_recorded(tenant):
    email = new_email()
    token = token_of(await invite(tenant, email, "viewer"))
    by = Actor(ActorKind.MEMBER, "", email, address="192.0.2.1", request_id="r")
    member = await lifecycle.sign_up(token, PASSWORD, by=by)
    await lifecycle.change_member(tenant.slug, email, "viewer", by=TESTER)  # Nothing changes.
    await lifecycle.change_member(tenant.slug, email, "admin", by=TESTER)
    await lifecycle.remove_member(tenant.slug, email, by=TESTER)

    assert await entries(tenant, email) == [
        ("member.invited", "A test", {"role": "viewer"}),
        ("member.joined", email, {"role": "viewer"}),
        ("member.changed", "A test", {"role": ["viewer", "admin"]}),
        ("member.removed", "A test", {"role": "admin"}),
    ]
    own = AuditEntry.objects.filter(actor_id=str(member.user_id))
    assert {entry.action async for entry in own} == {"user.created", "member.joined"}
    assert {(entry.address, entry.request_id) async for entry in own} == {("192.0.2.1", "r")}


async def test_what_is_refused_is_not_recorded(make_tenant):
    tenant = await make_tenant(modules=[])
    owner = await join(tenant, "owner")
    before = await entries(tenant, owner.email)

    with pytest.raises(errors.LastOwner):
        await lifecycle.remove_member(tenant.slug, owner.email, by=TESTER)

    assert await entries(tenant, owner.email) == before


# At once


async def test_somebody_who_accepts_twice_at_once_is_one_member(tenant, at_once):
    user = await make_user()
    token = token_of(await invite(tenant, user.email))

    outcomes = await at_once(
        *(lifecycle.accept_invitation(token, user, by=acting(user)) for _ in range(2))
    )

    assert {type(outcome) for outcome in outcomes} == {Membership, errors.InvitationInvalid}
    joined = [action for action, *_ in await entries(tenant, user.email) if "joined" in action]
    assert len(joined) == 1


async def test_the_limit_holds_for_those_who_are_invited_at_once(make_tenant, at_once):
    tenant = await make_tenant(modules=[])
    await lifecycle.change_tenant(tenant.slug, limits={"members": 1}, by=TESTER)

    outcomes = await at_once(invite(tenant), invite(tenant))

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Invitation", "LimitReached"]


async def test_a_link_that_is_followed_twice_at_once_makes_one_member(tenant, at_once):
    token = token_of(await invite(tenant))

    outcomes = await at_once(*(lifecycle.sign_up(token, PASSWORD, by=TESTER) for _ in range(5)))

    joined = [outcome for outcome in outcomes if isinstance(outcome, Membership)]
    refused = [outcome for outcome in outcomes if not isinstance(outcome, Membership)]
    assert len(joined) == 1
    assert all(
        isinstance(outcome, errors.AccountExists | errors.InvitationInvalid) for outcome in refused
    )
    assert await Membership.objects.filter(email=joined[0].email).acount() == 1


async def test_inviting_and_accepting_at_once_leaves_a_member_or_a_new_link(tenant, at_once):
    for _ in range(2):
        user = await make_user()
        first = await invite(tenant, user.email)

        accepted, again = await at_once(
            lifecycle.accept_invitation(token_of(first), user, by=acting(user)),
            invite(tenant, user.email),
        )

        row = await Membership.objects.aget(tenant=tenant.row, email=user.email)
        if isinstance(accepted, Membership):
            assert isinstance(again, errors.AlreadyMember)
            assert row.user_id == user.pk
        else:
            assert isinstance(accepted, errors.InvitationInvalid)
            await lifecycle.accept_invitation(token_of(again), user, by=acting(user))


# Accounts


async def test_an_account_is_found_by_its_username_before_any_address(tenant):
    email = new_email()
    by_name = await make_user(f"x{email}", username=email)
    by_address = await make_user(email.upper(), username=f"y{email}")

    assert await found(email) == by_name.username
    assert await found(email.upper()) == by_address.username
    assert await found(f"X{email}") == by_name.username
    assert await found("nobody") is None
    assert await found("") is None


async def found(name):
    account = await sync_to_async(find_account)(name)
    return account and account.username
