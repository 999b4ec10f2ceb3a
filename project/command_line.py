"""The way into every management command: settings and database first, mistakes in one line."""

import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command, execute_from_command_line
from django.db import DatabaseError, OperationalError, ProgrammingError
from psycopg.errors import UndefinedTable
from pydantic import ValidationError

from project.dev.database import ensure_database
from project.dev.postgres import EmbeddedPostgresError
from project.dev.settings import ENV_PREFIX

# These work without a database; the settings get a URL that leads nowhere.
_WITHOUT_DATABASE = frozenset({"help", "--help", "-h", "version", "--version", "setup_database"})
_NOWHERE = "postgresql://nobody@localhost/none"


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
            execute_from_command_line(sys.argv)
        else:
            with ensure_database(_prepare):
                execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, EmbeddedPostgresError) as error:
        _fail(str(error))
    except ValidationError as error:
        _fail("\n".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors()))
    except (OperationalError, ProgrammingError) as error:
        _fail(_explain(error), 1)
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
