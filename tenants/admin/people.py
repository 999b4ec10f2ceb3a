"""Users and groups: the rows that staff edit as rows. What they do to them is in the audit log."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.utils.decorators import method_decorator
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from tenants import audit
from tenants.admin.acting import acting
from tenants.admin.rows import QuickAdmin
from tenants.models import User

# It deletes rows one by one, apart from what is recorded of them.
admin.site.disable_action("delete_selected")
admin.site.unregister(Group)


class RecordedAdmin(ModelAdmin):
    """Writes to the audit log what Django would write to a log of its own.

    In the transaction of the change, which is that of Django's form.
    """

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """The fields, by name; what was in them, which may be a password, is not kept."""
        return form.changed_data

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "created")

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "changed", fields=list(message))

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for obj in queryset:
            self._record(request, obj, "deleted")

    def _record(self, request: HttpRequest, obj: Any, verb: str, **details: Any) -> None:
        audit.record(acting(request), f"{self.opts.model_name}.{verb}", None, str(obj), **details)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, RecordedAdmin, QuickAdmin):
    """People of the installation and members of tenants.

    Somebody who is a member can't be deleted here, for that must not leave a tenant without an
    owner: Django refuses, since nobody may delete memberships as rows.
    """

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_staff", "is_active", "last_login")
    list_filter = ()
    search_help_text = "Beginning of a username or an e-mail address"
    sortable_by = ("username",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        if text := search_term.strip().lower():
            lowered = queryset.alias(name=Lower("username"), mail=Lower("email"))
            queryset = lowered.filter(Q(name__startswith=text) | Q(mail__startswith=text))
        return queryset, False

    @method_decorator(transaction.atomic)
    def user_change_password(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        """In one transaction with its entry, as Django's other forms are by themselves."""
        return super().user_change_password(request, *args, **options)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, RecordedAdmin):
    """What members of staff may do, by their tasks."""
