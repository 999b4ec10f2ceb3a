"""A tenant's members: invited, taken in, given another role, removed."""

from dataclasses import replace

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from tenants import audit, errors
from tenants.actor import Actor
from tenants.ids import find_id
from tenants.lifecycle.invitations import INVITED, Invitation, read_token, send_invitation
from tenants.lifecycle.registry import LIVING, check_limit, find_tenant, in_registry
from tenants.models import Membership, Role, Tenant, User
from tenants.models.members import EMAIL_LENGTH

MEMBER_PREFIX = "mem"


async def invite_member(slug: str, email: str, role: str, *, by: Actor) -> Invitation:
    """Invite somebody into a tenant, by a link that is mailed to them.

    Inviting them again sends a new link and ends the old one.
    Raises TenantNotFound (404), InvalidInput (422), AlreadyMember, WrongState, LimitReached (409),
    OwnerRequired (403) where a member who is no owner invites one.
    """
    member = await _invite(slug, normalize_email(email), validate_role(role), by)
    return await send_invitation(member, by)


@in_registry
def change_member(slug: str, member: str, role: str, *, by: Actor) -> Membership:
    """Give a member, or somebody invited, another role; it counts from their next request on.

    member: its id, `mem_…`, or the e-mail address.
    Raises TenantNotFound, MemberNotFound (404), InvalidInput (422), LastOwner, WrongState (409),
    OwnerRequired (403).
    """
    role = validate_role(role)
    tenant = find_tenant(slug, LIVING, lock=True)
    row = _find(tenant, member)
    if row.role != role:
        _guard_owners(tenant, row, role, by)
        audit.record(by, "member.changed", tenant, row.email, role=[row.role, role])
        row.role = role
        row.save(update_fields=["role"])
    return row


@in_registry
def remove_member(slug: str, member: str, *, by: Actor) -> None:
    """End a membership, or take back an invitation; it counts from their next request on.

    Raises TenantNotFound, MemberNotFound (404), LastOwner (409), OwnerRequired (403).
    """
    tenant = find_tenant(slug, lock=True)
    row = _find(tenant, member)
    _guard_owners(tenant, row, None, by)
    audit.record(by, "member.removed", tenant, row.email, role=row.role)
    row.delete()


@in_registry
def accept_invitation(token: str, user: User, *, by: Actor) -> Membership:
    """Make the user a member. The user's address must be the invited one.

    Raises InvitationInvalid, InvitationExpired (404), WrongState (409).
    """
    return _accept(token, user, by)


@in_registry
def sign_up(token: str, password: str, *, by: Actor) -> Membership:
    """Make a user for an invitation's address, and make it a member.

    by: without an id; it is the new user.
    Raises InvalidInput (422) for a password that the settings refuse, and as
    `accept_invitation` does; AccountExists (409) if there is such a user already.
    """
    email = read_token(token).email
    user = User(username=email, email=email)
    try:
        validate_password(password, user)
    except ValidationError as error:
        reasons = [("password", reason) for reason in error.messages]
        raise errors.InvalidInput(" ".join(error.messages), errors=reasons) from error
    user.set_password(password)
    try:
        user.save()
    except IntegrityError as error:
        raise errors.AccountExists from error
    by = replace(by, id=str(user.pk))
    audit.record(by, "user.created", None, email)
    return _accept(token, user, by)


def find_account(name: str) -> User | None:
    """The user with this username, or else with this e-mail address; None if there is none."""
    rows = User.objects.alias(address=Lower("email"))
    found = list(rows.filter(Q(username=name) | Q(address=name.lower()) & ~Q(email="")))
    return next((user for user in found if user.username == name), found[0] if found else None)


def normalize_email(email: str) -> str:
    """The address in lower case. Raises InvalidInput (422)."""
    email = email.strip().lower()
    try:
        validate_email(email)
        if len(email) > EMAIL_LENGTH:
            raise ValidationError("")
        # As it goes into a mail: Django lets more pass than can be sent.
        local, _, domain = email.rpartition("@")
        local.encode("ascii")
        domain.encode("idna")
    except (ValidationError, UnicodeError) as error:
        reason = f"must be an e-mail address of up to {EMAIL_LENGTH} characters"
        raise errors.InvalidInput(f"The email {reason}.", errors=[("email", reason)]) from error
    return email


def validate_role(role: str) -> str:
    """The role as given. Raises InvalidInput (422)."""
    if role not in Role.values:
        reason = f"must be one of {', '.join(Role.values)}"
        raise errors.InvalidInput(f"The role {reason}.", errors=[("role", reason)])
    return role


def add_invited(tenant: Tenant, email: str, role: str, by: Actor) -> Membership:
    """Make or renew the row of an invitation, in the open transaction of the registry."""
    row = tenant.memberships.filter(email=email).first()
    if row is not None and row.user_id is not None:
        raise errors.AlreadyMember(email)
    if row is None:
        check_limit(tenant, "members", tenant.memberships.all())
        row = Membership(tenant=tenant, email=email)
    _require_owner(by, row.role, role)
    row.role, row.invited_at = role, timezone.now()
    row.save()
    audit.record(by, INVITED, tenant, email, role=role)
    return row


@in_registry
def _invite(slug: str, email: str, role: str, by: Actor) -> Membership:
    tenant = find_tenant(slug, LIVING, lock=True)
    if tenant.memberships.filter(user__email__iexact=email).exists():
        raise errors.AlreadyMember(email)
    return add_invited(tenant, email, role, by)


def _accept(token: str, user: User, by: Actor) -> Membership:
    tenant = find_tenant(read_token(token).tenant.slug, LIVING, lock=True)
    row = read_token(token)  # Once more, as every change to members locks the tenant.
    if user.email.lower() != row.email:
        raise errors.InvitationInvalid("This invitation is for another e-mail address.")
    if tenant.memberships.filter(user=user).exists():
        raise errors.AlreadyMember(row.email)
    row.user, row.accepted_at = user, timezone.now()
    row.save(update_fields=["user", "accepted_at"])
    audit.record(by, "member.joined", tenant, row.email, role=row.role)
    return row


def _find(tenant: Tenant, reference: str) -> Membership:
    key = find_id(MEMBER_PREFIX, reference)
    rows = tenant.memberships.select_related("user")
    row = rows.filter(pk=key).first() if key else rows.filter(email=reference.lower()).first()
    if row is None:
        raise errors.MemberNotFound(reference)
    return row


def _guard_owners(tenant: Tenant, row: Membership, role: str | None, by: Actor) -> None:
    """Keep owners in the hands of owners, and keep at least one."""
    _require_owner(by, row.role, role)
    if row.role == Role.OWNER and row.user_id is not None:
        others = tenant.memberships.filter(role=Role.OWNER, user__isnull=False).exclude(pk=row.pk)
        if not others.exists():
            raise errors.LastOwner


def _require_owner(by: Actor, *roles: str | None) -> None:
    """A member who is no owner can make none and unmake none; operators can."""
    if by.role not in {None, Role.OWNER} and Role.OWNER in roles:
        raise errors.OwnerRequired
