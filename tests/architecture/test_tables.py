"""Rules about the tables of every module: models equal revisions, and what a tenant may hold."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from tenants.lifecycle import owner_connection
from tenants.modules import get_modules
from tests.tenants.structure import read_structure

MODULES = [module.name for module in get_modules()]
MAX_TABLES = 12


@pytest.fixture(params=MODULES)
def module(request):
    return next(module for module in get_modules() if module.name == request.param)


@pytest.fixture
async def query(tenant):
    """Run a statement over a fresh tenant's schema, which `:schema` stands for."""

    async def run(statement):
        async with owner_connection() as connection:
            rows = await connection.execute(text(statement), {"schema": tenant.ref.schema})
            return [tuple(row) for row in rows]

    return run


async def test_models_and_revisions_do_not_differ(module, tenant):
    others = {
        table for other in get_modules() if other is not module for table in other.metadata.tables
    }

    def compare(connection):
        connection.dialect.default_schema_name = tenant.ref.schema
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_object": lambda _object, name, kind, *_: (
                    kind != "table" or name not in others
                ),
            },
        )
        return compare_metadata(context, module.metadata)

    async with owner_connection() as connection:
        await connection.execute(text(f'SET LOCAL search_path TO "{tenant.ref.schema}"'))
        assert await connection.run_sync(compare) == []


async def test_models_make_the_very_schema_that_the_revisions_make(make_tenant):
    """What Alembic does not compare: checks, names, expressions, rights."""
    revised, modelled = await make_tenant(), await make_tenant(modules=[])

    async with owner_connection() as connection:
        await connection.execute(text(f'SET LOCAL search_path TO "{modelled.ref.schema}"'))
        for module in get_modules():
            await connection.run_sync(module.metadata.create_all, checkfirst=False)
        await connection.commit()

    assert await read_structure(modelled) == await read_structure(revised)


def test_a_module_keeps_within_its_budget_of_tables(module):
    assert 1 <= len(module.metadata.tables) <= MAX_TABLES


def test_every_constraint_and_index_has_a_name(module):
    for table in module.metadata.tables.values():
        assert table.schema is None
        for named in (*table.constraints, *table.indexes):
            assert named.name, f"{table.name}: {named}"


def test_no_foreign_key_leads_out_of_its_module(module):
    for table in module.metadata.tables.values():
        for key in table.foreign_keys:
            assert key.column.table.metadata is module.metadata


async def test_every_table_has_a_primary_key_and_nothing_else_is_there(query):
    rows = await query(
        """
        SELECT c.relname, c.relkind, c.relpersistence,
               EXISTS (SELECT FROM pg_constraint p WHERE p.conrelid = c.oid AND p.contype = 'p')
        FROM pg_class c WHERE c.relnamespace = CAST(CAST(:schema AS text) AS regnamespace)
          AND c.relkind NOT IN ('i')
        """
    )
    assert len(rows) >= 5
    # Ordinary tables: no sequence, view, partition, composite type, foreign or unlogged table.
    assert {row[1:] for row in rows} == {(b"r", b"p", True)}, rows


async def test_no_column_is_numbered_by_the_database(query):
    assert (
        await query(
            """
            SELECT c.relname, a.attname FROM pg_attribute a
            JOIN pg_class c ON c.oid = a.attrelid
            LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE c.relnamespace = CAST(CAST(:schema AS text) AS regnamespace) AND a.attnum > 0
              AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) ~
                   'nextval|random|uuid|clock_timestamp|now\\(|CURRENT_')
            """
        )
        == []
    )


async def test_columns_have_plain_types_that_mean_the_same_in_every_schema(query):
    assert (
        await query(
            """
            SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            JOIN pg_type t ON t.oid = a.atttypid
            WHERE c.relnamespace = CAST(CAST(:schema AS text) AS regnamespace) AND a.attnum > 0
              AND (t.typtype <> 'b' OR t.typnamespace <> CAST('pg_catalog' AS regnamespace))
            """
        )
        == []
    )


async def test_there_is_no_trigger_rule_policy_function_inheritance_or_own_type(query):
    found = await query(
        """
        SELECT 'trigger ' || tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = CAST(CAST(:schema AS text) AS regnamespace) AND NOT tgisinternal
        UNION ALL SELECT 'rule ' || rulename FROM pg_rules WHERE schemaname = CAST(:schema AS text)
        UNION ALL SELECT 'policy ' || policyname FROM pg_policies
        WHERE schemaname = CAST(:schema AS text)
        UNION ALL SELECT 'function ' || proname FROM pg_proc
        WHERE pronamespace = CAST(CAST(:schema AS text) AS regnamespace)
        UNION ALL SELECT 'child ' || c.relname FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        WHERE c.relnamespace = CAST(CAST(:schema AS text) AS regnamespace)
        UNION ALL SELECT 'type ' || t.typname FROM pg_type t
        WHERE t.typnamespace = CAST(CAST(:schema AS text) AS regnamespace) AND t.typelem = 0
          AND t.typtype <> 'c'
        """
    )
    assert found == []


async def test_no_foreign_key_leads_out_of_the_schema(query):
    assert (
        await query(
            """
            SELECT k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid
            WHERE k.connamespace = CAST(CAST(:schema AS text) AS regnamespace)
              AND c.relnamespace <> k.connamespace
            """
        )
        == []
    )


async def test_all_of_it_belongs_to_the_owner_login(query):
    owners = await query(
        """
        SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
        WHERE relnamespace = CAST(CAST(:schema AS text) AS regnamespace)
        UNION SELECT pg_get_userbyid(nspowner) FROM pg_namespace
        WHERE nspname = CAST(:schema AS text)
        """
    )
    assert owners == [("tenantry_owner",)]
