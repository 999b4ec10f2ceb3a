"""The pages that are not Django's own, and the words that go with those that are.

Views show and ask; what happens to members happens in `tenants.lifecycle`.
"""

from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.contrib.auth import login, views
from django.contrib.auth.decorators import login_required
from django.contrib.messages.views import SuccessMessageMixin
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from tenants import lifecycle
from tenants.accounts.forms import ResetForm, SignInForm, SignUpForm
from tenants.actor import Actor, ActorKind
from tenants.apps import get_settings
from tenants.lifecycle.invitations import expires_at, find_inviter
from tenants.lifecycle.members import find_account
from tenants.lifecycle.registry import LIVING
from tenants.models import Membership, User

_PAGE_LENGTH = 50


class SignIn(views.LoginView):
    template_name = "accounts/login.html"
    form_class = SignInForm
    extra_context = {"title": "Sign in", "button": "Sign in"}  # noqa: RUF012


class Told(SuccessMessageMixin):  # type: ignore[type-arg]  # It has some in the stubs only.
    """Success is told on the page that follows."""


class ChangePassword(Told, views.PasswordChangeView):
    template_name = "accounts/form.html"
    success_url = reverse_lazy("accounts:home")
    success_message = "Your password has been changed. Other browsers have been signed out."
    title = "Change your password"
    extra_context = {"button": "Change password"}  # noqa: RUF012


class ResetPassword(Told, views.PasswordResetView):
    template_name = "accounts/reset.html"
    form_class = ResetForm
    email_template_name = "accounts/reset_mail.txt"
    subject_template_name = "accounts/reset_mail_subject.txt"
    success_url = reverse_lazy("accounts:login")
    success_message = (
        "If there is an account with this address, a mail with a link is on its way to it."
    )
    title = "Forgotten password"
    extra_context = {"button": "Send the link"}  # noqa: RUF012


class SetPassword(Told, views.PasswordResetConfirmView):
    template_name = "accounts/set_password.html"
    success_url = reverse_lazy("accounts:login")
    success_message = "Your password has been set. Sign in with it."
    title = "Your new password"
    extra_context = {"button": "Set password"}  # noqa: RUF012


@login_required
def list_tenants(request: HttpRequest) -> HttpResponse:
    """The tenants of which the signed-in user is a member."""
    assert isinstance(request.user, User)
    memberships = (
        request.user.memberships.filter(tenant__status__in=LIVING)
        .select_related("tenant")
        .order_by("tenant__name", "tenant__slug")
    )
    page = Paginator(memberships, _PAGE_LENGTH).get_page(request.GET.get("page"))
    rows = [(membership, _host_url(membership.tenant.slug)) for membership in page]
    return render(request, "accounts/home.html", {"page": page, "rows": rows})


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def show_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Say who is invited to what; let whoever it is accept, after making an account if need be.

    Raises as `lifecycle.read_token` and what it calls do.
    """
    invited = lifecycle.read_token(token)
    user = request.user
    context: dict[str, Any] = {
        "invited": invited,
        "inviter": find_inviter(invited),
        "expires_at": expires_at(invited),
    }
    if isinstance(user, User):
        if request.method == "POST":
            by = _acting(request, str(user.pk), user.username)
            return _welcome(request, async_to_sync(lifecycle.accept_invitation)(token, user, by=by))
        context["is_mine"] = user.email.lower() == invited.email
    elif find_account(invited.email) is None:
        account = User(username=invited.email, email=invited.email)
        form = SignUpForm(account, request.POST or None, initial={"email": account.email})
        if form.is_valid():
            by = _acting(request, "", invited.email)
            member = async_to_sync(lifecycle.sign_up)(
                token, form.cleaned_data["new_password1"], by=by
            )
            login(request, member.user)
            return _welcome(request, member)
        context["form"] = form
    return render(request, "accounts/invitation.html", context)


def _welcome(request: HttpRequest, member: Membership) -> HttpResponse:
    messages.success(request, f"You are now {member.role} of {member.tenant.name}.")
    return redirect("accounts:home")


def _acting(request: HttpRequest, user_id: str, name: str) -> Actor:
    return Actor(
        ActorKind.MEMBER,
        user_id,
        name,
        address=request.META.get("REMOTE_ADDR", ""),
        request_id=request.scope["request_id"],  # type: ignore[attr-defined]  # The gateway's.
    )


def _host_url(slug: str) -> str:
    """Where the tenant's own host answers: as the service does, under the base domain."""
    public = urlsplit(get_settings().public_url)
    port = f":{public.port}" if public.port else ""
    return f"{public.scheme}://{slug}.{get_settings().base_domain}{port}"
