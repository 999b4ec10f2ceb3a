"""The registry in Django's admin. Logic stays in `tenants.lifecycle`; no tenant's schema is opened.

Tenants and keys are not edited as rows, for each change means something: a tenant is onboarded by
its own form, suspended and resumed by actions, and erased on the command line.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import async_to_sync
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from tenants import lifecycle
from tenants.apps import get_settings
from tenants.errors import ApplicationError, InvalidInput
from tenants.models import ApiKey, Domain, Membership, Tenant, User
from tenants.modules import get_modules
from tenants.names import validate_slug

admin.site.site_header = admin.site.site_title = "Tenantry"
admin.site.index_title = "Registry"


class OnboardForm(forms.Form):
    """What `lifecycle.create_tenant` needs."""

    slug = forms.CharField(
        max_length=40, help_text="3 to 40 lower-case letters, digits and inner hyphens."
    )
    name = forms.CharField(max_length=200, help_text="The customer's name, for people.")
    modules = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, help_text="What a module requires comes with it."
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        modules = self.fields["modules"]
        assert isinstance(modules, forms.MultipleChoiceField)
        modules.choices = [(module.name, module.label) for module in get_modules()]
        modules.initial = [module.name for module in get_modules()]

    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        try:
            return validate_slug(slug)
        except InvalidInput as error:
            raise ValidationError(str(error)) from error


@admin.register(Tenant)
class TenantAdmin(admin.ModelAdmin):
    list_display = ("slug", "name", "status", "enabled_modules", "created_at")
    list_filter = ("status",)
    search_fields = ("slug", "name")
    fields = ("slug", "name", "status", "enabled_modules", "id", "schema", "created_at")
    actions = ("suspend", "resume", "issue_key")

    @admin.display(description="modules")
    def enabled_modules(self, tenant: Tenant) -> str:
        return ", ".join(tenant.modules)

    def has_change_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        return False

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The onboarding form, instead of a form for the row.

        Not through `changeform_view`: that is one transaction, and the row must be there for all
        to see before the schema is made.
        """
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = OnboardForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            data = form.cleaned_data
            try:
                tenant, key = async_to_sync(lifecycle.create_tenant)(
                    data["slug"], data["name"], data["modules"]
                )
            except ApplicationError as error:
                form.add_error("slug" if error.code == "slug_taken" else None, str(error))
            else:
                self.log_addition(request, tenant, [{"added": {}}])
                _show_key(request, tenant, key)
                return HttpResponseRedirect(
                    reverse("admin:tenants_tenant_change", args=[tenant.pk])
                )
        context = {**self.admin_site.each_context(request), "title": "Onboard a tenant"}
        return TemplateResponse(
            request,
            "admin/tenants/tenant/onboard.html",
            {**context, "form": form, "opts": self.opts},
        )

    @admin.action(description="Suspend", permissions=["add"])
    def suspend(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> None:
        self._apply(request, tenants, lifecycle.suspend_tenant, "Suspended")

    @admin.action(description="Resume", permissions=["add"])
    def resume(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> None:
        self._apply(request, tenants, lifecycle.resume_tenant, "Resumed")

    @admin.action(description="Issue an API key", permissions=["add"])
    def issue_key(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> None:
        for tenant in tenants:
            try:
                key = async_to_sync(lifecycle.issue_key)(tenant.slug, "Issued in the admin")
            except ApplicationError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self.log_change(request, tenant, f"Issued the API key {key.row.public_id}")
                _show_key(request, tenant, key)

    def _apply(
        self,
        request: HttpRequest,
        tenants: QuerySet[Tenant],
        change: Callable[[str], Awaitable[Tenant]],
        done: str,
    ) -> None:
        for tenant in tenants:
            try:
                async_to_sync(change)(tenant.slug)
            except ApplicationError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self.log_change(request, tenant, done)
                self.message_user(request, f"{done} {tenant.slug}.", messages.SUCCESS)


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    list_display = ("public_id", "tenant", "name", "scopes", "last_used_at", "revoked_at")
    list_select_related = ("tenant",)
    search_fields = ("public_id", "name", "tenant__slug")
    fields = (
        *("public_id", "tenant", "name", "scopes"),
        *("created_at", "expires_at", "last_used_at", "revoked_at"),
    )
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # A key is made by an action on its tenant, and shown there once.

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("tenants.change_apikey"))

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        for key in keys.select_related("tenant"):
            async_to_sync(lifecycle.revoke_key)(key.tenant.slug, key.public_id)
            self.log_change(request, key, "Revoked")
            self.message_user(request, f"Revoked {key.public_id}.", messages.SUCCESS)


class DomainForm(forms.ModelForm):
    def clean_host(self) -> str:
        host: str = self.cleaned_data["host"]
        base_domain = get_settings().base_domain
        if host == base_domain or host.endswith(f".{base_domain}"):
            raise ValidationError(f"Hosts under {base_domain} belong to tenants by their slug.")
        return host


@admin.register(Domain)
class DomainAdmin(admin.ModelAdmin):
    form = DomainForm
    list_display = ("host", "tenant", "created_at")
    list_select_related = ("tenant",)
    search_fields = ("host", "tenant__slug")
    autocomplete_fields = ("tenant",)


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    list_display = ("user", "tenant", "role", "created_at")
    list_select_related = ("user", "tenant")
    list_filter = ("role",)
    search_fields = ("user__username", "tenant__slug")
    autocomplete_fields = ("user", "tenant")


admin.site.register(User, UserAdmin)


def _show_key(request: HttpRequest, tenant: Tenant, key: lifecycle.IssuedKey) -> None:
    """In a message, which is shown once and then gone."""
    messages.success(
        request,
        format_html(
            "API key of {}: <code>{}</code>. Copy it: it is shown only now.", tenant.slug, key.text
        ),
    )
