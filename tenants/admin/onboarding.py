"""Onboarding in a browser: a form, and the answer to a slug as it is typed."""

from typing import Any, ClassVar

from asgiref.sync import async_to_sync
from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse, reverse_lazy
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from tenants import lifecycle
from tenants.admin.acting import acting, promise_once
from tenants.admin.forms import LimitsForm, list_plans
from tenants.admin.shown_once import describe_invitation, describe_key, show_once
from tenants.apps import get_settings
from tenants.errors import ApplicationError, SlugTaken
from tenants.models import Tenant, TenantStatus
from tenants.modules import get_modules
from tenants.names import validate_slug

TEMPLATE = "admin/tenants/onboard.html"


class OnboardForm(LimitsForm):
    """What `lifecycle.create_tenant` needs."""

    at_fields: ClassVar[dict[str, str]] = {
        "slug_taken": "slug",
        "creation_in_progress": "slug",
        "email": "owner_email",
    }

    name = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminTextInputWidget({"autofocus": ""}),
        help_text="The customer's name, for people.",
    )
    slug = forms.CharField(
        required=False,
        strip=False,
        # What the script that checks it as it is typed asks.
        widget=UnfoldAdminTextInputWidget(
            {
                "data-check": reverse_lazy("admin:tenants_tenant_slug"),
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
            }
        ),
        help_text="3 to 40 lower-case letters, digits and inner hyphens. It may change later.",
    )
    modules = forms.MultipleChoiceField(
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="What a module requires comes with it.",
    )
    plan = forms.CharField(required=False, strip=False, widget=UnfoldAdminSelectWidget())
    owner_email = forms.CharField(
        label="First owner's e-mail",
        required=False,
        strip=False,
        widget=UnfoldAdminEmailInputWidget(),
        help_text="Gets an invitation. Empty to invite nobody yet.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        modules, plan = self.fields["modules"], self.fields["plan"]
        assert isinstance(modules, forms.MultipleChoiceField)
        modules.choices = [(module.name, module.label) for module in get_modules()]
        modules.initial = [module.name for module in get_modules()]
        plan.widget.choices = list_plans()


def onboard(request: HttpRequest) -> HttpResponse:
    """The form; once it was sent and was good, the page with what is shown only then."""
    form = OnboardForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        once = promise_once(request, data["slug"])
        try:
            onboarded = async_to_sync(lifecycle.create_tenant)(
                data["slug"],
                data["name"],
                data["modules"],
                plan=data["plan"],
                limits=form.read_limits(),
                owner_email=data["owner_email"] or None,
                once=once,
                by=acting(request),
            )
        except ApplicationError as error:
            form.blame(error)
            status = error.status
        else:
            return _show(request, onboarded)
    context = {
        **admin.site.each_context(request),
        "title": "Onboard a tenant",
        "form": form,
        "opts": Tenant._meta,
        "base_domain": get_settings().base_domain,
    }
    return TemplateResponse(request, TEMPLATE, context, status=status)


def check_slug(request: HttpRequest) -> JsonResponse:
    """Whether a tenant could be onboarded with a slug, in the words that onboarding would use."""
    slug = request.GET.get("slug", "")
    try:
        validate_slug(slug)
        # One whose creation was cut off is completed by onboarding it again.
        if Tenant.objects.filter(slug=slug).exclude(status=TenantStatus.PROVISIONING).exists():
            raise SlugTaken(slug)
    except ApplicationError as error:
        return JsonResponse({"free": False, "detail": error.detail})
    return JsonResponse({"free": True, "detail": f"The slug `{slug}` is free."})


def _show(request: HttpRequest, onboarded: lifecycle.Onboarded) -> HttpResponse:
    tenant = onboarded.tenant
    secrets = [describe_key(onboarded.key, tenant.slug)]
    if onboarded.owner is not None:
        secrets.append(describe_invitation(onboarded.owner))
    back = reverse("admin:tenants_tenant_change", args=[tenant.pk])
    return show_once(request, f"{tenant.name} is onboarded", secrets, back, tenant)
