"""The way into every management command: settings and database first, mistakes in one line."""

import os
import shutil
import sys
import textwrap

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import (
    ManagementUtility,
    call_command,
    get_commands,
    load_command_class,
)
from django.db import DatabaseError, OperationalError, ProgrammingError
from psycopg.errors import UndefinedTable
from pydantic import ValidationError

from project.dev.database import ensure_database
from project.dev.postgres import EmbeddedPostgresError
from project.dev.settings import ENV_PREFIX

# These work without a database; the settings get a URL that leads nowhere.
_WITHOUT_DATABASE = frozenset({"help", "--help", "-h", "version", "--version", "setup_database"})
_NOWHERE = "postgresql://nobody@localhost/none"

# What the overview shows, in the order in which people come to need it.
_GROUPS = {
    "Run it": ["dev", "setup_database", "migrate", "createsuperuser", "serve"],
    "Tenants": ["tenants", "domains"],
    "People and keys": ["keys", "members", "operators"],
    "Migrations": ["make_revision", "rollout", "migrate_tenants"],
    "Look after it": ["doctor", "audit", "run_jobs"],
}
# Django's commands, which don't say what they are for here.
_DJANGO = {
    "migrate": "Bring the registry's tables up to date.",
    "createsuperuser": "Make a user for the admin.",
}


class CommandLine(ManagementUtility):
    """Django's way into the commands, with an overview that begins with our own."""

    def main_help_text(self, commands_only: bool = False) -> str:
        if commands_only:
            return super().main_help_text(commands_only=True)
        width = min(shutil.get_terminal_size().columns, 100) - 2
        lines = [f"usage: {self.prog_name} COMMAND [VERB] [--json] …"]
        for group, names in _GROUPS.items():
            lines += ["", group]
            for name in names:
                text = f"  {name:16} {_DJANGO.get(name) or _summarize(name)}"
                lines.append(textwrap.fill(text, width, subsequent_indent=" " * 19))
        return "\n".join(
            [
                *lines,
                "",
                f"What a command does, with examples:  {self.prog_name} help tenants",
                f"What one of its verbs takes:         {self.prog_name} tenants create --help",
                f"All commands, Django's too:          {self.prog_name} help --commands",
            ]
        )


def main() -> None:
    """Run the command in `sys.argv`.

    Exits with 2 and one line per mistake in the settings, with 1 and a line if the registry
    can't be used.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    _take_data_dir(sys.argv)
    try:
        if command in _WITHOUT_DATABASE or {"-h", "--help"} & set(sys.argv):
            lead_nowhere()
            CommandLine(sys.argv).execute()
        else:
            with ensure_database(_prepare):
                CommandLine(sys.argv).execute()
        sys.stdout.flush()
    except (ImproperlyConfigured, EmbeddedPostgresError) as error:
        _fail(str(error))
    except ValidationError as error:
        _fail("\n".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors()))
    except (OperationalError, ProgrammingError) as error:
        _fail(_explain(error), 1)
    except BrokenPipeError:
        # Whoever read our output has gone; what is left of it is flushed into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def lead_nowhere() -> None:
    """Let the settings load where no database is wanted."""
    for login in ("REGISTRY", "RUNTIME", "OWNER"):
        os.environ.setdefault(f"{ENV_PREFIX}{login}_URL", _NOWHERE)


def _take_data_dir(arguments: list[str]) -> None:
    """`dev --data-dir X` is a setting: the embedded server is started before options are read."""
    for position, argument in enumerate(arguments):
        if argument == "--data-dir" and position + 1 < len(arguments):
            os.environ[f"{ENV_PREFIX}DATA_DIR"] = arguments[position + 1]
        elif argument.startswith("--data-dir="):
            os.environ[f"{ENV_PREFIX}DATA_DIR"] = argument.partition("=")[2]


def _summarize(name: str) -> str:
    """The first sentence of a command's help."""
    text = " ".join(load_command_class(get_commands()[name], name).help.split())
    return f"{text.partition('. ')[0].rstrip('.')}."


def _prepare() -> None:
    django.setup()
    call_command("migrate", verbosity=0)


def _explain(error: DatabaseError) -> str:
    reason = str(error).partition("\n")[0]
    if isinstance(error.__cause__, UndefinedTable):
        return f"the registry is not prepared ({reason}); run `manage.py migrate`"
    return f"the registry can't be used: {reason}"


def _fail(message: str, code: int = 2) -> None:
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)  # noqa: T201  # There is no logging yet.
    sys.exit(code)
