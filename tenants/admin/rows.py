"""What all lists of the registry have in common: quick however long they are, and only looked at.

Each page of a list is read through an index, and nothing is counted. So a list is searched by
what an index finds and sorted by what an index sorts.
"""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator
from unfold.views import ChangeList

from tenants import lifecycle
from tenants.models import Tenant

# How many tenants a search for something of theirs may mean.
_MATCHES = 100


class QuickList(ChangeList):
    """A list that is sorted by the columns that offer it, whatever the address says."""

    def get_ordering_field(self, field_name: str) -> Any:
        return super().get_ordering_field(field_name) if field_name in self.sortable_by else None


class QuickAdmin(ModelAdmin):
    """A list without counting: nobody means all rows, or needs to know how many there are."""

    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_disable_select_all = True
    sortable_by: ClassVar[tuple[str, ...]] = ()

    def get_changelist(self, request: HttpRequest, **options: Any) -> Any:
        return QuickList


class RegistryAdmin(QuickAdmin):
    """A list of rows that no form edits: whatever changes them is a function of the lifecycle."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def may(self, request: HttpRequest, what: str) -> bool:
        """Whether staff have a Django permission on these rows: add, change or delete."""
        codename = f"{self.opts.app_label}.{what}_{self.opts.model_name}"
        return bool(request.user.has_perm(codename))


class OfTenantsAdmin(RegistryAdmin):
    """Rows that each belong to a tenant, which the list names and links."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The tenants of a page are looked up by their ids: a join would read them all to skip
        the pages before."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.prefetch_related("tenant")

    @admin.display(description="tenant")
    def tenant_link(self, row: Any) -> SafeString:
        url = reverse("admin:tenants_tenant_change", args=[row.tenant_id])
        return format_html('<a class="tn-link" href="{}">{}</a>', url, row.tenant.slug)


class TenantFilter(SimpleListFilter):
    """Rows of one tenant, by its slug; offered on no list, but linked from the tenant's page."""

    title = "tenant"
    parameter_name = "tenant"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        slug = request.GET.get(self.parameter_name)
        return [(slug, slug)] if slug else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        slug = self.value()
        if slug is None:
            return queryset
        tenant = Tenant.objects.filter(slug=slug).first()
        return queryset.filter(tenant_id=tenant.pk) if tenant else queryset.none()


def match_tenants(text: str) -> list[UUID]:
    """Ids of the tenants that a text finds, at most a hundred.

    Found first, so that what is searched for is looked up by their ids and not joined with them.
    """
    found = lifecycle.search_tenants(Tenant.objects.order_by(), text)
    return list(found.values_list("pk", flat=True)[:_MATCHES])


def show_time(moment: datetime | None) -> SafeString | None:
    """To the minute, in UTC, as everything here."""
    if moment is None:
        return None
    return format_html(
        '<time class="tn-time" datetime="{}" title="{} UTC">{}</time>',
        moment.isoformat(),
        f"{moment:%Y-%m-%d %H:%M:%S}",
        f"{moment:%Y-%m-%d %H:%M}",
    )


def link_list(model: type[Model], **query: str) -> str:
    """The address of a model's list, filtered."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    return reverse(name, query=query or None)
