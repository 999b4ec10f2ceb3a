"""Issue and revoke API keys."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from tenants import lifecycle
from tenants.keys import Scope
from tenants.management.output import print_json, print_table, run
from tenants.models import ApiKey


def moment(value: str) -> datetime:
    """A time in ISO 8601; without a zone it is UTC."""
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise ArgumentTypeError(f"{value!r} is not a time such as 2030-01-31T12:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = "Issue and revoke a tenant's API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb, text in (
            ("create", "Issue a key; it is shown only once."),
            ("list", "List a tenant's keys."),
            ("revoke", "End a key; every process refuses it within a second."),
        ):
            sub = verbs.add_parser(verb, help=text, description=text)
            sub.add_argument("slug", help="the tenant's slug")
            if verb == "create":
                sub.add_argument("--name", required=True, help="what the key is for")
                sub.add_argument(
                    "--scope",
                    action="append",
                    dest="scopes",
                    choices=[scope.value for scope in Scope],
                    help="repeatable; read and write if not given",
                )
                sub.add_argument("--expires", type=moment, help="time of expiry, ISO 8601")
            if verb == "revoke":
                sub.add_argument("public_id", help="the key's public id, as `list` shows it")
            sub.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        getattr(self, options["verb"])(options)

    def create(self, options: dict[str, Any]) -> None:
        issued = run(
            lifecycle.issue_key(
                options["slug"],
                options["name"],
                options["scopes"] or lifecycle.DEFAULT_SCOPES,
                options["expires"],
            )
        )
        if options["json"]:
            print_json({**describe(issued.row), "api_key": issued.text})
        else:
            self.stdout.write(issued.text)
            self.stderr.write("The key is shown only now.")

    def list(self, options: dict[str, Any]) -> None:
        tenant = run(lifecycle.get_tenant(options["slug"]))
        keys = [describe(key) for key in tenant.api_keys.all()]
        if options["json"]:
            print_json(keys)
        elif keys:
            rows = [
                [", ".join(v) if isinstance(v, list) else v for v in key.values()] for key in keys
            ]
            print_table(list(keys[0]), rows)

    def revoke(self, options: dict[str, Any]) -> None:
        key = run(lifecycle.revoke_key(options["slug"], options["public_id"]))
        if options["json"]:
            print_json(describe(key))
        else:
            self.stdout.write(f"Revoked {key.public_id}.")


def describe(key: ApiKey) -> dict[str, Any]:
    return {
        "public_id": key.public_id,
        "name": key.name,
        "scopes": list(key.scopes),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }
