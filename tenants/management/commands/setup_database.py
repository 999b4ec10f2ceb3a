"""Make the database and the three logins from one privileged URL."""

import asyncio
from argparse import ArgumentParser
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tenants.logins import generate_passwords, setup_database
from tenants.management.command import TenantryCommand, add_json
from tenants.management.output import USAGE, fail, print_json


class Command(TenantryCommand):
    help = """
    Make the database and its logins on a server of your own. Prints the settings that name the
    three logins. Run again, it sets new passwords. On PostgreSQL 15 a login with CREATEROLE, such
    as the owner login, comes close to a superuser; from 16 on it rules only over roles that it
    made.
    """
    examples = (
        "setup_database postgresql://postgres:PASSWORD@db.example.com/postgres > .env",
        "setup_database postgresql://… --database tenantry_staging --prefix staging",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("url", help="postgresql:// URL of a superuser")
        parser.add_argument("--database", default="tenantry", help="name of the database to make")
        parser.add_argument(
            "--prefix", default="tenantry", help="logins are named PREFIX_registry …"
        )
        add_json(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            make_url(options["url"])
            logins = asyncio.run(
                setup_database(
                    options["url"], options["database"], generate_passwords(), options["prefix"]
                )
            )
        except ArgumentError:
            fail("the URL is not one such as postgresql://user:password@host/postgres", USAGE)
        except (asyncpg.PostgresError, OSError) as error:
            fail(str(error))
        urls = {
            "registry_url": logins.registry_url,
            "runtime_url": logins.runtime_url,
            "owner_url": logins.owner_url,
        }
        if options["json"]:
            print_json(urls)
            return
        self.stderr.write("Made the three logins. Put these lines into .env, and keep them secret:")
        for name, url in urls.items():
            self.stdout.write(f"TENANTRY_{name.upper()}={url}")
        self.stderr.write("Then: python manage.py migrate && python manage.py serve")
