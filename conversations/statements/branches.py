"""The tree of branches around a conversation."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    Update,
    and_,
    func,
    literal,
    null,
    select,
    tuple_,
    union_all,
    update,
)

from conversations.statements.tables import CONVERSATIONS, IS_KEPT

# How far the way is followed up, and down through conversations that were deleted.
DEPTH = 1_000

_C = CONVERSATIONS.c


def branches_statement(target: UUID, *, after: tuple[int, UUID] | None, limit: int) -> Select[Any]:
    """The conversation, at `depth` 0, and those before it, deleted ones included; and up to
    `limit` that branch off from it beyond a position, with a `depth` of NULL.

    No row with depth 0 if there is no such conversation.
    """
    path, branches = _walk_up(target), _walk_down(target)
    page = (
        select(*branches.c["id", "title", "fork_seq", "created_at", "is_kept"], null())
        .where(branches.c.is_kept)
        .order_by(branches.c.fork_seq, branches.c.id)
        .limit(limit)
    )
    if after is not None:
        page = page.where(tuple_(branches.c.fork_seq, branches.c.id) > after)
    names = ("id", "title", "fork_seq", "created_at", "is_kept", "depth")
    rows = union_all(select(*path.c[names]), page).subquery("rows")
    return select(rows).order_by(rows.c.depth, rows.c.fork_seq, rows.c.id)


def reconnect_statement(target: UUID) -> Update:
    """Let what branches off from a conversation branch off from the one before it, if any."""
    gone = CONVERSATIONS.alias("gone")
    return (
        update(CONVERSATIONS)
        .where(_C.parent_id == gone.c.id, gone.c.id == target, gone.c.parent_id.is_not(None))
        # Positions are the same in all of them.
        .values(parent_id=gone.c.parent_id, fork_seq=func.least(_C.fork_seq, gone.c.fork_seq))
    )


def _walk_up(target: UUID) -> CTE:
    start = (
        select(*_columns(), literal(0, BigInteger).label("depth"))
        .where(_C.id == target, IS_KEPT)
        .cte("path", recursive=True)
    )
    step = (
        select(*_columns(), start.c.depth + 1)
        .join(start, _C.id == start.c.parent_id)
        .where(start.c.depth < DEPTH)
    )
    return start.union_all(step)


def _walk_down(target: UUID) -> CTE:
    """Those that branch off, and through deleted ones those that branch off from these.

    Positions are the same in both, so the last one shared is the least of those on the way.
    """
    start = (
        select(*_columns(), literal(0, BigInteger).label("depth"))
        .where(_C.parent_id == target)
        .cte("branches", recursive=True)
    )
    columns: list[ColumnElement[Any]] = [*_columns()]
    columns[2] = func.least(_C.fork_seq, start.c.fork_seq)
    step = (
        select(*columns, start.c.depth + 1)
        .join(start, _C.parent_id == start.c.id)
        .where(and_(~start.c.is_kept, start.c.depth < DEPTH))
    )
    return start.union_all(step)


def _columns() -> list[ColumnElement[Any]]:
    return [_C.id, _C.title, _C.fork_seq, _C.parent_id, _C.created_at, IS_KEPT.label("is_kept")]
