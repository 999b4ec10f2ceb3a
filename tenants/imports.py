"""Many tenants at once, from a CSV file: all rows checked first, then onboarded, some at a time.

An import can be cut off at any moment and run again: what is there already is left alone, what
is half-made is completed. Each outcome is reported as soon as it is known, for a tenant's first
API key is known only then.
"""

import asyncio
import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenants import errors, lifecycle
from tenants.actor import Actor
from tenants.db.unit_of_work import describe_error
from tenants.lifecycle.members import normalize_email
from tenants.lifecycle.states import validate_plan
from tenants.limits import Limits, parse_limits
from tenants.models import TenantStatus
from tenants.modules import with_required
from tenants.names import validate_name, validate_slug

REQUIRED = ("slug", "name")
_LIMIT = "limit."
COLUMNS = (
    *REQUIRED,
    "modules",
    "plan",
    "owner_email",
    *(_LIMIT + name for name in Limits.model_fields),
)
_THERE = (
    "was there before, {tenant.status}; if you have no key of it: "
    "manage.py keys create {tenant.slug} --name NAME"
)
# Tenants that are being made at the same time: each holds a connection of the owner login.
_CONCURRENCY = 4


@dataclass(frozen=True, slots=True)
class Row:
    """A tenant to be. options: what else `lifecycle.create_tenant` is given."""

    slug: str
    name: str
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row. kind: `created`, `exists` or `failed`.

    owner_url: the link of the first owner's invitation, if the row names one. error: why it
    isn't created, or what else there is to know.
    """

    slug: str
    kind: str
    api_key: str = ""
    owner_url: str = ""
    error: str = ""


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV file, each with at least slug and name, all of them good.

    UTF-8, with or without a byte order mark. Raises InvalidInput (422), with a line for each
    mistake in the file, and OSError if it can't be read.
    """
    mistakes: list[str] = []
    rows = []
    lines: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(header)
            for values in filter(any, reader):
                cells = _Cells(header, values)
                rows.append(cells.make_row())
                first = lines.setdefault(rows[-1].slug, reader.line_num)
                if first != reader.line_num:
                    cells.mistakes.append(f"The slug `{rows[-1].slug}` is on line {first} already.")
                mistakes += [f"{path}:{reader.line_num}: {mistake}" for mistake in cells.mistakes]
    except (csv.Error, UnicodeDecodeError) as error:
        raise errors.InvalidInput(f"{path} is not a CSV file in UTF-8: {error}") from error
    if mistakes:
        raise errors.InvalidInput("\n".join([*mistakes, "Nothing was created."]))
    return rows


async def import_rows(
    rows: Iterable[Row], report: Callable[[Outcome], object], *, by: Actor
) -> None:
    """Onboard the tenants that aren't there yet; each outcome is reported at once.

    A tenant that can't be made doesn't stop the others. Raises what `report` does, and
    DatabaseUnavailable (503), asyncpg.PostgresError or OSError where the database is to blame.
    """
    waiting = iter(rows)

    async def work() -> None:
        for row in waiting:
            report(await _import(row, by))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_CONCURRENCY):
                group.create_task(work())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures


def _check_header(header: Sequence[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in REQUIRED if name not in header]
    if unknown:
        reason = f"has an unknown column `{unknown[0]}`"
    elif missing:
        reason = f"has no column `{missing[0]}`"
    elif len(set(header)) < len(header):
        reason = "names a column twice"
    else:
        return
    raise errors.InvalidInput(f"The first line {reason}. There are: {', '.join(COLUMNS)}.")


class _Cells:
    """The cells of a row, by column, and what is wrong with them."""

    def __init__(self, header: Sequence[str], values: Sequence[str]) -> None:
        self.mistakes = ["It has more cells than the header."] if values[len(header) :] else []
        given = zip(header, (value.strip() for value in values), strict=False)
        self._cells = dict.fromkeys(COLUMNS, "") | dict(given)

    def make_row(self) -> Row:
        """Check everything as `lifecycle.create_tenant` will."""
        cells = self._cells
        modules = cells["modules"].split() or None
        limits = {
            name.removeprefix(_LIMIT): int(value) if value.isdecimal() else value
            for name, value in cells.items()
            if value and name.startswith(_LIMIT)
        }
        self._check(validate_slug, cells["slug"])
        self._check(validate_name, cells["name"])
        self._check(with_required, modules or ())
        self._check(parse_limits, limits)
        if cells["plan"]:
            self._check(validate_plan, cells["plan"])
        if cells["owner_email"]:
            self._check(normalize_email, cells["owner_email"])
        options = {
            "modules": modules,
            "plan": cells["plan"] or None,
            "limits": limits,
            "owner_email": cells["owner_email"] or None,
        }
        return Row(cells["slug"], cells["name"], options)

    def _check(self, validate: Callable[[Any], object], value: object) -> None:
        try:
            validate(value)
        except errors.InvalidInput as error:
            self.mistakes.append(str(error))


async def _import(row: Row, by: Actor) -> Outcome:
    try:
        tenant = await lifecycle.get_tenant(row.slug)
        if tenant.status != TenantStatus.PROVISIONING:
            return Outcome(row.slug, "exists", error=_THERE.format(tenant=tenant))
    except errors.TenantNotFound:
        pass
    try:
        made = await lifecycle.create_tenant(row.slug, row.name, by=by, **row.options)
    except (errors.DatabaseUnavailable, OSError):
        raise
    except Exception as error:  # Whatever one tenant or its hooks raise, the others go on.
        return Outcome(row.slug, "failed", error=describe_error(error))
    if made.owner is None:
        return Outcome(row.slug, "created", made.key.text)
    unsent = "" if made.owner.sent else "the owner got no mail; pass on the link"
    return Outcome(row.slug, "created", made.key.text, made.owner.url or "", unsent)
