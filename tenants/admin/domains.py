"""The list of tenants' own host names. They are added and verified on the tenant's page."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from tenants.admin.rows import OfTenantsAdmin, TenantFilter, match_tenants, show_time
from tenants.lifecycle import verification_record
from tenants.models import Domain


@admin.register(Domain)
class DomainAdmin(OfTenantsAdmin):
    list_display = ("host", "tenant_link", "state", "verified", "created")
    list_filter = (TenantFilter,)
    ordering = ("-id",)
    search_fields = ("host",)
    search_help_text = "Whole host name, or words of a tenant"
    sortable_by = ("created",)
    fields = ("host", "tenant_link", "state", "record", "verified", "created")
    readonly_fields = fields

    @display(description="state", label={"verified": "success", "unverified": "warning"})
    def state(self, domain: Domain) -> str:
        return "verified" if domain.verified_at else "unverified"

    @admin.display(description="TXT record")
    def record(self, domain: Domain) -> str:
        name, value = verification_record(domain)
        return f'{name}  "{value}"'

    @admin.display(description="verified")
    def verified(self, domain: Domain) -> str:
        return show_time(domain.verified_at) or "not yet"

    @admin.display(description="created", ordering="id")
    def created(self, domain: Domain) -> SafeString | None:
        return show_time(domain.created_at)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Domain], search_term: str
    ) -> tuple[QuerySet[Domain], bool]:
        if text := search_term.strip().lower():
            queryset = queryset.filter(Q(host=text) | Q(tenant_id__in=match_tenants(text)))
        return queryset, False
