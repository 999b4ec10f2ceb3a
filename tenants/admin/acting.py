"""Who acts in the admin, and what tells a form that was sent twice from two forms."""

import hashlib

from django.http import HttpRequest

from tenants.actor import Actor, ActorKind
from tenants.lifecycle import Once
from tenants.models import User


def acting(request: HttpRequest) -> Actor:
    """The member of staff who sends a request."""
    user = request.user
    assert isinstance(user, User)
    return Actor(
        ActorKind.STAFF,
        str(user.pk),
        user.username,
        address=request.META.get("REMOTE_ADDR", ""),
        request_id=request.scope["request_id"],  # type: ignore[attr-defined]  # Of an ASGI request.
    )


def promise_once(request: HttpRequest, slug: str) -> Once:
    """Let a page that is loaded again, and so sends its form again, get the key that was made.

    Such a form is the same to the letter. A form that is filled in again is not, even with the
    same words: it carries the CSRF token of its page, which Django masks anew each time. Those
    random bits are also what keeps a reader of the stored sessions from deriving the key.
    """
    secret = request.session.session_key
    assert secret is not None
    sent = hashlib.sha256(request.POST.urlencode().encode()).hexdigest()
    return Once.of(secret.encode(), f"{request.path} {slug} {sent}", {})
