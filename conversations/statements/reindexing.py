"""Messages that are indexed by a language which their conversation had before.

Up to `reindex_seq` of a conversation they are to be brought over; they are taken from there down,
so many positions at a time, and then there are none any more.
"""

from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Uuid, bindparam, case, func, select, update

from conversations.statements.tables import CONVERSATIONS, MESSAGES
from tenants.db.statement import CompiledStatement


def change_of_reindex_seq(language: str | None) -> ColumnElement[Any]:
    """What `reindex_seq` becomes when a conversation is given a language, it may be the same."""
    c = CONVERSATIONS.c
    return case(
        (c.language.is_distinct_from(language), func.nullif(c.last_seq, 0)), else_=c.reindex_seq
    )


# A job asks it of each tenant, time and again, and nearly always in vain.
@cache
def reindex_statement(*, anywhere: bool) -> CompiledStatement:
    """Bring over the next `positions` messages of the conversation `target`, or of any that nobody
    is at.

    Gives a row if there was such a conversation, with the number of messages that were changed.
    """
    c, m = CONVERSATIONS.c, MESSAGES.c
    waiting = select(c.id, c.language, c.reindex_seq).where(c.reindex_seq.is_not(None)).limit(1)
    # The lock that an append takes, too: rows may still be made that refer to it.
    if anywhere:
        waiting = waiting.with_for_update(key_share=True, skip_locked=True)
    else:
        target = bindparam("target", type_=Uuid)
        waiting = waiting.where(c.id == target).with_for_update(key_share=True)
    due = waiting.cte("due")
    rest = due.c.reindex_seq - bindparam("positions", type_=BigInteger)
    moved = (
        update(CONVERSATIONS)
        .where(c.id == due.c.id)
        .values(reindex_seq=case((rest > 0, rest)))
        .returning(c.id)
        .cte("moved")
    )
    changed = (
        update(MESSAGES)
        .where(
            m.conversation_id == due.c.id,
            m.seq > rest,
            m.seq <= due.c.reindex_seq,
            m.language.is_distinct_from(due.c.language),
        )
        .values(language=due.c.language)
        .returning(m.id)
        .cte("changed")
    )
    count = select(func.count()).select_from(changed).scalar_subquery()
    statement = select(count.label("changed")).select_from(due).add_cte(moved)
    return CompiledStatement(statement, is_shared=True)
