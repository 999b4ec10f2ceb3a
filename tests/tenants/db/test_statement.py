"""Statements on the driver: the same transaction, errors and values as SQLAlchemy's own way."""

import asyncio
import secrets
import traceback
from datetime import UTC, datetime

import pytest
from sqlalchemy import BigInteger, Text, Uuid, bindparam, exc, func, insert, select, text
from sqlalchemy.dialects.postgresql import JSON

from tenants import errors, lifecycle
from tenants.db.statement import CompiledStatement
from tenants.db.unit_of_work import get_pool_state, read_session, write_session
from tenants.ids import new_id
from tests.sample.module import Note

ALL = CompiledStatement(select(Note.body).order_by(Note.body))
INSERT = CompiledStatement(
    insert(Note)
    .values(
        id=bindparam("new_id", type_=Uuid),
        body=bindparam("new_body", type_=Text),
        created_at=func.now(),
    )
    .returning(Note.body)
)


def new_note(body):
    return Note(id=new_id(), body=body, created_at=datetime.now(UTC))


async def bodies(tenant):
    async with read_session(tenant.ref) as session:
        return [row["body"] for row in await session.fetch(ALL)]


def test_arguments_stand_in_the_order_of_the_statement():
    statement = CompiledStatement(
        select(Note.id)
        .where(Note.body == "constant", Note.body != bindparam("given", type_=Text))
        .limit(bindparam("limit", type_=BigInteger))
    )
    assert statement.arguments({"limit": 5, "given": "x"}) == ["constant", "x", 5]


def test_json_is_written_by_its_type():
    statement = CompiledStatement(select(func.json_typeof(bindparam("given", type_=JSON))))
    assert statement.arguments({"given": {"é": [1]}}) == ['{"é":[1]}']


def test_a_missing_value_is_a_mistake():
    with pytest.raises(KeyError, match="limit"):
        CompiledStatement(select(Note.id).limit(bindparam("limit", type_=BigInteger))).arguments({})


def test_a_list_of_unknown_length_is_refused():
    with pytest.raises(AssertionError):
        CompiledStatement(select(Note.id).where(Note.body.in_(["a", "b"])))


async def test_the_driver_and_the_orm_share_one_transaction(tenant):
    async with write_session(tenant.ref) as session:
        session.add(new_note("by orm"))
        await session.flush()
        await session.fetch(INSERT, new_id=new_id(), new_body="by driver")
        assert [row["body"] for row in await session.fetch(ALL)] == ["by driver", "by orm"]
        assert sorted(await session.scalars(select(Note.body))) == ["by driver", "by orm"]

    assert await bodies(tenant) == ["by driver", "by orm"]


async def test_what_is_only_added_is_committed_too(tenant):
    async with write_session(tenant.ref) as session:
        await session.fetch(ALL)
        session.add(new_note("added"))

    assert await bodies(tenant) == ["added"]


async def test_both_are_rolled_back_together(tenant):
    async def fail():
        async with write_session(tenant.ref) as session:
            await session.fetch(INSERT, new_id=new_id(), new_body="by driver")
            session.add(new_note("by orm"))
            await session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await bodies(tenant) == []


async def test_a_violated_constraint_is_named_without_the_row(tenant):
    key, secret = new_id(), secrets.token_hex(8)

    async def insert_twice():
        async with write_session(tenant.ref) as session:
            await session.fetch(INSERT, new_id=key, new_body="once")
            await session.fetch(INSERT, new_id=key, new_body=secret)

    with pytest.raises(errors.DatabaseDefect, match="sample_notes_pkey") as caught:
        await insert_twice()

    # Neither the statement's values nor the server's DETAIL, which shows the row.
    shown = "".join(traceback.format_exception(caught.value))
    assert secret not in shown
    assert "DETAIL" not in shown
    assert await bodies(tenant) == []


async def test_a_cancelled_statement_leaves_nothing_behind(tenant):
    async def write_slowly():
        async with write_session(tenant.ref) as session:
            await session.fetch(INSERT, new_id=new_id(), new_body="x")
            await session.fetch(CompiledStatement(select(func.pg_sleep(10))))

    task = asyncio.create_task(write_slowly())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert get_pool_state().in_use == 0
    assert await bodies(tenant) == []


async def test_a_reading_session_cannot_write_by_the_driver(tenant):
    with pytest.raises(errors.DatabaseDefect, match="read-only"):
        async with read_session(tenant.ref) as session:
            await session.fetch(INSERT, new_id=new_id(), new_body="x")


async def test_a_session_cannot_be_used_after_its_block(tenant):
    async with read_session(tenant.ref) as session:
        await session.fetch(ALL)

    with pytest.raises(AttributeError):
        await session.fetch(ALL)
    with pytest.raises((exc.SQLAlchemyError, AttributeError, AssertionError)):
        await session.scalars(select(Note.body))


async def test_a_table_is_read_by_its_index_even_while_it_is_empty(fleet):
    tenant = fleet[0]
    async with lifecycle.owner_connection() as connection:
        await connection.execute(text(f"ANALYZE {tenant.ref.schema}.{Note.__tablename__}"))
        await connection.commit()
    async with read_session(tenant.ref) as session:
        query = text(f"EXPLAIN SELECT body FROM {Note.__tablename__} WHERE id = :id")
        plan = (await session.execute(query, {"id": new_id()})).scalars().all()
    assert "Index" in "".join(plan)
    assert "Seq Scan" not in "".join(plan)
