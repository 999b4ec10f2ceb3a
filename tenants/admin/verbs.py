"""What can be done on a tenant's page: each verb a function of the lifecycle, with its form."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tenants import lifecycle
from tenants.actor import Actor
from tenants.admin.forms import (
    ChangeForm,
    DomainForm,
    EraseForm,
    InviteForm,
    IssueForm,
    KeyForm,
    MemberForm,
    ModuleForm,
    RoleForm,
    RotateForm,
    VerbForm,
)
from tenants.lifecycle import Once


@dataclass(frozen=True, slots=True)
class Act:
    """A verb that somebody has sent. data: what the form read."""

    slug: str
    data: dict[str, Any]
    form: VerbForm
    once: Once
    by: Actor


@dataclass(frozen=True, slots=True)
class Verb:
    """permission: of Django's, without the app. done: what is said when it has been done.

    section: the part of the tenant's page that shows the outcome.
    """

    permission: str
    run: Callable[[Act], Coroutine[Any, Any, Any]]
    done: str = ""
    form: type[VerbForm] = VerbForm
    section: str = "facts"


async def _change(act: Act) -> Any:
    assert isinstance(act.form, ChangeForm)
    return await lifecycle.change_tenant(act.slug, **act.form.changes(), by=act.by)


async def _suspend(act: Act) -> Any:
    return await lifecycle.suspend_tenant(act.slug, by=act.by)


async def _resume(act: Act) -> Any:
    return await lifecycle.resume_tenant(act.slug, by=act.by)


async def _delete(act: Act) -> Any:
    return await lifecycle.delete_tenant(act.slug, by=act.by)


async def _erase(act: Act) -> Any:
    return await lifecycle.erase_tenant(act.slug, act.data["confirm_slug"], by=act.by)


async def _enable_module(act: Act) -> Any:
    return await lifecycle.enable_module(act.slug, act.data["module"], by=act.by)


async def _disable_module(act: Act) -> Any:
    return await lifecycle.disable_module(act.slug, act.data["module"], by=act.by)


async def _issue_key(act: Act) -> Any:
    return await lifecycle.issue_key(
        act.slug,
        act.data["name"],
        act.data["scopes"],
        act.data["expires_at"],
        once=act.once,
        by=act.by,
    )


async def _rotate_key(act: Act) -> Any:
    overlap = timedelta(hours=act.data["overlap_hours"])
    return await lifecycle.rotate_key(
        act.slug, act.data["public_id"], overlap, once=act.once, by=act.by
    )


async def _revoke_key(act: Act) -> Any:
    return await lifecycle.revoke_key(act.slug, act.data["public_id"], by=act.by)


async def _add_domain(act: Act) -> Any:
    return await lifecycle.add_domain(act.slug, act.data["host"], by=act.by)


async def _verify_domain(act: Act) -> Any:
    return await lifecycle.verify_domain(act.slug, act.data["host"], by=act.by)


async def _remove_domain(act: Act) -> Any:
    return await lifecycle.remove_domain(act.slug, act.data["host"], by=act.by)


async def _invite_member(act: Act) -> Any:
    return await lifecycle.invite_member(act.slug, act.data["email"], act.data["role"], by=act.by)


async def _change_member(act: Act) -> Any:
    return await lifecycle.change_member(act.slug, act.data["member"], act.data["role"], by=act.by)


async def _remove_member(act: Act) -> Any:
    return await lifecycle.remove_member(act.slug, act.data["member"], by=act.by)


VERBS = {
    "change": Verb("change_tenant", _change, "Changed.", ChangeForm),
    "suspend": Verb("change_tenant", _suspend, "Suspended."),
    "resume": Verb("change_tenant", _resume, "Resumed."),
    "delete": Verb("delete_tenant", _delete, "Deleted. Its data is there until it is erased."),
    "erase": Verb("delete_tenant", _erase, "Erased for good.", EraseForm),
    "enable_module": Verb("change_tenant", _enable_module, "Enabled.", ModuleForm, "modules"),
    "disable_module": Verb("change_tenant", _disable_module, "Disabled.", ModuleForm, "modules"),
    "issue_key": Verb("add_apikey", _issue_key, form=IssueForm, section="keys"),
    "rotate_key": Verb("change_apikey", _rotate_key, form=RotateForm, section="keys"),
    "revoke_key": Verb("change_apikey", _revoke_key, "Revoked.", KeyForm, "keys"),
    "add_domain": Verb("add_domain", _add_domain, "Added. Now verify it.", DomainForm, "domains"),
    "verify_domain": Verb("change_domain", _verify_domain, "Verified.", DomainForm, "domains"),
    "remove_domain": Verb("delete_domain", _remove_domain, "Removed.", DomainForm, "domains"),
    "invite_member": Verb("add_membership", _invite_member, form=InviteForm, section="members"),
    "change_member": Verb("change_membership", _change_member, "Changed.", RoleForm, "members"),
    "remove_member": Verb("delete_membership", _remove_member, "Removed.", MemberForm, "members"),
}
