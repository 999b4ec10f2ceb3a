"""What an import writes: whole sets of rows, given as JSON."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Executable,
    Select,
    Table,
    Text,
    Update,
    Uuid,
    bindparam,
    case,
    column,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSON, insert

from conversations.statements.tables import CALLS, CONVERSATIONS, IS_KEPT, IS_OPEN, MESSAGES

# What each message adds to its conversation's head.
SUMS = (
    "message_count",
    "tool_call_count",
    "token_count",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost",
)


def lock_imported(ids: Sequence[UUID]) -> Select[Any]:
    c = CONVERSATIONS.c
    wanted = bindparam("ids", list(ids), type_=ARRAY(Uuid))
    return (
        select(c.id, c.last_seq, IS_KEPT.label("is_kept"))
        .where(c.id == func.any(wanted))
        .order_by(func.array_position(wanted, c.id))
        .with_for_update()
    )


def insert_new(table: Table, columns: Sequence[str], rows: list[dict[str, Any]]) -> Executable:
    """Insert those rows that clash with nothing, and give their ids. All have these columns."""
    given = _record_set(rows, **{name: table.c[name].type for name in columns})
    return (
        insert(table)
        .from_select(list(columns), select(*given.c), include_defaults=False)
        .on_conflict_do_nothing()
        .returning(table.c.id)
    )


def answer_calls(conversation_id: UUID, answers: list[dict[str, Any]]) -> Update:
    """Pair calls that have no output with messages, and end those that are open."""
    answer = _record_set(answers, call_id=Text, output_message_id=Uuid, status=Text, error=Text)
    return (
        update(CALLS)
        .where(
            CALLS.c.conversation_id == conversation_id,
            CALLS.c.call_id == answer.c.call_id,
            CALLS.c.output_message_id.is_(None),
        )
        .values(
            output_message_id=answer.c.output_message_id,
            status=case((IS_OPEN, answer.c.status), else_=CALLS.c.status),
            error=case((IS_OPEN, answer.c.error), else_=CALLS.c.error),
        )
        .returning(CALLS.c.id)
    )


def advance_head(conversation_id: UUID, values: dict[str, Any]) -> Update:
    """values: `last_seq`, `preview`, `read_seq`, `last_activity_at`, and what to add to `SUMS`."""
    c = CONVERSATIONS.c
    return (
        update(CONVERSATIONS)
        .where(c.id == conversation_id)
        .values(
            version=c.version + 1,
            last_seq=values["last_seq"],
            preview=func.coalesce(values["preview"], c.preview),
            read_seq=func.greatest(c.read_seq, values["read_seq"]),
            last_activity_at=func.greatest(c.last_activity_at, values["last_activity_at"]),
            **{name: c[name] + values[name] for name in SUMS},
        )
    )


def link_branches(pairs: list[dict[str, Any]]) -> Update:
    """Tie conversations to those that they branched off, where both are here.

    A branch is later than what it grew from; so whatever a file says, they make no circle.
    """
    pair = _record_set(pairs, child_id=Uuid, parent_id=Uuid)
    parents = CONVERSATIONS.alias("parents")
    return (
        update(CONVERSATIONS)
        .where(
            CONVERSATIONS.c.id == pair.c.child_id,
            parents.c.id == pair.c.parent_id,
            CONVERSATIONS.c.parent_id.is_(None),
            CONVERSATIONS.c.created_at > parents.c.created_at,
            CONVERSATIONS.c.fork_seq <= parents.c.last_seq,
        )
        .values(parent_id=pair.c.parent_id)
    )


def message_ids(conversation_id: UUID, seqs: Sequence[int]) -> Select[Any]:
    wanted = bindparam("seqs", list(seqs), type_=ARRAY(BigInteger))
    return select(MESSAGES.c.seq, MESSAGES.c.id).where(
        MESSAGES.c.conversation_id == conversation_id, MESSAGES.c.seq == func.any(wanted)
    )


def _record_set(rows: list[dict[str, Any]], **columns: Any) -> Any:
    typed = [column(name, kind) for name, kind in columns.items()]
    given = func.json_to_recordset(bindparam("rows", rows, type_=JSON))
    return given.table_valued(*typed).render_derived(name="given", with_types=True)
