"""Modules that live for one test: a folder of revisions, and what a test gives them besides."""

from pathlib import Path

from ninja import Router
from sqlalchemy import MetaData

from tenants.db.base import create_metadata
from tenants.module import Job, Module, Transfer, Wire

_REVISION = '''
"""{revision}"""

import sqlalchemy as sa

from alembic import op

revision = {revision!r}
down_revision = {parent!r}
branch_labels = {labels!r}
depends_on = {depends_on!r}


{marks}

def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    {downgrade}
'''


def write_revision(
    folder: Path,
    revision: str,
    upgrade: str = "pass",
    *,
    downgrade: str = "pass",
    parent: str | None = None,
    label: str | None = None,
    depends_on: str | None = None,
    marks: str = "",
) -> None:
    """Write a revision whose `upgrade` is these lines. marks: what it says of itself."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{revision}.py").write_text(
        _REVISION.format(
            revision=revision,
            parent=parent,
            labels=(label,) if label else None,
            depends_on=depends_on,
            marks=marks,
            upgrade=upgrade.replace("\n", "\n    "),
            downgrade=downgrade.replace("\n", "\n    "),
        )
    )


def make_module(
    folder: Path,
    name: str,
    *upgrades: str | dict[str, str],
    router: Router | None = None,
    metadata: MetaData | None = None,
    requires: tuple[str, ...] = (),
    wires: tuple[Wire, ...] = (),
    jobs: tuple[Job, ...] = (),
    transfer: Transfer | None = None,
) -> Module:
    """A module whose revisions `<name>_0001` … do these upgrades.

    An upgrade is its lines, or a dictionary of arguments for `write_revision`.
    """
    revisions = folder / name
    revisions.mkdir(parents=True, exist_ok=True)
    for position, upgrade in enumerate(upgrades):
        write_revision(
            revisions,
            f"{name}_{position + 1:04d}",
            **(upgrade if isinstance(upgrade, dict) else {"upgrade": upgrade}),
            parent=f"{name}_{position:04d}" if position else None,
            label=None if position else name,
        )
    return Module(
        name=name,
        label=name.title(),
        version="1",
        router=router or Router(),
        metadata=metadata if metadata is not None else create_metadata(),
        revisions=revisions,
        requires=requires,
        wires=wires,
        jobs=jobs,
        transfer=transfer,
    )
