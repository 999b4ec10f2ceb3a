"""What a tenant's page shows: a bounded part of everything, in a fixed number of queries."""

from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any, TypeVar

from asgiref.sync import async_to_sync
from django.contrib import admin
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import Model, QuerySet
from django.http import HttpRequest, QueryDict

from tenants import lifecycle
from tenants.admin.audit_log import describe_details
from tenants.admin.forms import (
    OVERLAPS,
    ChangeForm,
    DomainForm,
    EraseForm,
    InviteForm,
    IssueForm,
    VerbForm,
    label_limit,
)
from tenants.admin.keys import find_key_state
from tenants.admin.members import find_member_state
from tenants.admin.rows import link_list
from tenants.apps import get_settings
from tenants.errors import ApplicationError
from tenants.lifecycle import verification_record
from tenants.lifecycle.registry import LIVING
from tenants.limits import Limits, merge_limits
from tenants.models import (
    ApiKey,
    AuditEntry,
    Domain,
    Membership,
    Role,
    Rollout,
    RolloutAttempt,
    Tenant,
    TenantStatus,
)
from tenants.modules import get_module

# Rows of each kind; the list that is linked has the rest.
SHOWN = 10
RowT = TypeVar("RowT", bound=Model)
# The forms that the page has; of other verbs it has buttons only.
FORMS: dict[str, type[VerbForm]] = {
    "change": ChangeForm,
    "issue_key": IssueForm,
    "add_domain": DomainForm,
    "invite_member": InviteForm,
    "erase": EraseForm,
}


def gather(request: HttpRequest, tenant: Tenant, sent: Mapping[str, VerbForm]) -> dict[str, Any]:
    """The page's context.

    sent: by verb, a form that was refused; its page shows it as it was sent, with what is wrong.
    """
    shown = {verb: make_form(verb, form, tenant) for verb, form in FORMS.items()}
    return {
        "tenant": tenant,
        "living": tenant.status in LIVING,
        "host": f"{tenant.slug}.{get_settings().base_domain}",
        "limits": _list_limits(tenant),
        "forms": {**shown, **sent},
        "problems": [
            problem for verb, form in sent.items() for problem in _list_problems(tenant, verb, form)
        ],
        "overlaps": OVERLAPS,
        "roles": Role.choices,
        **_inspect(tenant),
        **_gather_rows(request, tenant),
        "failures": _list_failures(request, tenant),
    }


def make_form(
    verb: str, form: type[VerbForm], tenant: Tenant, data: QueryDict | None = None
) -> VerbForm:
    """A verb's form, whose fields have ids of their own on the page."""
    auto_id = f"{verb}_%s"
    if issubclass(form, ChangeForm):
        return form(data, auto_id=auto_id, tenant=tenant)
    return form(data, auto_id=auto_id)


def _list_problems(tenant: Tenant, verb: str, form: VerbForm) -> list[str]:
    """What is said above the page: all that no field on it says."""
    wanted = {TenantStatus.DELETING} if verb == "erase" else LIVING
    has_fields = verb in FORMS and tenant.status in wanted
    return [
        str(problem)
        for field, problems in form.errors.items()
        for problem in problems
        if field == NON_FIELD_ERRORS or not has_fields
    ]


def _list_limits(tenant: Tenant) -> list[dict[str, Any]]:
    plan = get_settings().plans.get(tenant.plan)
    effective = merge_limits(plan, tenant.limits)
    return [
        {
            "label": label_limit(name),
            "value": getattr(effective, name),
            "own": name in tenant.limits,
            "plan": getattr(plan, name, None),
        }
        for name in Limits.model_fields
    ]


def _inspect(tenant: Tenant) -> dict[str, Any]:
    """What the tenant's database says, or why it can't be asked."""

    async def ask() -> dict[str, Any]:
        try:
            modules = await lifecycle.list_modules(tenant.slug)
            usage = await lifecycle.get_usage(tenant.slug)
        except ApplicationError as error:
            return {"uninspected": error.detail}
        counts = [(get_module(name).label, each) for name, each in usage.counts.items()]
        return {"modules": modules, "storage_bytes": usage.storage_bytes, "counts": counts}

    return async_to_sync(ask)()


def _gather_rows(request: HttpRequest, tenant: Tenant) -> dict[str, Any]:
    """The newest rows of each kind, None where the viewer may not see that kind."""

    def newest(rows: QuerySet[RowT], describe: Callable[[RowT], Any]) -> dict[str, Any] | None:
        if not admin.site.get_model_admin(rows.model).has_view_permission(request):
            return None
        found = list(rows.filter(tenant_id=tenant.pk).order_by("-id")[: SHOWN + 1])
        more = link_list(rows.model, tenant=tenant.slug) if len(found) > SHOWN else None
        return {"rows": [(row, describe(row)) for row in found[:SHOWN]], "more": more}

    return {
        "keys": newest(ApiKey.objects.all(), find_key_state),
        "domains": newest(Domain.objects.all(), verification_record),
        "members": newest(Membership.objects.select_related("user"), find_member_state),
        "entries": newest(AuditEntry.objects.all(), describe_details),
    }


def _list_failures(request: HttpRequest, tenant: Tenant) -> list[RolloutAttempt]:
    """The newest attempts to carry the tenant, as far back as all of them have failed."""
    if not admin.site.get_model_admin(Rollout).has_view_permission(request):
        return []
    newest = RolloutAttempt.objects.filter(tenant_id=tenant.pk).order_by("-id")[:SHOWN]
    return list(takewhile(lambda attempt: not attempt.succeeded, newest))
