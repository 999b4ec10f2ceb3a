"""People who may sign in to a tenant."""

from functools import partial

from tenants import lifecycle
from tenants.management.command import SLUG, VerbCommand, argument, verb, walk
from tenants.models import Role
from tenants.shapes import show_invitation, show_member

ROLES = ", ".join(Role.values)
MEMBER = argument("member", metavar="MEMBER", help="e-mail address, or id as `list` shows it")


class Command(VerbCommand):
    help = """
    Invite people into a tenant, and say what they may do there. Whoever is invited gets a link
    by mail, and becomes a member by following it.
    """
    examples = (
        "members invite acme ann@example.com --role owner",
        "members list acme",
        "members change acme ann@example.com --role viewer",
    )

    @verb(
        SLUG,
        argument("email", metavar="EMAIL", help="the person's e-mail address"),
        argument("--role", default=Role.MEMBER.value, help=f"{ROLES}; member if not given"),
        examples=[
            "members invite acme ann@example.com",
            "members invite acme bo@example.com --role admin",
        ],
    )
    async def invite(self, slug: str, email: str, role: str) -> None:
        """Invite somebody, and show the link that was mailed.

        Inviting them again sends a new link and ends the old one.
        """
        invitation = await lifecycle.invite_member(slug, email, role, by=self.by)
        self.show_facts(show_invitation(invitation))
        if not invitation.sent:
            self.say("No mail could be sent: pass on the link at url.")

    @verb(SLUG, examples=["members list acme"])
    async def list(self, slug: str) -> None:
        """List a tenant's members and those invited, the earliest first."""
        rows = walk(partial(lifecycle.list_members, slug), lambda member: member.id)
        await self.show_list(
            ["id", "email", "role", "status", "accepted_at", "invitation_expires_at"],
            (show_member(member) async for member in rows),
            f"No members. Invite one: manage.py members invite {slug} EMAIL --role owner",
        )

    @verb(
        SLUG,
        MEMBER,
        argument("--role", required=True, help=f"what they may do from now on: {ROLES}"),
        examples=["members change acme ann@example.com --role viewer"],
    )
    async def change(self, slug: str, member: str, role: str) -> None:
        """Give a member, or somebody invited, another role."""
        self.show_facts(show_member(await lifecycle.change_member(slug, member, role, by=self.by)))

    @verb(SLUG, MEMBER, examples=["members remove acme ann@example.com"])
    async def remove(self, slug: str, member: str) -> None:
        """End a membership, or take back an invitation."""
        await lifecycle.remove_member(slug, member, by=self.by)
        self.show_done({"member": member, "removed": True}, f"Removed {member}.")
