"""The audit log to read, and to carry off as JSON Lines. It only ever grows: nothing is edited."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson
from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action

from tenants.actor import ActorKind
from tenants.admin.rows import RegistryAdmin, TenantFilter, show_time
from tenants.models import AuditEntry, Tenant
from tenants.shapes import show_entry

# All that is recorded; distinct ones can't be asked of a long log.
ACTIONS = (
    *("tenant.created", "tenant.changed", "tenant.suspended", "tenant.resumed"),
    *("tenant.deleted", "tenant.erased", "tenant.backed_up", "tenant.restored"),
    *("tenant.exported", "tenant.imported"),
    *("module.enabled", "module.disabled"),
    *("key.issued", "key.revoked", "domain.added", "domain.verified", "domain.removed"),
    *("member.invited", "member.joined", "member.changed", "member.removed"),
    *("rollout.started", "rollout.resumed", "rollout.cancelled"),
    *("operator.created", "operator.revoked"),
    *("user.created", "user.changed", "user.deleted"),
    *("group.created", "group.changed", "group.deleted"),
)
# Those whose details say what was before and what came after.
_CHANGES = frozenset(
    {
        *("tenant.changed", "tenant.suspended", "tenant.resumed", "tenant.deleted"),
        *("module.enabled", "module.disabled", "member.changed"),
    }
)
_BATCH = 1000


def describe_details(entry: AuditEntry) -> list[tuple[str, str, str | None]]:
    """What an entry says of each field: its value, or the value before and the one after."""
    rows: list[tuple[str, str, str | None]] = []
    for field, value in entry.details.items():
        name = field.replace("_", " ")
        if entry.action in _CHANGES and isinstance(value, list) and len(value) == 2:
            rows.append((name, _show(value[0]), _show(value[1])))
        else:
            rows.append((name, _show(value), None))
    return rows


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        value = [f"{name.replace('_', ' ')} {each}" for name, each in value.items()]
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return str(value) if value not in (None, "") else "none"


class TenantEntriesFilter(TenantFilter):
    """Entries of a tenant that is there, with all it was called, or of one that was erased."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        slug = self.value()
        return queryset if slug is None else _of_tenant(queryset, slug)


class ActionFilter(SimpleListFilter):
    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in ACTIONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action=self.value()) if self.value() else queryset


class ActorKindFilter(SimpleListFilter):
    title = "kind of actor"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind.value, kind.value) for kind in ActorKind]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(actor_kind=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditLogAdmin(RegistryAdmin):
    list_display = ("when", "action", "on", "summary", "actor")
    list_filter = (TenantEntriesFilter, ActorKindFilter, ActionFilter)
    ordering = ("-id",)
    search_fields = ("tenant_slug",)
    search_help_text = "Slug of a tenant, or id of an actor"
    sortable_by = ("when",)
    fields = (
        *("when", "action", "on", "summary"),
        *("actor", "actor_id", "address", "request_id"),
    )
    readonly_fields = fields
    actions_list = ("export",)

    @admin.display(description="at (UTC)", ordering="id")
    def when(self, entry: AuditEntry) -> SafeString | None:
        return show_time(entry.at)

    @admin.display(description="on")
    def on(self, entry: AuditEntry) -> SafeString:
        """The tenant, and the key, host, member or module of it that was meant; or a rollout."""
        tenant: str = entry.tenant_slug
        if entry.tenant_id is not None and entry.action != "tenant.erased":
            url = reverse("admin:tenants_tenant_change", args=[entry.tenant_id])
            tenant = format_html('<a class="tn-link" href="{}">{}</a>', url, tenant)
        target: str = entry.target
        if entry.action.startswith("rollout."):
            url = reverse("admin:tenants_rollout_change", args=[target.partition("_")[2]])
            target = format_html('<a class="tn-link" href="{}">{}</a>', url, target)
        return format_html('{}<span class="tn-note">{}</span>', tenant, target)

    @admin.display(description="details")
    def summary(self, entry: AuditEntry) -> SafeString:
        return format_html_join(
            "",
            '<div class="tn-detail"><span>{}</span> {}{}</div>',
            (
                (name, before, "" if after is None else format_html(" <b>→</b> {}", after))
                for name, before, after in describe_details(entry)
            ),
        )

    @admin.display(description="by")
    def actor(self, entry: AuditEntry) -> SafeString:
        return format_html('{}<span class="tn-note">{}</span>', entry.actor_name, entry.actor_kind)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """By one index or the other, never by either: a union would have to be sorted."""
        if text := search_term.strip():
            entries = _of_tenant(queryset, text)
            queryset = entries if entries.exists() else queryset.filter(actor_id=text)
        return queryset, False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, whose link to the export carries its own query."""
        answer: HttpResponse = super().changelist_view(request, extra_context)
        if isinstance(answer, TemplateResponse):
            assert answer.context_data is not None
            for link in answer.context_data["actions_list"]:
                link["path"] += f"?{request.GET.urlencode()}"
        return answer

    @action(description="Export as JSON Lines", url_path="export", icon="download")
    def export(self, request: HttpRequest) -> HttpResponseBase:
        """Every entry that the list would show with the same query, the newest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        response = StreamingHttpResponse(
            _lines(self.get_changelist_instance(request).queryset),
            content_type="application/jsonl",
        )
        response["Content-Disposition"] = 'attachment; filename="audit-log.jsonl"'
        return response


def _of_tenant(rows: QuerySet[AuditEntry], slug: str) -> QuerySet[AuditEntry]:
    tenant = Tenant.objects.filter(slug=slug).first()
    return rows.filter(tenant_id=tenant.pk) if tenant else rows.filter(tenant_slug=slug)


async def _lines(rows: QuerySet[AuditEntry]) -> AsyncIterator[bytes]:
    """A page by key at a time, so that neither memory nor a transaction grows with the log."""
    after: UUID | None = None
    while True:
        page = rows.order_by("-id") if after is None else rows.order_by("-id").filter(id__lt=after)
        entries = [entry async for entry in page[:_BATCH]]
        for entry in entries:
            yield orjson.dumps(show_entry(entry), option=orjson.OPT_APPEND_NEWLINE)
        if len(entries) < _BATCH:
            return
        after = entries[-1].pk
