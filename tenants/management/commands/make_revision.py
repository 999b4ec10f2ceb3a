"""Write a module's next Alembic revision by comparing its models with its revisions."""

import secrets
from argparse import ArgumentParser, Namespace
from typing import Any
from uuid import UUID

from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from alembic import command
from tenants import schemas
from tenants.lifecycle import owner_connection
from tenants.management.command import TenantryCommand, add_json
from tenants.management.output import fail, print_json, run
from tenants.module import Module
from tenants.modules import get_module
from tenants.revisions import ENVIRONMENT, ensure_fleet_tables, get_head, migrate_schema
from tenants.tenant import TenantRef


class Command(TenantryCommand):
    help = """
    Write a module's next revision. It holds the difference between the module's models and what
    its revisions make. Read it before you keep it: a column that was renamed looks like one
    dropped and another added.
    """
    examples = (
        'make_revision notes -m "add an author"',
        'make_revision notes -m "fill in authors" --empty',
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("module", help="name of the module")
        parser.add_argument("-m", "--message", required=True, help="what the revision does")
        parser.add_argument(
            "--empty", action="store_true", help="without comparing, for SQL by hand"
        )
        add_json(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        path = run(make_revision(options["module"], options["message"], empty=options["empty"]))
        if options["json"]:
            print_json({"path": path})
        else:
            self.stdout.write(f"{path}\nRead it before you keep it.")


async def make_revision(name: str, message: str, *, empty: bool) -> str:
    """Write the file and return its path.

    The revisions are replayed in a scratch schema, which is rolled back afterwards; nothing of
    it is ever committed. Raises InvalidInput (422) for an unknown module.
    """
    module = get_module(name)
    scratch = TenantRef(UUID(bytes=secrets.token_bytes(16)), "scratch", frozenset({name}))
    async with owner_connection() as connection:
        await ensure_fleet_tables(connection)
        await schemas.create_schema(connection, scratch)
        await migrate_schema(connection, scratch, [module])
        return await connection.run_sync(_write, module, scratch, message, empty)


def _write(
    connection: Connection, module: Module, scratch: TenantRef, message: str, empty: bool
) -> str:
    head = get_head(module)
    last = head.rpartition("_")[2] if head else "0"
    config = Config(cmd_opts=Namespace(quiet=True))  # The command says itself what it wrote.
    # Config reads its values as a ConfigParser does, where a percent sign must be doubled.
    config.set_main_option("script_location", str(ENVIRONMENT).replace("%", "%%"))
    config.set_main_option("version_locations", str(module.revisions).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes.update(connection=connection, tenant=scratch, module=module)
    try:
        script = command.revision(
            config,
            message=message,
            autogenerate=not empty,
            head=f"{module.name}@head" if head else "base",
            branch_label=None if head else module.name,
            version_path=str(module.revisions),
            # A module that doesn't number its revisions gets Alembic's own names.
            rev_id=f"{module.name}_{int(last) + 1:04d}" if last.isdigit() else None,
        )
    except CommandError as error:
        fail(str(error))
    assert script is not None
    assert not isinstance(script, list)
    return str(script.path)
