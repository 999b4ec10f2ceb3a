"""What keeps others waiting, and squawk doesn't see; and what is sent outside a transaction."""

from collections.abc import Iterator

from pglast import ast
from pglast.enums import AlterTableType, ConstrType, ObjectType, ReindexObjectType

from tenants.linting.statements import Hit, Revision, Statement, hit, list_commands
from tenants.revisions import Kind

_ROWS = (ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt, ast.TruncateStmt)


def check_locks(statement: Statement, revision: Revision) -> Iterator[Hit]:
    if revision.kind is Kind.OUTSIDE:
        yield from _check_outside(statement)
        return
    if _is_concurrent(statement):
        yield hit("concurrently-in-transaction")
    if not revision.is_on_new_table(statement) and any(
        isinstance(node, _ROWS) for node in statement.nodes
    ):
        yield hit("rows-in-sql")
    for command in list_commands(statement):
        if (
            command.subtype == AlterTableType.AT_ValidateConstraint
            and command.name in revision.unvalidated
        ):
            yield hit("validated-too-soon", command.name or "")
        if (
            command.subtype == AlterTableType.AT_AddColumn
            and not revision.is_on_new_table(statement)
            and _has_check(command.def_)
        ):
            yield hit("constraint-missing-not-valid")


def _check_outside(statement: Statement) -> Iterator[Hit]:
    if not statement.is_alone:
        yield hit("outside-several-statements")
    if not (_is_concurrent(statement) or _only_validates(statement)):
        yield hit("outside-not-concurrent")
    elif not _is_repeatable(statement):
        yield hit("outside-not-repeatable")


def _is_concurrent(statement: Statement) -> bool:
    match statement.tree:
        case ast.IndexStmt(concurrent=True):
            return True
        case ast.DropStmt(concurrent=True, removeType=ObjectType.OBJECT_INDEX):
            return True
        case ast.ReindexStmt(kind=kind, params=tuple(options)):
            # Of whole tables it can't be taken back to an ordinary one, as onboarding must.
            return kind == ReindexObjectType.REINDEX_OBJECT_INDEX and any(
                isinstance(each, ast.DefElem) and each.defname == "concurrently" for each in options
            )
    return False


def _only_validates(statement: Statement) -> bool:
    """It reads the table beside all readers and writers, and does so again without harm."""
    commands = list_commands(statement)
    return bool(commands) and all(
        command.subtype == AlterTableType.AT_ValidateConstraint for command in commands
    )


def _is_repeatable(statement: Statement) -> bool:
    match statement.tree:
        case ast.IndexStmt(if_not_exists=done):
            return bool(done)
        case ast.DropStmt(missing_ok=done):
            return bool(done)
    return True


def _has_check(column: object) -> bool:
    return isinstance(column, ast.ColumnDef) and any(
        isinstance(each, ast.Constraint) and each.contype == ConstrType.CONSTR_CHECK
        for each in column.constraints or ()
    )
