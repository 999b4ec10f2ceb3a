"""Onboard tenants and see to them."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from tenants import lifecycle
from tenants.management.output import print_json, print_table, run
from tenants.models import Tenant, TenantStatus


class Command(BaseCommand):
    help = "Onboard tenants and see to them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

        def add(verb: str, text: str, *, slug: bool = True) -> ArgumentParser:
            sub = verbs.add_parser(verb, help=text, description=text)
            if slug:
                sub.add_argument("slug")
            sub.add_argument("--json", action="store_true", help="print one line of JSON")
            return sub

        create = add("create", "Onboard a tenant and print its first API key.")
        create.add_argument("--name", required=True, help="display name")
        create.add_argument(
            "--module",
            action="append",
            dest="modules",
            help="enable this one; repeatable; else all",
        )
        listing = add("list", "List the tenants.", slug=False)
        listing.add_argument(
            "--status", choices=TenantStatus.values, help="only those with this status"
        )
        add("show", "Show a tenant.")
        rename = add("rename", "Give a tenant another slug or display name.")
        rename.add_argument("--slug", dest="new_slug", help="new slug")
        rename.add_argument("--name", help="new display name")
        add("suspend", "Refuse a tenant's requests; its data stays.")
        add("resume", "Serve a suspended tenant again.")
        delete = add("delete", "Refuse a tenant's requests for good; --erase removes its data.")
        delete.add_argument(
            "--erase", action="store_true", help="remove schema, role and keys, once deleted"
        )
        delete.add_argument("--confirm", metavar="SLUG", help="the slug again, instead of asking")
        for verb, text in (
            ("enable", "Give a tenant a module."),
            ("disable", "Take a module from a tenant; its tables stay."),
        ):
            add(verb, text).add_argument("module")

    def handle(self, *_args: Any, **options: Any) -> None:
        getattr(self, options["verb"])(options)

    def create(self, options: dict[str, Any]) -> None:
        tenant, key = run(
            lifecycle.create_tenant(options["slug"], options["name"], options["modules"])
        )
        if options["json"]:
            print_json({**describe(tenant), "api_key": key.text})
            return
        self._show(tenant)
        self.stdout.write(f"api_key  {key.text}\nThe key is shown only now.")

    def list(self, options: dict[str, Any]) -> None:
        rows = Tenant.objects.order_by("slug")
        if options["status"]:
            rows = rows.filter(status=options["status"])
        if options["json"]:
            print_json([describe(tenant) for tenant in rows])
            return
        print_table(
            ["slug", "name", "status", "modules", "created"],
            (
                (row.slug, row.name, row.status, ", ".join(row.modules), f"{row.created_at:%F %R}")
                for row in rows
            ),
        )

    def show(self, options: dict[str, Any]) -> None:
        self._answer(run(lifecycle.get_tenant(options["slug"])), options)

    def rename(self, options: dict[str, Any]) -> None:
        self._answer(
            run(
                lifecycle.rename_tenant(
                    options["slug"], new_slug=options["new_slug"], name=options["name"]
                )
            ),
            options,
        )

    def suspend(self, options: dict[str, Any]) -> None:
        self._answer(run(lifecycle.suspend_tenant(options["slug"])), options)

    def resume(self, options: dict[str, Any]) -> None:
        self._answer(run(lifecycle.resume_tenant(options["slug"])), options)

    def enable(self, options: dict[str, Any]) -> None:
        self._answer(run(lifecycle.enable_module(options["slug"], options["module"])), options)

    def disable(self, options: dict[str, Any]) -> None:
        self._answer(run(lifecycle.disable_module(options["slug"], options["module"])), options)

    def delete(self, options: dict[str, Any]) -> None:
        slug = options["slug"]
        if not options["erase"]:
            self._answer(run(lifecycle.delete_tenant(slug)), options)
            return
        run(lifecycle.erase_tenant(slug, options["confirm"] or self._ask(slug)))
        if options["json"]:
            print_json({"slug": slug, "erased": True})
        else:
            self.stdout.write(f"Erased {slug}.")

    def _ask(self, slug: str) -> str:
        """What a person types; on standard error, since the answer's place is the other."""
        self.stderr.write(f"Type {slug} to erase its data for good: ", ending="")
        self.stderr.flush()
        return sys.stdin.readline().rstrip("\n")

    def _answer(self, tenant: Tenant, options: dict[str, Any]) -> None:
        if options["json"]:
            print_json(describe(tenant))
        else:
            self._show(tenant)

    def _show(self, tenant: Tenant) -> None:
        for name, value in describe(tenant).items():
            shown = ", ".join(value) if isinstance(value, list) else value
            self.stdout.write(f"{name:8} {shown}")


def describe(tenant: Tenant) -> dict[str, Any]:
    return {
        "id": str(tenant.id),
        "slug": tenant.slug,
        "name": tenant.name,
        "status": str(tenant.status),
        "schema": tenant.schema,
        "modules": list(tenant.modules),
        "created_at": tenant.created_at,
    }
