"""The page that shows a secret: as the answer to the form that made it, and never again.

It is rendered in that answer, so that the secret is kept neither in the session nor in a message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse

from tenants.lifecycle import Invitation, IssuedKey
from tenants.models import Tenant

TEMPLATE = "admin/tenants/shown_once.html"


@dataclass(frozen=True, slots=True)
class Secret:
    """title: whose it is. facts: what else there is to know, as name and value."""

    title: str
    text: str
    note: str
    facts: Sequence[tuple[str, Any]] = ()


def show_once(
    request: HttpRequest, title: str, secrets: Sequence[Secret], back: str, tenant: Tenant | None
) -> TemplateResponse:
    """back: where the page leads, and what is loaded instead of it when it is loaded again."""
    context = {
        **admin.site.each_context(request),
        "title": title,
        "secrets": secrets,
        "back": back,
        "opts": Tenant._meta,
        "original": tenant,
    }
    return TemplateResponse(request, TEMPLATE, context)


def describe_key(key: IssuedKey, slug: str, note: str = "") -> Secret:
    row = key.row
    facts = [
        ("Name", row.name),
        ("Scopes", ", ".join(row.scopes)),
        ("Public id", row.public_id),
        ("Expires", row.expires_at or "never"),
    ]
    return Secret(f"API key of {slug}", key.text, note, facts)


def describe_invitation(invitation: Invitation) -> Secret:
    member = invitation.member
    assert invitation.url is not None  # Staff get it.
    note = (
        f"It was mailed to {member.email}."
        if invitation.sent
        else f"The mail to {member.email} could not be sent. Pass the link on yourself."
    )
    facts = [("E-mail", member.email), ("Role", member.get_role_display())]
    return Secret(f"Invitation to {member.tenant.slug}", invitation.url, note, facts)
