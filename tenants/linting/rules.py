"""All rules over all statements of a module: squawk's, and our own few."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from alembic.script import Script

from tenants.linting.kinds import check_kind
from tenants.linting.locks import check_locks
from tenants.linting.shapes import check_shapes
from tenants.linting.squawk import ask_squawk
from tenants.linting.statements import Hit, Revision, Statement, hit, read_revisions
from tenants.module import Module
from tenants.revisions import Kind


class Found(NamedTuple):
    """sql: the statement; empty where it is about the revision."""

    rule: str
    message: str
    sql: str = ""


def examine(module: Module) -> Iterator[tuple[Script, list[Found]]]:
    """What is found in each revision, in the order of its statements."""
    revisions = list(read_revisions(module))
    heard = defaultdict(list)
    for statement, said in ask_squawk(revisions):
        heard[statement].append(said)
    for revision in revisions:
        found = [Found(*hit("online-revision"))] if revision.kind is Kind.PYTHON else []
        for statement in revision.statements:
            # Twelve columns may break a rule in the same words; once is enough.
            hits = dict.fromkeys([*_check(statement, revision), *heard[statement]])
            found += [Found(*each, statement.sql) for each in hits]
        yield revision.script, found


def _check(statement: Statement, revision: Revision) -> Iterator[Hit]:
    if statement.tree is None:
        yield hit("syntax-error", statement.error)
        return
    yield from check_kind(statement)
    yield from check_shapes(statement, revision)
    yield from check_locks(statement, revision)
