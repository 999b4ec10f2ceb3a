"""The forms of the admin. They read what was typed and leave judging it to the lifecycle.

So nothing is required here, and whatever is wrong is said in the words that API and command line
use, at the field that it is about.
"""

from typing import Any, ClassVar

import structlog
from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from tenants.apps import get_settings
from tenants.errors import ApplicationError, InvalidInput
from tenants.keys import Scope
from tenants.lifecycle import DEFAULT_SCOPES
from tenants.limits import Limits
from tenants.models import Role, Tenant

log = structlog.get_logger(__name__)

LIMITS_PREFIX = "limits_"
OVERLAPS = {
    0: "at once",
    1: "in an hour",
    24: "in a day",
    7 * 24: "in a week",
    30 * 24: "in 30 days",
}


class VerbForm(forms.Form):
    """What a function of the lifecycle is called with."""

    # Fields that errors are about without naming them, or that they name differently.
    at_fields: ClassVar[dict[str, str]] = {}

    def blame(self, error: ApplicationError) -> None:
        """Say what the lifecycle says, at the field it is about, else above all fields."""
        if error.status >= 500:
            log.error("request.failed", code=error.code, reason=str(error.__cause__ or error))
        named = error.errors if isinstance(error, InvalidInput) else []
        blamed = [(self._find_field(name), reason) for name, reason in named or [(error.code, "")]]
        if len(blamed) == 1 and blamed[0][0]:
            self.add_error(blamed[0][0], error.detail)
            return
        self.add_error(None, error.detail)
        for field, reason in blamed:
            if field:
                self.add_error(field, reason)

    def _find_field(self, name: str) -> str | None:
        name = self.at_fields.get(name, name.replace(".", "_"))
        return name if name in self.fields else None


class LimitsForm(VerbForm):
    """A field for each limit; an empty one leaves it to the plan."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name in Limits.model_fields:
            self.fields[LIMITS_PREFIX + name] = forms.IntegerField(
                label=label_limit(name), required=False, widget=UnfoldAdminIntegerFieldWidget()
            )

    def limit_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith(LIMITS_PREFIX)]

    def read_limits(self) -> dict[str, int]:
        values = {name: self.cleaned_data[LIMITS_PREFIX + name] for name in Limits.model_fields}
        return {name: value for name, value in values.items() if value is not None}


class ChangeForm(LimitsForm):
    """What `lifecycle.change_tenant` needs."""

    at_fields: ClassVar[dict[str, str]] = {"slug_taken": "slug"}

    name = forms.CharField(required=False, strip=False, widget=UnfoldAdminTextInputWidget())
    slug = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Hosts follow it at once; schema, role and keys stay.",
    )
    plan = forms.CharField(required=False, strip=False, widget=UnfoldAdminSelectWidget())

    def __init__(self, *args: Any, tenant: Tenant, **options: Any) -> None:
        initial = {"name": tenant.name, "slug": tenant.slug, "plan": tenant.plan}
        initial |= {LIMITS_PREFIX + name: value for name, value in tenant.limits.items()}
        super().__init__(*args, initial=initial, **options)
        self.fields["plan"].widget.choices = list_plans(tenant.plan)

    def changes(self) -> dict[str, Any]:
        """Arguments for what was changed; the rest is left as it is."""
        changed = set(self.changed_data)
        names = {"slug": "new_slug", "name": "name", "plan": "plan"}
        changes = {names[each]: self.cleaned_data[each] for each in names if each in changed}
        if changed - set(names):
            changes["limits"] = self.read_limits()
        return changes


class ModuleForm(VerbForm):
    module = forms.CharField(required=False, strip=False)


class KeyForm(VerbForm):
    public_id = forms.CharField(required=False, strip=False)


class RotateForm(KeyForm):
    overlap_hours = forms.IntegerField(
        label="The old key ends",
        initial=24,
        widget=UnfoldAdminSelectWidget(choices=list(OVERLAPS.items())),
    )


class IssueForm(VerbForm):
    """What `lifecycle.issue_key` needs."""

    name = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminTextInputWidget({"placeholder": "What the key is for"}),
    )
    scopes = forms.MultipleChoiceField(
        required=False,
        choices=[(scope.value, scope.value) for scope in Scope],
        initial=[scope.value for scope in DEFAULT_SCOPES],
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )
    expires_at = forms.DateTimeField(
        label="Expires (UTC)",
        required=False,
        widget=UnfoldAdminTextInputWidget({"type": "datetime-local"}),
        help_text="Empty for never.",
    )


class DomainForm(VerbForm):
    at_fields: ClassVar[dict[str, str]] = {"domain_taken": "host"}

    host = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminTextInputWidget({"placeholder": "chat.example.com"}),
    )


class InviteForm(VerbForm):
    """What `lifecycle.invite_member` needs."""

    at_fields: ClassVar[dict[str, str]] = {"already_member": "email"}

    email = forms.CharField(
        label="E-mail", required=False, strip=False, widget=UnfoldAdminEmailInputWidget()
    )
    role = forms.CharField(
        required=False,
        strip=False,
        initial=Role.MEMBER,
        widget=UnfoldAdminSelectWidget(choices=Role.choices),
    )


class MemberForm(VerbForm):
    member = forms.CharField(required=False, strip=False)


class RoleForm(MemberForm):
    role = forms.CharField(required=False, strip=False)


class EraseForm(VerbForm):
    at_fields: ClassVar[dict[str, str]] = {"confirmation_mismatch": "confirm_slug"}

    confirm_slug = forms.CharField(
        label="Type the slug",
        required=False,
        strip=False,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )


def list_plans(current: str = "") -> list[tuple[str, str]]:
    """The plans with what they allow, for a select.

    current: a tenant's, which is shown even if the settings have it no more.
    """
    plans = get_settings().plans
    choices = [(name, f"{name}: {describe_limits(limits)}") for name, limits in plans.items()]
    return choices if not current or current in plans else [(current, current), *choices]


def describe_limits(limits: Limits) -> str:
    """Such as "5 concurrent requests, 3 API keys"."""
    given = limits.model_dump(exclude_none=True)
    words = [
        f"{value} {_word(name).removesuffix('s') if value == 1 else _word(name)}"
        for name, value in given.items()
    ]
    return ", ".join(words) or "no limits"


def label_limit(name: str) -> str:
    word = _word(name)
    return word[0].upper() + word[1:]


def _word(limit: str) -> str:
    return limit.replace("_", " ").replace("api", "API")
