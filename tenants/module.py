"""The whole contract between the engine and a feature.

A module is a Python package with a `module.py` that holds a `Module` named `module`. It brings
routes, tables and revisions; the engine mounts the routes, makes and migrates the tables in
each tenant that has the module enabled, and refuses the routes to the others.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ninja import Router
from pydantic_settings import BaseSettings
from sqlalchemy import MetaData
from typing_extensions import TypedDict

from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.errors import ApplicationError
from tenants.tenant import TenantRef

Hook = Callable[[WriteSession], Awaitable[None]]
Count = Callable[[ReadSession], Awaitable[dict[str, int]]]


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What a module wants to do at turns in a tenant's life.

    Each gets a session inside the tenant, committed after it. A hook that raises stops the
    operation, which can be repeated; so hooks must bear being run twice.

    tenant_created: the tenant's schema is complete; it is about to become active.
    module_enabled, module_disabled: for this module, on a tenant that exists already.
    tenant_deleted: the tenant is about to be erased; for giving back what is kept elsewhere.
    """

    tenant_created: Hook | None = None
    module_enabled: Hook | None = None
    module_disabled: Hook | None = None
    tenant_deleted: Hook | None = None


@dataclass(frozen=True, kw_only=True)
class Wire:
    """An API of somebody else's shape, beside `/api/v1`, for clients that were made for theirs.

    prefix: where it is mounted, such as `openai/v1`; its document is at `<prefix>/docs`.
    router: as the module's own. statuses: what it answers instead of one of our statuses.
    render_error: body and headers for an error and the id of its request.
    """

    prefix: str
    router: Router
    render_error: Callable[[ApplicationError, str], tuple[bytes, dict[str, str]]]
    statuses: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a module does for each active tenant from time to time.

    name: lower-case identifier, unique in the module. every_seconds: its period; 0 turns it off.
    run: does it for one tenant, in sessions of its own, and returns how many things it dealt with.
    It must bear being cut off, which it is after a minute, and being run twice at once; where it
    has nothing to do it should cost one cheap query, for there may be ten thousand tenants.
    """

    name: str
    every_seconds: float
    run: Callable[[TenantRef], Awaitable[int]]


class SkippedLine(TypedDict):
    """line: of the file, counted from 1. reason: why it isn't imported."""

    line: int
    reason: str


class ImportReport(TypedDict):
    """What became of a file; beside this, whatever a module counts.

    complete: whether the file was whole, None where it doesn't say. skipped: how many lines were
    not imported, of which some are listed.
    """

    lines: int
    complete: bool | None
    skipped: int
    skipped_lines: list[SkippedLine]


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """How all that a tenant has of a module goes into a file, and comes from one.

    Neither may hold the whole file in memory, nor a transaction for as long as it takes.
    write: lines of JSON, some whole ones at a time.
    read: takes such lines one by one and adds what isn't there yet, so that doing it again is safe.
    """

    write: Callable[[TenantRef], AsyncIterator[bytes]]
    read: Callable[[TenantRef, Iterable[bytes]], Awaitable[ImportReport]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Module:
    """A feature that tenants have or have not.

    name: lower-case identifier; labels the Alembic branch and stands in settings and errors.
    label: what people read.
    router: async Ninja routes, mounted under `/api/v1`.
    metadata: the tables, without a schema.
    revisions: the folder of the module's Alembic revisions, one line from base to one head.
    settings: the module's own settings model, with the prefix `TENANTRY_<NAME>_`.
    requires: names of modules that a tenant must have for this one, and that go first.
    usage: counts what the module holds for a tenant, such as `{"notes": 3}`, for administrators.
    wires: its APIs of other shapes.
    jobs: what it does beside the requests.
    transfer: its data as a file, if it can be had as one.
    """

    name: str
    label: str
    version: str
    router: Router
    metadata: MetaData
    revisions: Path
    settings: type[BaseSettings] | None = None
    requires: tuple[str, ...] = ()
    usage: Count | None = None
    wires: tuple[Wire, ...] = ()
    jobs: tuple[Job, ...] = ()
    transfer: Transfer | None = None
    hooks: Hooks = field(default_factory=Hooks)
