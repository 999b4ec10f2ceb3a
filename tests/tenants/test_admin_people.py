"""Users and groups in the admin: edited as rows, and written to the audit log."""

import pytest
from django.contrib.auth.models import Group

from tenants.models import AuditEntry, Membership, User
from tests.tenants.admin_pages import new_slug, sign_in, words_of
from tests.tenants.people import make_user

USERS = "/admin/tenants/user/"
PASSWORD = "a-long-password-1"


@pytest.fixture
async def admin(application):
    """A superuser's browser."""
    async with await sign_in(application, is_superuser=True) as browser:
        yield browser


async def last_entry(target):
    entry = await AuditEntry.objects.filter(target=target).alatest("id")
    assert entry.actor_kind == "staff"
    assert entry.tenant_id is None
    return entry.action, entry.details


async def test_a_new_user_is_recorded(admin):
    name = new_slug()

    answer = await admin.submit(
        f"{USERS}add/",
        username=name,
        password1=PASSWORD,
        password2=PASSWORD,
        usable_password="true",
    )

    user = await User.objects.aget(username=name)
    assert answer.headers["Location"] == f"{USERS}{user.pk}/change/"
    assert await last_entry(name) == ("user.created", {})


async def test_a_change_names_the_fields_and_not_what_is_in_them(admin):
    user = await make_user()
    page = f"{USERS}{user.pk}/change/"

    await admin.submit(
        page,
        username=user.username,
        email=user.email,
        first_name="Ada",
        is_staff="on",
        is_active="on",
        date_joined_0="2026-01-01",
        date_joined_1="00:00:00",
    )

    action, details = await last_entry(user.username)
    assert action == "user.changed"
    assert set(details["fields"]) >= {"first_name", "is_staff"}
    assert "Ada" not in str(details)


async def test_a_new_password_is_recorded_and_not_kept(admin):
    user = await make_user()
    page = f"{USERS}{user.pk}/password/"

    await admin.submit(page, password1=PASSWORD, password2=PASSWORD, usable_password="true")

    await user.arefresh_from_db()
    assert user.check_password(PASSWORD)
    action, details = await last_entry(user.username)
    assert action == "user.changed"
    assert PASSWORD not in str(details)


async def test_a_deleted_user_is_recorded(admin):
    user = await make_user()

    await admin.submit(f"{USERS}{user.pk}/delete/", post="yes")

    assert not await User.objects.filter(pk=user.pk).aexists()
    assert await last_entry(user.username) == ("user.deleted", {})


async def test_a_member_cannot_be_deleted_past_the_tenants_owners(admin, tenant):
    user = await make_user()
    await Membership.objects.acreate(tenant=tenant.row, user=user, email=user.email, role="owner")
    page = f"{USERS}{user.pk}/delete/"

    assert "have permission to delete" in words_of(await admin.get(page))
    answer = await admin.submit(f"{USERS}{user.pk}/change/", page, post="yes")

    assert answer.status_code == 403
    assert await User.objects.filter(pk=user.pk).aexists()


async def test_groups_are_recorded_too(admin):
    name = new_slug()

    await admin.submit("/admin/auth/group/add/", name=name)

    group = await Group.objects.aget(name=name)
    assert await last_entry(name) == ("group.created", {})
    await admin.submit(f"/admin/auth/group/{group.pk}/change/", name=f"{name}-2")
    assert await last_entry(f"{name}-2") == ("group.changed", {"fields": ["name"]})


async def test_a_change_that_is_refused_is_not_recorded(admin):
    user = await make_user()

    await admin.submit(f"{USERS}{user.pk}/change/", username="")

    assert not await AuditEntry.objects.filter(target=user.username).aexists()
