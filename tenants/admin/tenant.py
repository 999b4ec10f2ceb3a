"""Tenants: the list, the page of each, and all that is done there."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from tenants import lifecycle
from tenants.admin.acting import acting, promise_once
from tenants.admin.forms import OVERLAPS, VerbForm
from tenants.admin.onboarding import check_slug, onboard
from tenants.admin.rows import RegistryAdmin, link_list, show_time
from tenants.admin.shown_once import describe_invitation, describe_key, show_once
from tenants.admin.tenant_page import gather, make_form
from tenants.admin.verbs import VERBS, Act
from tenants.apps import get_settings
from tenants.errors import ApplicationError
from tenants.lifecycle import Invitation, IssuedKey
from tenants.models import Tenant, TenantStatus

STATUS_LABELS = {
    TenantStatus.ACTIVE.value: "success",
    TenantStatus.SUSPENDED.value: "warning",
    TenantStatus.PROVISIONING.value: "info",
    TenantStatus.DELETING.value: "danger",
}


class PlanFilter(SimpleListFilter):
    title = "plan"
    parameter_name = "plan"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in get_settings().plans]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(plan=self.value()) if self.value() else queryset


@admin.register(Tenant)
class TenantAdmin(RegistryAdmin):
    list_display = ("slug", "name", "state", "plan", "shown_modules", "created")
    list_filter = ("status", PlanFilter)
    search_fields = ("slug",)
    search_help_text = "Words of slug or name"
    sortable_by = ("slug", "created")
    actions = ("suspend", "resume", "issue_key")
    actions_list = ("onboard",)
    show_add_link = False  # It says what it does, instead.

    @display(description="status", label=STATUS_LABELS)
    def state(self, tenant: Tenant) -> str:
        return tenant.status

    @admin.display(description="modules")
    def shown_modules(self, tenant: Tenant) -> str:
        return ", ".join(tenant.modules)

    @admin.display(description="created", ordering="id")
    def created(self, tenant: Tenant) -> SafeString | None:
        return show_time(tenant.created_at)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Tenant], search_term: str
    ) -> tuple[QuerySet[Tenant], bool]:
        if search_term.strip():
            queryset = lifecycle.search_tenants(queryset, search_term)
        return queryset, False

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("slug/", guard(self.slug_view), name="tenants_tenant_slug"),
            path(
                "<uuid:tenant_id>/do/<slug:verb>/", guard(self.verb_view), name="tenants_tenant_do"
            ),
            *super().get_urls(),
        ]

    # The pages. None is Django's form for a row, which is one transaction: the lifecycle makes its
    # own, and what it has written must be there for others to see before it goes on.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "add")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return onboard(request)

    @action(
        description="Onboard a tenant",
        permissions=["add"],
        url_path="onboard",
        icon="add",
        variant=ActionVariant.PRIMARY,
    )
    def onboard(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:tenants_tenant_add"))

    def slug_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return check_slug(request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        tenant = self._find(request, object_id)
        return self._show_page(request, tenant) if tenant else self._say_missing(request, object_id)

    def verb_view(self, request: HttpRequest, tenant_id: UUID, verb: str) -> HttpResponse:
        """Do what a form of the tenant's page says, and show what came of it."""
        chosen = VERBS.get(verb)
        if chosen is None:
            raise Http404
        if not request.user.has_perm(f"tenants.{chosen.permission}"):
            raise PermissionDenied
        tenant = self._find(request, str(tenant_id))
        if tenant is None:
            return self._say_missing(request, str(tenant_id))
        if request.method != "POST":  # Such as after signing in again, or by a bookmark.
            return HttpResponseRedirect(_page_of(tenant))
        form = make_form(verb, chosen.form, tenant, request.POST)
        status = 422
        if form.is_valid():
            once = promise_once(request, tenant.slug)
            act = Act(tenant.slug, form.cleaned_data, form, once, acting(request))
            try:
                outcome = async_to_sync(chosen.run)(act)
            except ApplicationError as error:
                form.blame(error)
                status = error.status
            else:
                return self._answer(request, tenant, verb, act, outcome)
        tenant = self._find(request, str(tenant_id)) or tenant  # As it is by now.
        return self._show_page(request, tenant, {verb: form}, status)

    def _answer(
        self, request: HttpRequest, tenant: Tenant, verb: str, act: Act, outcome: Any
    ) -> HttpResponse:
        page = f"{_page_of(tenant)}#{VERBS[verb].section}"
        if isinstance(outcome, IssuedKey):
            note = ""
            if verb == "rotate_key":
                hours = act.data["overlap_hours"]
                ends = OVERLAPS.get(hours, f"in {hours} hours")
                note = f"It replaces {act.data['public_id']}, which ends {ends}."
            secret = describe_key(outcome, tenant.slug, note)
            return show_once(request, "A new API key", [secret], page, tenant)
        if isinstance(outcome, Invitation):
            secret = describe_invitation(outcome)
            return show_once(request, "An invitation", [secret], page, tenant)
        self.message_user(request, f"{tenant.slug}: {VERBS[verb].done}", messages.SUCCESS)
        return HttpResponseRedirect(link_list(Tenant) if verb == "erase" else page)

    def _find(self, request: HttpRequest, object_id: str) -> Tenant | None:
        if not self.has_view_permission(request):
            raise PermissionDenied
        tenant: Tenant | None = self.get_object(request, object_id)
        return tenant

    def _say_missing(self, request: HttpRequest, object_id: str) -> HttpResponse:
        answer: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return answer

    def _show_page(
        self,
        request: HttpRequest,
        tenant: Tenant,
        sent: Mapping[str, VerbForm] | None = None,
        status: int = 200,
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            **gather(request, tenant, sent or {}),
            "title": tenant.name,
            "opts": self.opts,
            "original": tenant,
            "status_label": STATUS_LABELS[tenant.status],
        }
        return TemplateResponse(request, "admin/tenants/page.html", context, status=status)

    # Actions on several tenants of the list.

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return self.may(request, VERBS["suspend"].permission.partition("_")[0])

    def has_issue_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("tenants.add_apikey"))

    @admin.action(description="Suspend", permissions=["steer"])
    def suspend(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> None:
        self._apply(request, tenants, lifecycle.suspend_tenant, "Suspended.")

    @admin.action(description="Resume", permissions=["steer"])
    def resume(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> None:
        self._apply(request, tenants, lifecycle.resume_tenant, "Resumed.")

    @admin.action(description="Issue an API key", permissions=["issue"])
    def issue_key(self, request: HttpRequest, tenants: QuerySet[Tenant]) -> HttpResponse | None:
        secrets = []
        for tenant in tenants:
            try:
                key = async_to_sync(lifecycle.issue_key)(
                    tenant.slug,
                    "Issued in the admin",
                    once=promise_once(request, tenant.slug),
                    by=acting(request),
                )
            except ApplicationError as error:
                self.message_user(request, error.detail, messages.ERROR)
            else:
                secrets.append(describe_key(key, tenant.slug))
        if not secrets:
            return None
        return show_once(request, "New API keys", secrets, link_list(Tenant), None)

    def _apply(
        self,
        request: HttpRequest,
        tenants: QuerySet[Tenant],
        change: Callable[..., Coroutine[Any, Any, Tenant]],
        done: str,
    ) -> None:
        for tenant in tenants:
            try:
                async_to_sync(change)(tenant.slug, by=acting(request))
            except ApplicationError as error:
                self.message_user(request, error.detail, messages.ERROR)
            else:
                self.message_user(request, f"{tenant.slug}: {done}", messages.SUCCESS)


def _page_of(tenant: Tenant) -> str:
    return reverse("admin:tenants_tenant_change", args=[tenant.pk])
