"""A module's Alembic revisions: rendered once, replayed in any tenant's schema.

Running Alembic's operations for each tenant spends milliseconds in Python to produce the same
SQL each time. So the SQL from one revision to another is rendered once per process, and carried
to a tenant as one message in one transaction, together with its stamps.

A module's revisions are one line, labelled with its name. Each schema has its own
`alembic_version`, with a row per module; the table `tenantry.tenant_stamps` of the same database
holds the same for all tenants, so that one query shows the fleet. Both are written in the
transaction of the change itself.
"""

from tenants.revisions.replay import (
    execute_script,
    make_ordinary,
    migrate_schema,
    run_segments,
)
from tenants.revisions.scripts import (
    ENVIRONMENT,
    SCHEMA,
    Kind,
    find_module_of_revision,
    get_head,
    list_line,
)
from tenants.revisions.segments import Segment, plan_segments
from tenants.revisions.stamps import (
    VERSION_TABLE,
    ensure_fleet_tables,
    lock_key,
    read_stamps,
    stamp_script,
)

__all__ = [
    "ENVIRONMENT",
    "SCHEMA",
    "VERSION_TABLE",
    "Kind",
    "Segment",
    "ensure_fleet_tables",
    "execute_script",
    "find_module_of_revision",
    "get_head",
    "list_line",
    "lock_key",
    "make_ordinary",
    "migrate_schema",
    "plan_segments",
    "read_stamps",
    "run_segments",
    "stamp_script",
]
