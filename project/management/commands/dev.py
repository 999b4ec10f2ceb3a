"""Everything for a developer's machine: database, registry, demo tenant, server."""

import os
import secrets
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from project.dev.database import Credentials
from project.dev.demo import SLUG, ensure_demo, ensure_operator
from project.dev.settings import ENV_PREFIX
from project.server import PortTaken, open_socket, serve, worker_count
from tenants.actor import acting_command
from tenants.management.output import fail, print_json, run
from tenants.models import User
from tenants.rollouts import Event, Options, Scope, Tried, plan_rollout, start_rollout

ADMIN_USER = "admin"


class Command(BaseCommand):
    help = (
        "Start the embedded PostgreSQL, prepare the registry, onboard a demo tenant and serve. "
        "The data stays in the data folder."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
        parser.add_argument(
            "--data-dir", help="folder of the embedded PostgreSQL; .tenantry if not given"
        )
        parser.add_argument("--no-demo", action="store_true", help="without the demo tenant")
        parser.add_argument("--workers", type=worker_count, default=1, help="number of processes")
        parser.add_argument(
            "--json", action="store_true", help="print one line of JSON once it serves"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            listener = open_socket("127.0.0.1", options["port"])
        except PortTaken as error:
            fail(str(error))
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        credentials = Credentials(settings.TENANTRY.data_dir)
        _publish(base_url, credentials)
        call_command("migrate", verbosity=0)
        self._migrate()
        password = _ensure_admin(credentials)
        api_key = None if options["no_demo"] else ensure_demo(credentials)
        facts = {
            "base_url": base_url,
            "tenant": None if options["no_demo"] else SLUG,
            "api_key": api_key,
            "operator_key": ensure_operator(credentials),
            "admin_url": f"{base_url}/admin/",
            "admin_user": ADMIN_USER,
            "admin_password": password,
            **{
                name: getattr(settings.TENANTRY, name).get_secret_value()
                for name in ("registry_url", "runtime_url", "owner_url")
            },
        }

        def announce() -> None:
            if options["json"]:
                print_json(facts)
            else:
                self.stdout.write(_banner(facts))
            self.stdout.flush()

        # Nobody balances load here, so there is no drain to wait for.
        relaxed = settings.TENANTRY.model_copy(update={"drain_delay_seconds": 0.0})
        raise SystemExit(serve(listener, relaxed, options["workers"], announce))

    def _migrate(self) -> None:
        """Carry the tenants to their heads; one that fails keeps the others from nothing."""

        def warn(event: Event) -> None:
            if isinstance(event, Tried) and event.attempt.error:
                attempt = event.attempt
                self.stderr.write(f"warning: {attempt.name} was not migrated: {attempt.error}")

        if not run(plan_rollout(Scope())).behind:
            return
        patience = settings.TENANTRY.rollout_lease_seconds + 1  # One that was killed seems to run.
        run(start_rollout(Scope(), Options(), warn, by=acting_command(), patience=patience))


def _publish(base_url: str, credentials: Credentials) -> None:
    """Let links in mails lead here, also those of other commands, unless a setting speaks."""
    known, given = credentials.read().get("public_url"), settings.TENANTRY.model_fields_set
    if "public_url" not in given or settings.TENANTRY.public_url == known:
        # Workers read the environment, other commands what is kept in the data folder.
        os.environ[f"{ENV_PREFIX}PUBLIC_URL"] = settings.TENANTRY.public_url = base_url
        credentials.write(public_url=base_url)


def _ensure_admin(credentials: Credentials) -> str:
    """Have a superuser whose password is the one kept in the data folder."""
    password = credentials.read().get("admin_password") or secrets.token_urlsafe(12)
    user, created = User.objects.get_or_create(
        username=ADMIN_USER, defaults={"is_staff": True, "is_superuser": True}
    )
    if created or "admin_password" not in credentials.read():
        user.set_password(password)
        user.save(update_fields=["password"])
        credentials.write(admin_password=password)
    return password


def _banner(facts: dict[str, Any]) -> str:
    lines = [
        "",
        f"Tenantry serves at   {facts['base_url']}",
        f"API docs             {facts['base_url']}/api/docs",
        f"Management API docs  {facts['base_url']}/api/admin/docs",
        f"Admin                {facts['admin_url']}",
        f"  user               {facts['admin_user']}",
        f"  password           {facts['admin_password']}",
        f"Members sign in at   {facts['base_url']}/accounts/",
        f"Operator's key       {facts['operator_key']}",
    ]
    if facts["api_key"]:
        lines += [
            f"API key of `{facts['tenant']}`    {facts['api_key']}",
            "",
            "Try it:",
            f"  curl -s -H 'Authorization: Bearer {facts['api_key']}' "
            f"{facts['base_url']}/api/v1/conversations",
        ]
    else:
        lines += ["", "Onboard a tenant:  python manage.py tenants create acme --name 'Acme'"]
    return "\n".join([*lines, "", "Ctrl-C stops everything."])
