"""Lists of keys: those of tenants, and those of operators, which are made on the command line."""

from datetime import timedelta
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display

from tenants import lifecycle
from tenants.admin.acting import acting
from tenants.admin.rows import (
    OfTenantsAdmin,
    RegistryAdmin,
    TenantFilter,
    match_tenants,
    show_time,
)
from tenants.errors import ApplicationError
from tenants.models import ApiKey, OperatorKey
from tenants.models.keys import Key

# A key that ends within this time is worth a look.
_SOON = timedelta(days=7)
KEY_STATES = {"active": "success", "expiring": "warning", "expired": "", "revoked": "danger"}


def find_key_state(key: Key) -> tuple[str, str]:
    """What a key is at this moment, and the colour that says so."""
    now = timezone.now()
    if key.revoked_at is not None:
        state = "revoked"
    elif key.expires_at is None or key.expires_at > now + _SOON:
        state = "active"
    else:
        state = "expiring" if key.expires_at > now else "expired"
    return state, KEY_STATES[state]


class KeyAdmin(RegistryAdmin):
    """What both lists have: the key's state and times, and an action that ends it."""

    actions = ("revoke",)
    ordering = ("-id",)

    @display(description="state", label=KEY_STATES)
    def state(self, key: Key) -> str:
        return find_key_state(key)[0]

    @admin.display(description="scopes")
    def shown_scopes(self, key: Key) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="last used")
    def last_used(self, key: Key) -> str:
        return show_time(key.last_used_at) or "never"

    @admin.display(description="expires")
    def expires(self, key: Key) -> str:
        return show_time(key.expires_at) or "never"

    @admin.display(description="revoked")
    def revoked(self, key: Key) -> str:
        return show_time(key.revoked_at) or "no"

    @admin.display(description="created", ordering="id")
    def created(self, key: Key) -> SafeString | None:
        return show_time(key.created_at)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "change")

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[Any]) -> None:
        for key in keys:
            try:
                self.end(request, key)
            except ApplicationError as error:
                self.message_user(request, error.detail, messages.ERROR)
            else:
                self.message_user(request, f"Revoked {key.public_id}.", messages.SUCCESS)

    def end(self, request: HttpRequest, key: Any) -> None:
        raise NotImplementedError


@admin.register(ApiKey)
class ApiKeyAdmin(OfTenantsAdmin, KeyAdmin):
    list_display = (
        *("public_id", "tenant_link", "name", "state"),
        *("shown_scopes", "last_used", "expires", "created"),
    )
    list_filter = (TenantFilter,)
    search_fields = ("public_id",)
    search_help_text = "Public id, or words of a tenant"
    sortable_by = ("created",)
    fields = (
        *("public_id", "tenant_link", "name", "state"),
        *("shown_scopes", "created", "expires", "last_used", "revoked"),
    )
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ApiKey], search_term: str
    ) -> tuple[QuerySet[ApiKey], bool]:
        if text := search_term.strip():
            queryset = queryset.filter(Q(public_id=text) | Q(tenant_id__in=match_tenants(text)))
        return queryset, False

    def end(self, request: HttpRequest, key: ApiKey) -> None:
        async_to_sync(lifecycle.revoke_key)(key.tenant.slug, key.public_id, by=acting(request))


@admin.register(OperatorKey)
class OperatorKeyAdmin(KeyAdmin):
    list_display = (
        *("public_id", "name", "state"),
        *("shown_scopes", "last_used", "expires", "created"),
    )
    search_fields = ("public_id",)
    search_help_text = "Public id"
    sortable_by = ("created",)
    fields = list_display
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OperatorKey], search_term: str
    ) -> tuple[QuerySet[OperatorKey], bool]:
        text = search_term.strip()
        return (queryset.filter(public_id=text) if text else queryset), False

    def end(self, request: HttpRequest, key: OperatorKey) -> None:
        async_to_sync(lifecycle.revoke_operator)(key.public_id, by=acting(request))
