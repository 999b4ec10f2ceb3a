"""The files of a module's revisions, as one line from base to head, and what they say of themselves.

Besides what Alembic reads, a revision may say how it has to be run:

    online = True           # It runs Python against rows, so it can't be rendered as SQL.
    transactional = False   # Such as CREATE INDEX CONCURRENTLY, which can't be in a transaction.
"""

from enum import StrEnum
from functools import cache
from pathlib import Path

from alembic.script import Script, ScriptDirectory

from tenants.errors import UnknownRevision
from tenants.module import Module
from tenants.modules import get_modules

# Alembic's env.py and the template of new revisions, for all modules.
ENVIRONMENT = Path(__file__).resolve().parent.parent.parent / "alembic"
# What a revision that isn't transactional writes for the tenant's schema, before each table: no
# search path can be set for it, since a pooler may send each statement over another connection.
SCHEMA = "tenant_schema"


class Kind(StrEnum):
    """How a revision runs: as rendered SQL, as Python, or outside a transaction."""

    SQL = "sql"
    PYTHON = "python"
    OUTSIDE = "outside"


def get_head(module: Module) -> str | None:
    """The newest revision of a module, or None while it has none."""
    return _script_directory(module).get_current_head()


@cache
def list_line(module: Module) -> tuple[Script, ...]:
    """A module's revisions from the first to the newest."""
    return tuple(reversed(list(_script_directory(module).walk_revisions())))


def find_position(module: Module, revision: str | None) -> int:
    """How many revisions lead to this one; 0 for None, the empty schema.

    Raises UnknownRevision (422).
    """
    if revision is None:
        return 0
    for number, script in enumerate(list_line(module), start=1):
        if script.revision == revision:
            return number
    raise UnknownRevision(module.name, revision)


def find_module_of_revision(revision: str) -> Module | None:
    """The module that a revision belongs to."""
    for module in get_modules():
        if any(script.revision == revision for script in list_line(module)):
            return module
    return None


def kind_of(script: Script) -> Kind:
    if not getattr(script.module, "transactional", True):
        return Kind.OUTSIDE
    return Kind.PYTHON if getattr(script.module, "online", False) else Kind.SQL


@cache
def _script_directory(module: Module) -> ScriptDirectory:
    return ScriptDirectory(str(module.revisions), version_locations=[str(module.revisions)])
