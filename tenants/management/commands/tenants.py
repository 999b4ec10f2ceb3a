"""Onboard tenants and see to them."""

import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tenants import lifecycle
from tenants.errors import InvalidInput
from tenants.management.command import (
    COUNT,
    SLUG,
    VerbCommand,
    argument,
    at_least_one,
    verb,
    walk,
)
from tenants.management.import_file import import_file
from tenants.management.output import FAILED
from tenants.management.transfer_file import print_lines, reading_lines, write_file
from tenants.models import Tenant, TenantStatus
from tenants.shapes import show_module, show_onboarded, show_tenant, show_usage


def limit(value: str) -> tuple[str, int]:
    """A limit's name and count, from `NAME=COUNT`."""
    name, _, count = value.partition("=")
    if not name or not count.isdecimal():
        raise ArgumentTypeError(f"{value!r} is not a limit such as members=20")
    return name, int(count)


MODULE = argument("module", metavar="MODULE", help="the module's name, as `modules` shows it")
ONLY_MODULE = argument(
    "--module", metavar="MODULE", help="this module's data; else of the only one that has a way"
)
LIMIT = argument(
    "--limit",
    action="append",
    dest="limits",
    type=limit,
    metavar="NAME=COUNT",
    help="a limit of its own, beyond those of its plan; repeatable",
)


class Command(VerbCommand):
    help = """
    Onboard tenants and see to them. A tenant is a customer with a PostgreSQL schema and role of
    its own; it is named by its slug.
    """
    examples = (
        'tenants create acme --name "Acme Inc."',
        "tenants create --help",
        "tenants list --status suspended --json",
    )

    @verb(
        argument("slug", metavar="SLUG", nargs="?", help="3 to 40 of a-z, 0-9 and inner hyphens"),
        argument("--name", help="display name"),
        argument(
            "--module",
            action="append",
            dest="modules",
            metavar="MODULE",
            help="enable this one and what it requires; repeatable; else all",
        ),
        argument("--plan", help="a name of the setting `plans`; else its first"),
        LIMIT,
        argument("--owner", metavar="EMAIL", help="invite this person as the tenant's owner"),
        argument("--from-file", type=Path, metavar="FILE", help="onboard every row of a CSV file"),
        argument("--report", type=Path, metavar="FILE", help="its report; else FILE.report.csv"),
        examples=[
            'tenants create acme --name "Acme Inc."',
            "tenants create acme --name Acme --plan pro --limit members=20 --owner ann@example.com",
            "tenants create --from-file tenants.csv",
        ],
    )
    async def create(
        self,
        slug: str | None,
        name: str | None,
        modules: Sequence[str] | None,
        plan: str | None,
        limits: Sequence[tuple[str, int]] | None,
        owner: str | None,
        from_file: Path | None,
        report: Path | None,
    ) -> None:
        """Onboard a tenant and print its first API key, or all tenants of a CSV file.

        A creation that was cut off is completed by the same command.

        The file's columns are slug and name, and if need be modules (with spaces between them),
        plan, owner_email and limit.<name>. Nothing is created unless every row is good. Run it
        again after an interruption: what is there already is left alone. The report holds the
        first API keys, so only you can read it.
        """
        if from_file is not None:
            if any((slug, name, modules, plan, limits, owner)):
                raise InvalidInput("Beside --from-file only --report and --json can be given.")
            await self._import(from_file, report or Path(f"{from_file}.report.csv"))
            return
        if slug is None or name is None:
            raise InvalidInput("Give SLUG and --name, or --from-file.")
        onboarded = await lifecycle.create_tenant(
            slug,
            name,
            modules,
            plan=plan,
            limits=dict(limits or ()),
            owner_email=owner,
            by=self.by,
        )
        self.show_facts(show_onboarded(onboarded))
        self.say("The API key is shown only now.")
        if onboarded.owner and not onboarded.owner.sent:
            self.say("No mail could be sent to the owner: pass on the link at owner.url.")

    @verb(
        argument("--status", choices=TenantStatus.values, help="only those with this status"),
        argument("--plan", help="only those with this plan"),
        argument("--search", metavar="TEXT", help="words of slug or name, or their beginnings"),
        COUNT,
        examples=["tenants list", "tenants list --search acme", "tenants list --plan pro --json"],
    )
    async def list(
        self, status: str | None, plan: str | None, search: str | None, count: int | None
    ) -> None:
        """List the tenants by slug."""

        async def list_page(after: str | None, limit: int) -> Sequence[Tenant]:
            return await lifecycle.list_tenants(
                status=status, plan=plan, search=search, after=after, limit=limit
            )

        rows = walk(list_page, lambda tenant: tenant.slug, count)
        await self.show_list(
            ["slug", "name", "status", "plan", "modules", "created_at"],
            (show_tenant(tenant) async for tenant in rows),
            'No tenants. Onboard one: manage.py tenants create acme --name "Acme Inc."',
        )

    @verb(SLUG, examples=["tenants show acme"])
    async def show(self, slug: str) -> None:
        """Show a tenant."""
        self.show_facts(show_tenant(await lifecycle.get_tenant(slug)))

    @verb(
        SLUG,
        argument("--slug", dest="new_slug", metavar="NEW", help="another slug; keys go on working"),
        argument("--name", help="another display name"),
        argument("--plan", help="another plan"),
        LIMIT,
        argument(
            "--no-limits",
            action="store_const",
            const=[],
            dest="limits",
            help="no limits of its own, only its plan's",
        ),
        examples=[
            "tenants change acme --slug acme-inc",
            "tenants change acme --plan pro --limit members=50 --limit api_keys=10",
            "tenants change acme --no-limits",
        ],
    )
    async def change(
        self,
        slug: str,
        new_slug: str | None,
        name: str | None,
        plan: str | None,
        limits: Sequence[tuple[str, int]] | None,
    ) -> None:
        """Give a tenant another slug, display name, plan or limits.

        What isn't named stays. The given limits replace all that it had of its own.
        """
        changed = await lifecycle.change_tenant(
            slug,
            new_slug=new_slug,
            name=name,
            plan=plan,
            limits=None if limits is None else dict(limits),
            by=self.by,
        )
        self.show_facts(show_tenant(changed))

    @verb(SLUG, examples=["tenants suspend acme"])
    async def suspend(self, slug: str) -> None:
        """Refuse a tenant's requests within a second; its data stays."""
        self.show_facts(show_tenant(await lifecycle.suspend_tenant(slug, by=self.by)))

    @verb(SLUG, examples=["tenants resume acme"])
    async def resume(self, slug: str) -> None:
        """Serve a suspended tenant again."""
        self.show_facts(show_tenant(await lifecycle.resume_tenant(slug, by=self.by)))

    @verb(SLUG, examples=["tenants delete acme"])
    async def delete(self, slug: str) -> None:
        """Refuse a tenant's requests for good; `erase` then removes its data."""
        self.show_facts(show_tenant(await lifecycle.delete_tenant(slug, by=self.by)))
        self.say(f"Its data is still there. To remove it: manage.py tenants erase {slug}")

    @verb(
        SLUG,
        argument("--confirm", metavar="SLUG", help="the slug again, instead of asking for it"),
        examples=["tenants erase acme", "tenants erase acme --confirm acme --json"],
    )
    async def erase(self, slug: str, confirm: str | None) -> None:
        """Remove a deleted tenant for good: data, keys, domains and members.

        Only its entries in the audit log stay.
        """
        if confirm is None:
            tenant = await lifecycle.get_tenant(slug)
            confirm = self._ask(f"All data of {tenant.name} will be gone. Type {slug} to erase it:")
        await lifecycle.erase_tenant(slug, confirm, by=self.by)
        self.show_done({"slug": slug, "erased": True}, f"Erased {slug}.")

    @verb(SLUG, MODULE, examples=["tenants enable acme notes"])
    async def enable(self, slug: str, module: str) -> None:
        """Give a tenant a module, with its tables and what it requires."""
        self.show_facts(show_tenant(await lifecycle.enable_module(slug, module, by=self.by)))

    @verb(SLUG, MODULE, examples=["tenants disable acme notes"])
    async def disable(self, slug: str, module: str) -> None:
        """Take a module's routes from a tenant; its tables and their rows stay."""
        self.show_facts(show_tenant(await lifecycle.disable_module(slug, module, by=self.by)))

    @verb(SLUG, examples=["tenants modules acme"])
    async def modules(self, slug: str) -> None:
        """List the modules, and whether the tenant has them and at which revision."""
        modules = await lifecycle.list_modules(slug)
        await self.show_list(
            ["name", "label", "enabled", "revision", "head"],
            map(show_module, modules),
            "No modules are loaded. The setting TENANTRY_MODULES names them.",
        )
        if any(module.behind for module in modules):
            self.say(f"{slug} is behind. To mend it: manage.py migrate_tenants --tenant {slug}")

    @verb(SLUG, examples=["tenants usage acme"])
    async def usage(self, slug: str) -> None:
        """Show how much a tenant holds, in bytes and by module."""
        self.show_facts(show_usage(await lifecycle.get_usage(slug)))

    @verb(
        SLUG,
        argument("folder", metavar="FOLDER", nargs="?", type=Path, help="a new folder for it"),
        examples=["tenants backup acme", "tenants backup acme /var/backups/acme"],
    )
    async def backup(self, slug: str, folder: Path | None) -> None:
        """Write all of a tenant's data into a folder.

        Keys, domains and members are not in it. Without FOLDER it is named after tenant and time.
        Needs `pg_dump`, no older than the server.
        """
        folder = folder or Path(f"{slug}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        manifest = await lifecycle.back_up_tenant(slug, folder, by=self.by)
        self.show_facts({"folder": str(folder), **manifest.model_dump()})

    @verb(
        argument("folder", metavar="FOLDER", type=Path, help="a backup"),
        argument("--slug", required=True, help="the new tenant's slug"),
        argument("--name", help="its display name; else that of the other"),
        argument("--plan", help="its plan; else that of the other"),
        examples=["tenants restore acme-20300131T120000Z --slug acme-copy"],
    )
    async def restore(self, folder: Path, slug: str, name: str | None, plan: str | None) -> None:
        """Onboard a tenant with the data of a backup, and print its first API key.

        The tenant that was backed up is not touched.
        """
        onboarded = await lifecycle.restore_tenant(folder, slug, name, plan=plan, by=self.by)
        self.show_facts(show_onboarded(onboarded))
        self.say("The API key is shown only now.")

    @verb(
        SLUG,
        argument("--output", type=Path, metavar="FILE", help="a new file for it"),
        ONLY_MODULE,
        examples=["tenants export acme > acme.jsonl", "tenants export acme --output acme.jsonl"],
        answer="what it wrote into FILE as one line of JSON; the data itself is JSON anyway",
    )
    async def export(self, slug: str, output: Path | None, module: str | None) -> None:
        """Write all that a tenant has of a module as JSON Lines.

        The tenant is served meanwhile. Without --output it goes to standard output; a file is
        readable by its owner only, and is there once it is whole.
        """
        lines = await lifecycle.export_tenant(slug, module, by=self.by)
        if output is None:
            await print_lines(lines)
            return
        size = await write_file(lines, output)
        self.show_facts({"slug": slug, "file": str(output), "bytes": size})

    @verb(
        SLUG,
        argument("file", metavar="FILE", type=Path, help="an export of this or another tenant"),
        ONLY_MODULE,
        examples=["tenants import acme globex.jsonl"],
        name="import",
    )
    async def import_(self, slug: str, file: Path, module: str | None) -> None:
        """Add what a file has of a module and the tenant has not.

        Importing again adds nothing, and goes on where it was cut off. Lines that can't be kept
        are left out; the command says why, and exits with 1 if there are any or the file was cut.
        """
        with reading_lines(file) as lines:
            report = await lifecycle.import_into_tenant(slug, lines, module, by=self.by)
        facts = {name: value for name, value in report.items() if name != "skipped_lines"}
        self.show_facts(report if self.json else facts)
        for skipped in report["skipped_lines"]:
            self.say(f"line {skipped['line']}: {skipped['reason']}")
        if report["complete"] is False:
            self.say("The file was cut, or changed: it doesn't hold what its last line counts.")
        if report["skipped"] or report["complete"] is False:
            sys.exit(FAILED)

    @verb(
        argument("--fill", type=at_least_one, metavar="N", help="have at least so many ready"),
        argument("--drop", action="store_true", help="remove them all"),
        examples=["tenants spares", "tenants spares --fill 50", "tenants spares --drop"],
    )
    async def spares(self, fill: int | None, drop: bool) -> None:
        """Count the schemas that are made ahead, make some, or remove them.

        A new tenant with all modules takes over one that is ready, in a few milliseconds. `other`
        have other modules or are of another release. A server keeps as many ready as the setting
        TENANTRY_SPARES says, which is what is wanted.
        """
        if fill is not None and drop:
            raise InvalidInput("--fill and --drop can't be given together.")
        if fill is not None:
            await lifecycle.fill_spares(fill)
        if drop:
            await lifecycle.drop_spares()
        self.show_facts(asdict(await lifecycle.get_stock()))

    def _ask(self, question: str) -> str:
        """What a person types; on standard error, since the answer's place is the other."""
        self.stderr.write(f"{question} ", style_func=str, ending="")
        self.stderr.flush()
        return sys.stdin.readline().rstrip("\n")

    async def _import(self, file: Path, report: Path) -> None:
        summary = await import_file(file, report, by=self.by)
        self.show_facts(summary)
        if summary["failed"]:
            self.say("Mend what the report says of them, and run the same command again.")
            sys.exit(FAILED)
