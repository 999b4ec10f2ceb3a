"""The admin's first page: what needs somebody, what was done last, where to go."""

from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin
from django.http import HttpRequest

from tenants.admin.audit_log import describe_details
from tenants.admin.rollout_page import Progress
from tenants.admin.rows import link_list
from tenants.models import AuditEntry, Rollout, RolloutStatus, Tenant, TenantStatus
from tenants.rollouts import list_rollouts

admin.site.index_title = "Dashboard"
admin.site.index_template = "admin/tenants/dashboard.html"
admin.site.login_template = "admin/tenants/sign_in.html"

_SHOWN_TENANTS = 5
_SHOWN_ENTRIES = 12
# Why a tenant in such a state wants to be looked at.
_WAITING = {
    TenantStatus.PROVISIONING: "Their creation was cut off. Onboard them again to complete it.",
    TenantStatus.SUSPENDED: "Their requests are refused until they are resumed.",
    TenantStatus.DELETING: "Their data is there until somebody erases it.",
}
# A rollout that is over, or that somebody has given up, is nothing to look at.
_OVER = frozenset({RolloutStatus.COMPLETED, RolloutStatus.CANCELLED})


def add_overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the page shows beside the navigation; the theme's settings name this function."""
    if admin.site.get_model_admin(Tenant).has_view_permission(request):
        context["waiting"] = [_list_tenants(status, why) for status, why in _WAITING.items()]
        context["newest"] = list(Tenant.objects.order_by("-id")[:_SHOWN_TENANTS])
    if admin.site.get_model_admin(Rollout).has_view_permission(request):
        newest = async_to_sync(list_rollouts)(limit=1)
        context["rollouts"] = [Progress(each) for each in newest if each.status not in _OVER]
    if admin.site.get_model_admin(AuditEntry).has_view_permission(request):
        entries = AuditEntry.objects.order_by("-id")[:_SHOWN_ENTRIES]
        context["entries"] = [(entry, describe_details(entry)) for entry in entries]
    return context


def _list_tenants(status: TenantStatus, why: str) -> dict[str, Any]:
    rows = list(Tenant.objects.filter(status=status).order_by("slug")[: _SHOWN_TENANTS + 1])
    return {
        "status": status,
        "why": why,
        "tenants": rows[:_SHOWN_TENANTS],
        "more": len(rows) > _SHOWN_TENANTS,
        "link": link_list(Tenant, status__exact=status.value),
    }
