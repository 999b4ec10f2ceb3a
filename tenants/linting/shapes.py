"""What a tenant's schema may have at all: plain tables, with names for everything in them.

Most of it is for two ends: statements prepared in one tenant must mean the same in the next, and a
schema must be able to move to a node of Citus (docs/revisions.md says which rule is for what).
"""

from collections.abc import Iterator

import psycopg
from pglast import ast
from pglast.enums import AlterTableType, ConstrType, ObjectType

from tenants.linting.statements import Hit, Revision, Statement, hit, list_commands, walk
from tenants.revisions import SCHEMA, Kind

_SERIALS = {"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"}
# The driver carries a list of them; the array types are written with the element's name.
_BUILT_IN = {each.name.strip('"') for each in psycopg.adapters.types}
_CATALOG = "pg_catalog"
_NAMED = {
    ConstrType.CONSTR_PRIMARY: "PRIMARY KEY",
    ConstrType.CONSTR_UNIQUE: "UNIQUE",
    ConstrType.CONSTR_CHECK: "CHECK",
    ConstrType.CONSTR_FOREIGN: "FOREIGN KEY",
    ConstrType.CONSTR_EXCLUSION: "EXCLUDE",
}
_INHERITANCE = {
    AlterTableType.AT_AddInherit,
    AlterTableType.AT_DropInherit,
    AlterTableType.AT_AttachPartition,
    AlterTableType.AT_DetachPartition,
}
_RELATIONS = {
    ObjectType.OBJECT_TABLE,
    ObjectType.OBJECT_INDEX,
    ObjectType.OBJECT_VIEW,
    ObjectType.OBJECT_MATVIEW,
}
# Those of PostgreSQL that give another value for each row, or each call; and of uuid-ossp.
VOLATILE = {
    *("random", "random_normal", "gen_random_uuid", "uuidv4", "uuidv7", "clock_timestamp"),
    *("timeofday", "nextval", "setval", "currval", "lastval", "pg_sleep"),
}
_UUID_OSSP = "uuid_generate_"


def check_shapes(statement: Statement, revision: Revision) -> Iterator[Hit]:
    yield from _check_types(statement)
    yield from _check_keys(statement, revision)
    yield from _check_names(statement)
    yield from _check_inheritance(statement)
    yield from _check_schemas(statement, revision)
    yield from _check_functions(statement)
    yield from _check_view(statement)


def _check_types(statement: Statement) -> Iterator[Hit]:
    for node in statement.nodes:
        match node:
            case ast.TypeName(names=tuple(strings)):
                names = [each.sval for each in strings if isinstance(each, ast.String)]
                *schema, name = [each for each in names if each]
                if not schema and name in _SERIALS:
                    yield hit("database-numbers", name)
                elif schema not in ([], [_CATALOG]) or name not in _BUILT_IN:
                    yield hit("own-type", ".".join([*schema, name]))
            case ast.Constraint(contype=ConstrType.CONSTR_IDENTITY):
                yield hit("database-numbers")


def _check_keys(statement: Statement, revision: Revision) -> Iterator[Hit]:
    if statement.makes_table and not _is_view(statement):
        adding = (each for each in revision.statements if each.table == statement.table)
        if not any(
            isinstance(node, ast.Constraint) and node.contype == ConstrType.CONSTR_PRIMARY
            for each in adding
            for node in each.nodes
        ):
            yield hit("missing-primary-key", statement.table or "")
    for node in statement.nodes:
        match node:
            case ast.Constraint(pktable=ast.RangeVar(relname=str(table))):
                if table not in revision.known_tables:
                    yield hit("foreign-key-leaves-module", table)


def _check_names(statement: Statement) -> Iterator[Hit]:
    for node in statement.nodes:
        match node:
            case ast.Constraint(conname=None, contype=kind) if kind in _NAMED:
                yield hit("missing-name", _NAMED[kind])
            case ast.IndexStmt(idxname=None):
                yield hit("missing-name", "INDEX")


def _check_inheritance(statement: Statement) -> Iterator[Hit]:
    tree = statement.tree
    if isinstance(tree, ast.CreateStmt) and (tree.inhRelations or tree.partspec):
        yield hit("inheritance")
    for command in list_commands(statement):
        if command.subtype in _INHERITANCE:
            yield hit("inheritance")


def _check_schemas(statement: Statement, revision: Revision) -> Iterator[Hit]:
    """The placeholder belongs where there is no search path, and is replaced nowhere else."""
    expected = SCHEMA if revision.kind is Kind.OUTSIDE else None
    for schema, name in _list_relations(statement):
        if schema is None and expected is not None:
            yield hit("outside-without-schema", name)
        elif schema not in (expected, _CATALOG):
            yield hit("named-schema", f"{schema}.{name}")


def _list_relations(statement: Statement) -> Iterator[tuple[str | None, str]]:
    """Every table and index that is named, with its schema."""
    for node in statement.nodes:
        match node:
            case ast.RangeVar(schemaname=schema, relname=str(name)):
                yield schema, name
            case ast.DropStmt(objects=tuple(objects), removeType=kind) if kind in _RELATIONS:
                for each in objects:
                    *schemas, name = [word.sval for word in each]
                    yield schemas[-1] if schemas else None, name


def _check_functions(statement: Statement) -> Iterator[Hit]:
    for node in _list_computed(statement):
        match node:
            case ast.FuncCall(funcname=(*_, ast.String(sval=str(name)))):
                if name in VOLATILE or name.startswith(_UUID_OSSP):
                    yield hit("volatile-function", name)


def _list_computed(statement: Statement) -> Iterator[ast.Node]:
    """The nodes of changes of rows, and of defaults."""
    for node in statement.nodes:
        match node:
            case ast.UpdateStmt() | ast.DeleteStmt() | ast.MergeStmt():
                yield from walk(node)
            case ast.Constraint(contype=ConstrType.CONSTR_DEFAULT):
                yield from walk(node.raw_expr)
            case ast.AlterTableCmd(subtype=AlterTableType.AT_ColumnDefault):
                yield from walk(node.def_)


def _check_view(statement: Statement) -> Iterator[Hit]:
    if _is_view(statement) and any(isinstance(node, ast.A_Star) for node in statement.nodes):
        yield hit("star-in-view")


def _is_view(statement: Statement) -> bool:
    tree = statement.tree
    return isinstance(tree, ast.ViewStmt) or (
        isinstance(tree, ast.CreateTableAsStmt) and tree.objtype == ObjectType.OBJECT_MATVIEW
    )
