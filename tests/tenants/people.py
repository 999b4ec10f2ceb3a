"""People: users, what they are in tenants, and browsers in which they have signed in."""

import secrets
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.test import Client

from tenants.actor import Actor, ActorKind
from tenants.models import Membership, User
from tenants.testing import TestTenant

CSRF_TOKEN = "c" * 32


@dataclass(frozen=True)
class Person:
    """A user, signed in somewhere. session: what the browser's cookie holds."""

    user: User
    session: str

    @property
    def cookies(self) -> dict[str, str]:
        return {"Cookie": f"sessionid={self.session}; csrftoken={CSRF_TOKEN}"}

    @property
    def actor(self) -> Actor:
        return Actor(ActorKind.MEMBER, str(self.user.pk), self.user.username)

    def headers(self, tenant: TestTenant | None = None, **more: str) -> dict[str, str]:
        """What the browser's own script sends. more: with underscores for hyphens."""
        named = {"X-Tenant": tenant.slug} if tenant else {}
        others = {name.replace("_", "-"): value for name, value in more.items()}
        return {**self.cookies, "X-CSRFToken": CSRF_TOKEN, **named, **others}


def new_email() -> str:
    return f"p{secrets.token_hex(6)}@example.com"


@sync_to_async
def make_user(email: str | None = None, password: str | None = None, **fields: Any) -> User:
    """password: as typed; without one nobody can sign in by typing."""
    email = new_email() if email is None else email
    hashed = make_password(password)
    return User.objects.create(**{"username": email, "email": email, **fields}, password=hashed)


@sync_to_async
def begin_session(user: User) -> Person:
    """Sign a user in, as Django does, without a password."""
    browser = Client()
    browser.force_login(user)
    return Person(user, browser.cookies[settings.SESSION_COOKIE_NAME].value)


async def join(tenant: TestTenant, role: str = "member", person: Person | None = None) -> Person:
    """Make somebody a member of a tenant; a new person if none is given."""
    if person is None:
        person = await begin_session(await make_user())
    await Membership.objects.acreate(
        tenant=tenant.row, user=person.user, email=person.user.email, role=role
    )
    return person
