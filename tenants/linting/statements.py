"""A module's revisions as the rules see them: statements, as PostgreSQL's own parser reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from alembic.script import Script
from pglast import ast, parse_sql, scan
from pglast.enums import AlterTableType, ObjectType
from pglast.parser import ParseError

from tenants.linting.advice import OWN
from tenants.module import Module
from tenants.revisions import Kind, list_line, plan_segments
from tenants.revisions.scripts import kind_of

_COMMENTS = {"SQL_COMMENT", "C_COMMENT"}


class Hit(NamedTuple):
    """A rule that a statement breaks, and what is said of it."""

    rule: str
    message: str


def hit(rule: str, subject: str = "") -> Hit:
    """By a rule of ours. subject: which part of the statement it is about."""
    return Hit(rule, f"{subject}: {OWN[rule]}" if subject else OWN[rule])


@dataclass(frozen=True, eq=False)
class Statement:
    """sql: without comments. is_alone: whether the revision sends it by itself.

    tree: None if it can't be parsed, for the reason `error`; then `sql` may be several.
    """

    sql: str
    tree: ast.Node | None
    is_alone: bool = True
    error: str = ""

    @property
    def nodes(self) -> Iterator[ast.Node]:
        """Everything in the statement, itself included."""
        return walk(self.tree)

    @property
    def table(self) -> str | None:
        """The table that it makes, changes or fills, if it is one."""
        match self.tree:
            case ast.CreateTableAsStmt(into=ast.IntoClause(rel=ast.RangeVar() as made)):
                return made.relname
            case ast.SelectStmt(intoClause=ast.IntoClause(rel=ast.RangeVar() as made)):
                return made.relname
        relation = getattr(self.tree, "relation", None)
        return relation.relname if isinstance(relation, ast.RangeVar) else None

    @property
    def makes_table(self) -> bool:
        return isinstance(self.tree, ast.CreateStmt | ast.CreateTableAsStmt) or (
            isinstance(self.tree, ast.SelectStmt) and self.tree.intoClause is not None
        )

    @property
    def new_name(self) -> str | None:
        """What it renames a table to, if it does."""
        match self.tree:
            case ast.RenameStmt(renameType=ObjectType.OBJECT_TABLE, newname=name):
                return name
        return None


@dataclass(frozen=True, eq=False)
class Revision:
    """A revision's way up.

    new_tables: made here, so that nobody uses them yet. known_tables: of the module, these
    included. unvalidated: constraints that an earlier revision has added as NOT VALID and that
    may still be in the same transaction.
    """

    script: Script
    kind: Kind
    statements: Sequence[Statement]
    new_tables: frozenset[str]
    known_tables: frozenset[str]
    unvalidated: frozenset[str]

    @property
    def readable(self) -> list[Statement]:
        return [each for each in self.statements if each.tree is not None]

    def is_on_new_table(self, statement: Statement) -> bool:
        return statement.table in self.new_tables


def read_revisions(module: Module) -> Iterator[Revision]:
    """A module's revisions, from the first to the newest. Raises BrokenRevision (422)."""
    known = set(module.metadata.tables)
    unvalidated: set[str] = set()
    previous = None
    for script in list_line(module):
        kind = kind_of(script)
        (segment,) = plan_segments(module, previous, script.revision)
        previous = script.revision
        statements = [each for sql in segment.statements for each in parse(sql)]
        new = {each.table for each in statements if each.makes_table and each.table}
        known |= new | {name for each in statements if (name := each.new_name)}
        if kind is not Kind.SQL:
            unvalidated = set()
        yield Revision(
            script, kind, statements, frozenset(new), frozenset(known), frozenset(unvalidated)
        )
        unvalidated |= {name for each in statements for name in _list_unvalidated(each)}


def parse(sql: str) -> list[Statement]:
    """The statements of what a revision sends at once."""
    try:
        bare = _drop_comments(sql)
        raw = parse_sql(bare)
    except ParseError as error:
        return [Statement(sql.rstrip(";"), None, error=str(error.args[0]))]
    return [
        Statement(_cut(bare, each.stmt_location or 0, each.stmt_len), each.stmt, len(raw) == 1)
        for each in raw
    ]


def walk(node: Any) -> Iterator[ast.Node]:
    """A node and all below it; nothing for what is none."""
    if isinstance(node, ast.Node):
        yield node
        for name in node:
            yield from walk(getattr(node, name))
    elif isinstance(node, tuple):
        for each in node:
            yield from walk(each)


def list_commands(statement: Statement) -> list[ast.AlterTableCmd]:
    """What an ALTER TABLE does; nothing for others."""
    if not isinstance(statement.tree, ast.AlterTableStmt):
        return []
    return [each for each in statement.tree.cmds or () if isinstance(each, ast.AlterTableCmd)]


def _list_unvalidated(statement: Statement) -> Iterator[str]:
    for command in list_commands(statement):
        constraint = command.def_
        if (
            command.subtype == AlterTableType.AT_AddConstraint
            and isinstance(constraint, ast.Constraint)
            and constraint.skip_validation
            and constraint.conname
        ):
            yield constraint.conname


def _drop_comments(sql: str) -> str:
    """Leave them out: squawk would take orders from them, where we ask for a reason."""
    kept, end = [], 0
    for token in scan(sql):
        if token.name in _COMMENTS:
            kept += [sql[end : token.start], " "]
            end = token.end + 1
    return "".join([*kept, sql[end:]])


def _cut(sql: str, start: int, length: int | None) -> str:
    """A statement of several; one that nothing follows has no length."""
    return sql[start : start + length if length else None].strip().rstrip(";")
