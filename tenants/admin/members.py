"""The list of tenants' members and invitations. They are changed on the tenant's page."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from tenants.admin.rows import OfTenantsAdmin, TenantFilter, match_tenants, show_time
from tenants.lifecycle.invitations import expires_at, is_expired
from tenants.models import Membership, User

MEMBER_STATES = {"active": "success", "invited": "info", "invitation expired": "warning"}


def find_member_state(member: Membership) -> tuple[str, str]:
    """Whether somebody is a member yet, and the colour that says so."""
    if member.user_id is not None:
        state = "active"
    else:
        state = "invitation expired" if is_expired(member) else "invited"
    return state, MEMBER_STATES[state]


@admin.register(Membership)
class MembershipAdmin(OfTenantsAdmin):
    list_display = ("email", "tenant_link", "role", "state", "created")
    list_filter = (TenantFilter,)
    ordering = ("-id",)
    search_fields = ("email",)
    search_help_text = "Whole e-mail address, or words of a tenant"
    sortable_by = ("created",)
    fields = ("email", "tenant_link", "role", "state", "created", "accepted", "invitation_ends")
    readonly_fields = fields

    @display(description="state", label=MEMBER_STATES)
    def state(self, member: Membership) -> str:
        return find_member_state(member)[0]

    @admin.display(description="created", ordering="id")
    def created(self, member: Membership) -> SafeString | None:
        return show_time(member.created_at)

    @admin.display(description="accepted")
    def accepted(self, member: Membership) -> SafeString | None:
        return show_time(member.accepted_at)

    @admin.display(description="invitation ends")
    def invitation_ends(self, member: Membership) -> SafeString | None:
        return show_time(expires_at(member))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Membership], search_term: str
    ) -> tuple[QuerySet[Membership], bool]:
        """By who signs in with an address: addresses that were only invited have no index."""
        if text := search_term.strip().lower():
            users = User.objects.alias(address=Lower("email")).filter(address=text)
            ids = list(users.values_list("pk", flat=True)[:1])
            queryset = queryset.filter(Q(user_id__in=ids) | Q(tenant_id__in=match_tenants(text)))
        return queryset, False
