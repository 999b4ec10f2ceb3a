"""Issue, rotate and revoke tenants' API keys."""

from argparse import ArgumentTypeError
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from tenants import lifecycle
from tenants.keys import Scope
from tenants.management.command import (
    EXPIRES,
    KEY_COLUMNS,
    PUBLIC_ID,
    SLUG,
    VerbCommand,
    argument,
    scopes,
    verb,
    walk,
)
from tenants.shapes import show_issued, show_key


def hours(value: str) -> timedelta:
    try:
        return timedelta(hours=float(value))
    except (ValueError, OverflowError):  # The latter for a number beyond all calendars.
        raise ArgumentTypeError(f"{value!r} is not a number of hours") from None


class Command(VerbCommand):
    help = """
    Issue, rotate and revoke a tenant's API keys. A key is shown once and kept nowhere, so it is
    printed alone on standard output.
    """
    examples = (
        'keys create acme --name "Their backend"',
        "keys list acme",
        "keys rotate acme 4fT1xGm92LkQ",
    )

    @verb(
        SLUG,
        argument("--name", required=True, help="what the key is for"),
        scopes(Scope, "read and write"),
        EXPIRES,
        examples=[
            'keys create acme --name "Their backend"',
            'keys create acme --name "Reports" --scope read --expires 2030-01-31T12:00Z',
        ],
    )
    async def create(
        self, slug: str, name: str, scopes: Sequence[str] | None, expires: datetime | None
    ) -> None:
        """Issue a key; it is shown only once."""
        issued = await lifecycle.issue_key(
            slug, name, scopes or lifecycle.DEFAULT_SCOPES, expires, by=self.by
        )
        self.show_new_key(show_issued(issued))

    @verb(SLUG, examples=["keys list acme"])
    async def list(self, slug: str) -> None:
        """List a tenant's keys, the newest first."""
        rows = walk(partial(lifecycle.list_keys, slug), lambda key: key.id)
        await self.show_list(
            KEY_COLUMNS,
            (show_key(key) async for key in rows),
            f"No keys. Issue one: manage.py keys create {slug} --name NAME",
        )

    @verb(
        SLUG,
        PUBLIC_ID,
        argument(
            "--overlap-hours",
            dest="overlap",
            type=hours,
            default=lifecycle.DEFAULT_OVERLAP,
            metavar="HOURS",
            help="how long the old key goes on working: 24 if not given, at most 720",
        ),
        examples=[
            "keys rotate acme 4fT1xGm92LkQ",
            "keys rotate acme 4fT1xGm92LkQ --overlap-hours 1",
        ],
    )
    async def rotate(self, slug: str, public_id: str, overlap: timedelta) -> None:
        """Issue a key that replaces another, with its name, scopes and expiry.

        Both work for a while, so that nothing is refused while the new one is being put in place.
        """
        issued = await lifecycle.rotate_key(slug, public_id, overlap, by=self.by)
        self.show_new_key(
            show_issued(issued),
            f"The old one works for {overlap / timedelta(hours=1):g} hours at the most.",
        )

    @verb(SLUG, PUBLIC_ID, examples=["keys revoke acme 4fT1xGm92LkQ"])
    async def revoke(self, slug: str, public_id: str) -> None:
        """End a key; every process refuses it within a second."""
        key = await lifecycle.revoke_key(slug, public_id, by=self.by)
        self.show_done(show_key(key), f"Revoked {public_id}.")
