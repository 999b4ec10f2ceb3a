"""The page about revisions: its blocks are linted and carried, in order, to tenants with rows."""

import re

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from project.dev.settings import ROOT
from tenants.apps import get_settings
from tenants.db.engine import create_owner_engine
from tenants.lifecycle import owner_connection
from tenants.linting import lint_module
from tenants.linting.advice import INSTEAD, OWN
from tenants.revisions import get_head, migrate_schema, plan_segments
from tenants.rollouts.replay import Replayer
from tenants.rollouts.wire import Wire
from tests.tenants.structure import read_structure
from tests.tenants.throwaway import make_module

PAGE = (ROOT / "docs" / "revisions.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
# What `make_revision` writes around them.
REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "notes_{number:04d}"
down_revision = {parent!r}
branch_labels = {labels!r}
depends_on = None

{block}

def downgrade() -> None:
    pass
"""


@pytest.fixture
def notes(tmp_path):
    """The module whose revisions are the page's blocks."""
    (tmp_path / "notes").mkdir()
    for number, block in enumerate(BLOCKS, start=1):
        (tmp_path / "notes" / f"notes_{number:04d}.py").write_text(
            REVISION.format(
                number=number,
                parent=f"notes_{number - 1:04d}" if number > 1 else None,
                labels=None if number > 1 else ("notes",),
                block=block,
            )
        )
    return make_module(tmp_path, "notes")


@pytest.fixture
async def replayer(application):
    settings = get_settings()
    wire, engine = Wire(settings), create_owner_engine()
    yield Replayer(wire, engine, lock_timeout_ms=1000)
    await wire.close()
    await engine.dispose()


async def execute(tenant, statement):
    async with owner_connection() as connection:
        await connection.execute(sa.text(f'SET LOCAL search_path TO "{tenant.ref.schema}"'))
        result = await connection.execute(sa.text(statement))
        rows = [tuple(row) for row in result] if result.returns_rows else []
        await connection.commit()
    return rows


def test_every_block_of_code_is_a_revision():
    assert len(BLOCKS) >= 9
    assert PAGE.count("\n```") == 2 * len(BLOCKS)
    assert all("def upgrade() -> None:" in block for block in BLOCKS)


def test_the_linter_has_nothing_against_them_but_what_they_acknowledge(notes):
    findings = lint_module(notes)
    assert [finding for finding in findings if finding.is_open] == []
    assert {finding.rule for finding in findings if finding.reason} == {
        "ban-drop-column",
        "ban-drop-constraint",
    }


async def test_they_can_be_carried_to_a_tenant_with_rows_and_make_what_onboarding_makes(
    notes, replayer, make_tenant
):
    filled, fresh = await make_tenant(modules=[]), await make_tenant(modules=[])
    for segment in plan_segments(notes, None, "notes_0001"):
        await replayer.carry(filled.ref, segment)
    await execute(
        filled,
        "INSERT INTO notes SELECT gen_random_uuid(), nullif(n % 5, 0), now() "
        "FROM generate_series(1, 2500) AS n",
    )

    for segment in plan_segments(notes, "notes_0001", get_head(notes)):
        await replayer.carry(filled.ref, segment)
    async with owner_connection() as connection:
        await migrate_schema(connection, fresh.ref, [notes])
        await connection.commit()

    assert await read_structure(filled) == await read_structure(fresh)
    labels = await execute(filled, "SELECT label, count(*) FROM notes GROUP BY label ORDER BY 1")
    assert labels == [("", 500), ("1", 500), ("2", 500), ("3", 500), ("4", 500)]
    columns = "SELECT attname, attnotnull FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped"
    assert set(await execute(filled, f"{columns} AND attrelid = 'notes'::regclass")) == {
        ("id", True),
        ("label", True),
        ("created_at", True),
    }
    indexes = "SELECT indexrelid::regclass::text, indisvalid FROM pg_index"
    assert set(await execute(filled, f"{indexes} WHERE indrelid = 'notes'::regclass")) == {
        ("notes_pkey", True),
        ("notes_label_key", True),
    }


def test_a_column_that_the_code_has_left_can_stay_in_the_table():
    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "notes"
        id: Mapped[int] = mapped_column(primary_key=True)

    (line,) = re.findall(r"`(Base\.metadata\.tables.*append_column.*)`", PAGE)
    exec(line, {"Base": Base, "sa": sa})  # noqa: S102  # The page is ours.

    assert [column.name for column in Base.metadata.tables["notes"].columns] == ["id", "tag"]
    assert [column.name for column in sa.select(Note).selected_columns] == ["id"]


def test_the_tables_of_rules_list_every_rule_of_ours_and_no_other():
    listed = {
        name
        for row in re.findall(r"^\| (`[^|]+) \|", PAGE, re.MULTILINE)
        for name in re.findall(r"`([a-z-]+)`", row)
    }
    assert listed == set(OWN)
    assert set(INSTEAD) <= set(re.findall(r"`([a-z-]+)`", PAGE))
