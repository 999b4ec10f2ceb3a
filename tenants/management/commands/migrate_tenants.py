"""Carry tenants to the heads of their modules."""

from argparse import ArgumentParser
from typing import Any

from tenants.management.command import TenantryCommand, add_json
from tenants.management.output import FAILED, print_json, run
from tenants.rollout import migrate_tenants


class Command(TenantryCommand):
    help = """
    Carry every tenant's schema to the heads of its modules. Each tenant ends there or stays as it
    was. The command goes on past one that fails, reports each failure, and exits with 1 if there
    was any.
    """
    examples = (
        "migrate_tenants",
        "migrate_tenants --tenant acme --tenant globex",
        "migrate_tenants --module notes --json",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--tenant", action="append", dest="slugs", metavar="SLUG", help="only this; repeatable"
        )
        parser.add_argument(
            "--module", action="append", dest="modules", help="only this; repeatable"
        )
        add_json(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        outcomes = run(migrate_tenants(options["slugs"], options["modules"]))
        failed = [outcome for outcome in outcomes if outcome.error]
        if options["json"]:
            print_json(
                [
                    {"tenant": each.slug, "revisions": each.revisions, "error": each.error}
                    for each in outcomes
                ]
            )
        else:
            for each in outcomes:
                if each.error:
                    self.stderr.write(f"{each.slug}: {each.error}")
                elif each.revisions:
                    self.stdout.write(f"{each.slug}: {', '.join(each.revisions.values())}")
            changed = sum(bool(each.revisions) for each in outcomes)
            current = len(outcomes) - changed - len(failed)
            self.stdout.write(
                f"{changed} migrated, {current} at head already, {len(failed)} failed"
            )
        if failed:
            raise SystemExit(FAILED)
