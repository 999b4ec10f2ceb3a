"""Carrying the fleet in a browser: who is behind, and how they are to be carried."""

from functools import partial
from typing import Any

from asgiref.sync import async_to_sync
from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from tenants.admin.acting import acting
from tenants.admin.forms import VerbForm
from tenants.apps import get_settings
from tenants.errors import ApplicationError
from tenants.models import Rollout, RolloutStatus
from tenants.rollouts import Options, Scope, carry_in_background, plan_rollout, start_rollout
from tenants.shapes import show_plan

TEMPLATE = "admin/tenants/rollout_form.html"
# Of those who are behind; a count says how many more there are.
_NAMED = 20
_USUAL = Options()


class CarryForm(VerbForm):
    """What `tenants.rollouts.start_rollout` needs. An empty field is left as it usually is."""

    canary = forms.CharField(
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget({"placeholder": "none", "autocomplete": "off"}),
    )
    pause = forms.BooleanField(
        label="Pause after the canary",
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text="Look at it, then resume on the rollout's page.",
    )
    concurrency = forms.IntegerField(
        label="At the same time",
        required=False,
        initial=_USUAL.concurrency,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="As many connections of the owner login.",
    )
    max_failures = forms.CharField(
        label="Stop at failures",
        required=False,
        initial=_USUAL.max_failures,
        widget=UnfoldAdminTextInputWidget(),
        help_text="A number of tenants, or a part of them such as 5%.",
    )
    lock_timeout_ms = forms.IntegerField(
        label="Lock timeout in ms",
        required=False,
        initial=_USUAL.lock_timeout_ms,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="A tenant's requests wait as long at the most; then it is tried again later.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        groups = ", ".join(get_settings().canary_groups)
        named = f", or a group of the settings: {groups}" if groups else ""
        self.fields["canary"].help_text = f"So many tenants go first{named}."

    def read_options(self) -> Options:
        """Raises InvalidInput (422)."""
        given = {
            name: value for name, value in self.cleaned_data.items() if value not in (None, "")
        }
        if given.get("canary", "").isdecimal():
            given["canary"] = int(given["canary"])
        return Options(**given)


def carry_fleet(request: HttpRequest) -> HttpResponse:
    """The form below who is behind; once it was sent and was good, the way to the rollout."""
    form = CarryForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            rollout = _start(request, form)
        except ApplicationError as error:
            form.blame(error)
            status = error.status
        else:
            return HttpResponseRedirect(reverse("admin:tenants_rollout_change", args=[rollout.pk]))
    context = {
        **admin.site.each_context(request),
        "title": "Carry the fleet",
        "form": form,
        "opts": Rollout._meta,
        "running": Rollout.objects.filter(status=RolloutStatus.RUNNING).first(),
        **_describe_plan(),
    }
    return TemplateResponse(request, TEMPLATE, context, status=status)


def _start(request: HttpRequest, form: CarryForm) -> Rollout:
    conduct = partial(start_rollout, Scope(), form.read_options(), by=acting(request))
    return async_to_sync(carry_in_background)(conduct)


def _describe_plan() -> dict[str, Any]:
    """Who is behind, or why that can't be told."""
    try:
        plan = async_to_sync(plan_rollout)(Scope())
    except ApplicationError as error:
        return {"unplanned": error.detail}
    shown = show_plan(plan)
    return {
        "plan": shown,
        "names": shown["names"][:_NAMED],
        "more": max(shown["behind"] - _NAMED, 0),
        "strays": shown["strays"][:_NAMED],
        "more_strays": max(shown["stray"] - _NAMED, 0),
    }
