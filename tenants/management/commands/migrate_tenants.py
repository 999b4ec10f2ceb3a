"""Carry tenants to the heads of their modules: `rollout run` for every day."""

from argparse import ArgumentParser
from functools import partial
from typing import Any

from tenants.actor import acting_command
from tenants.management.command import EVENTS, TenantryCommand, add_json
from tenants.management.output import run
from tenants.management.rollout_run import carry
from tenants.rollouts import Options, Scope, start_rollout


class Command(TenantryCommand):
    help = """
    Carry every tenant's schema to the heads of its modules. Each tenant ends there or stays as it
    was. The command goes on past one that fails, reports each failure, and exits with 1 if there
    was any. It is short for `rollout run`, which can do it in stages.
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
        add_json(parser, EVENTS)

    def handle(self, *_args: Any, **options: Any) -> None:
        scope = Scope(options["slugs"], options["modules"])
        begin = partial(start_rollout, scope, Options(), by=acting_command())
        run(carry(begin, json=options["json"]))
