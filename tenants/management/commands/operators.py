"""Issue and revoke operators' keys, the way into the management API."""

from collections.abc import Sequence
from datetime import datetime

from tenants import lifecycle
from tenants.keys import OperatorScope
from tenants.management.command import (
    EXPIRES,
    KEY_COLUMNS,
    PUBLIC_ID,
    VerbCommand,
    argument,
    scopes,
    verb,
)
from tenants.shapes import show_issued, show_key


class Command(VerbCommand):
    help = """
    Issue and revoke keys to the management API. Such a key opens every tenant: give each program
    one of its own, with no more scopes than it needs.
    """
    examples = ('operators create "Billing" --scope read', "operators list")

    @verb(
        argument("name", metavar="NAME", help="who or what the key is for"),
        scopes(OperatorScope, "all"),
        EXPIRES,
        examples=[
            'operators create "Billing" --scope read',
            'operators create "Onboarding" --scope read --scope write --expires 2030-01-31',
        ],
    )
    async def create(
        self, name: str, scopes: Sequence[str] | None, expires: datetime | None
    ) -> None:
        """Issue an operator's key; it is shown only once."""
        issued = await lifecycle.create_operator(
            name, scopes or tuple(OperatorScope), expires, by=self.by
        )
        self.show_new_key(show_issued(issued))

    @verb(examples=["operators list"])
    async def list(self) -> None:
        """List the operators' keys, the newest first."""
        await self.show_list(
            KEY_COLUMNS,
            map(show_key, await lifecycle.list_operators()),
            "No operators. Issue a key: manage.py operators create NAME",
        )

    @verb(PUBLIC_ID, examples=["operators revoke 4fT1xGm92LkQ"])
    async def revoke(self, public_id: str) -> None:
        """End an operator's key; every process refuses it within a second."""
        key = await lifecycle.revoke_operator(public_id, by=self.by)
        self.show_done(show_key(key), f"Revoked {public_id}.")
