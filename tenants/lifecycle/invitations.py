"""Invitations: a signed link in a mail, good for some days and for the newest one only."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from asgiref.sync import sync_to_async
from django.core import signing
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import timezone

from tenants import errors
from tenants.actor import Actor, ActorKind
from tenants.apps import get_settings
from tenants.models import AuditEntry, Membership

log = structlog.get_logger(__name__)

_SALT = "tenantry.invitation"
PATH = "/accounts/invitations/"
INVITED = "member.invited"


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invited member, the link that accepts, and whether a mail with it could be sent.

    url: None where it is not for whoever invites: having it passes for having the mailbox.
    """

    member: Membership
    url: str | None
    sent: bool


async def send_invitation(member: Membership, by: Actor) -> Invitation:
    """Mail the link to whoever is invited. That the mail can't be sent is no error: it is said.

    An operator gets the link as well, and may pass it on; a tenant's own member doesn't.
    """
    url = f"{get_settings().public_url}{PATH}{make_token(member)}/"
    sent = await _mail(member, url)
    return Invitation(member, None if by.kind == ActorKind.MEMBER else url, sent)


def make_token(member: Membership) -> str:
    """What a link ends with: the same one for the same invitation, however often it is made."""
    return _signer().sign_object([member.id.hex, _nonce(member)])


def read_token(token: str) -> Membership:
    """The invited membership that a link stands for, with its tenant.

    Raises InvitationInvalid (404) if it is forged, has been replaced, accepted or taken back, and
    InvitationExpired (404).
    """
    try:
        hexadecimal, nonce = _signer().unsign_object(token)
        rows = Membership.objects.select_related("tenant").filter(user=None)
        member = rows.get(id=UUID(hex=hexadecimal))
    except (signing.BadSignature, Membership.DoesNotExist, ValueError, TypeError) as error:
        raise errors.InvitationInvalid from error
    if _nonce(member) != nonce:
        raise errors.InvitationInvalid
    if is_expired(member):
        raise errors.InvitationExpired
    return member


def expires_at(member: Membership) -> datetime | None:
    """When an invitation ends, or None where there is none."""
    if member.user_id is not None or member.invited_at is None:
        return None
    return member.invited_at + timedelta(days=get_settings().invitation_days)


def is_expired(member: Membership) -> bool:
    end = expires_at(member)
    return end is not None and end <= timezone.now()


def find_inviter(member: Membership) -> str:
    """The name of the tenant's own member who sent an invitation; empty if an operator did."""
    entries = AuditEntry.objects.filter(
        tenant_id=member.tenant_id, action=INVITED, target=member.email
    )
    entry = entries.order_by("-id").first()
    return entry.actor_name if entry and entry.actor_kind == ActorKind.MEMBER else ""


def _signer() -> signing.Signer:
    return signing.Signer(salt=_SALT)


def _nonce(member: Membership) -> str:
    return member.invited_at.isoformat() if member.invited_at else ""


# A mail server may take its time, and needs no thread that holds a connection of the registry.
@sync_to_async(thread_sensitive=False)
def _mail(member: Membership, url: str) -> bool:
    context = {"member": member, "url": url, "days": get_settings().invitation_days}
    try:
        send_mail(
            f"Your invitation to {member.tenant.name}",
            render_to_string("tenants/invitation_mail.txt", context),
            None,  # The setting's.
            [member.email],
        )
    except OSError as error:  # Which SMTP's errors are.
        log.warning("invitation.not_sent", tenant=member.tenant.slug, reason=repr(error))
        return False
    return True
