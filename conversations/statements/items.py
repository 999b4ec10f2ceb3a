"""Items: messages and their tool calls as one list, at (`seq`, index); content has the index 0.

An item is named by the id that its client gave it, or by the key of its row with a prefix.
"""

import itertools
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Table,
    Text,
    Uuid,
    bindparam,
    cast,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from conversations.statements.tables import (
    CALL_IS_KEPT,
    CALLS,
    CONVERSATIONS,
    IS_KEPT,
    IS_OPEN,
    MESSAGE_IS_KEPT,
    MESSAGES,
)
from tenants.db.statement import CompiledStatement

_CONVERSATION_ID = bindparam("conversation_id", type_=Uuid)
_LIMIT = bindparam("limit", type_=BigInteger)
# Whether a row has an item; with those of a message without content, its calls are hidden one by
# one.
_HAS_ITEMS = or_(
    MESSAGES.c.kind != "message",
    MESSAGES.c.text.is_not(None),
    MESSAGES.c.content.is_not(None),
    # Not EXISTS, which the planner may answer by reading all tool calls there are.
    select(literal_column("1"))
    .where(CALLS.c.message_id == MESSAGES.c.id, CALL_IS_KEPT)
    .limit(literal_column("1"))
    .scalar_subquery()
    .is_not(None),
)


@cache
def items_statement(descending: bool, with_after: bool) -> CompiledStatement:
    """Up to `limit` rows that have items, from the one on that holds the item `after`.

    No row where there is no such conversation; one without an id where there is no such page.
    Each has the position of that item, also if it is hidden: `after_seq` and `after_index`, null
    where it is unknown.
    """
    seq = MESSAGES.c.seq
    page = _rows().order_by(seq.desc() if descending else seq.asc()).limit(_LIMIT)
    there: Any = CONVERSATIONS
    after: list[ColumnElement[Any]] = []
    if with_after:
        places = _places().subquery("places")
        # An id that was given wins over one of ours that it repeats.
        place = select(places).order_by(places.c.is_given.desc()).limit(1).lateral("place")
        page = page.where(seq <= place.c.seq if descending else seq >= place.c.seq)
        there = there.outerjoin(place, true())
        after = [place.c.seq.label("after_seq"), place.c.index.label("after_index")]
    rows = page.lateral("rows")
    return CompiledStatement(
        select(*rows.c, *after)
        .select_from(there.outerjoin(rows, true()))
        .where(CONVERSATIONS.c.id == _CONVERSATION_ID, IS_KEPT)
        .order_by(rows.c.seq.desc() if descending else rows.c.seq.asc())
    )


@cache
def range_statement() -> CompiledStatement:
    """The rows that have items, from `from_seq` on, up to `limit`."""
    from_seq = bindparam("from_seq", type_=BigInteger)
    return CompiledStatement(
        _rows().where(MESSAGES.c.seq >= from_seq).order_by(MESSAGES.c.seq).limit(_LIMIT)
    )


@cache
def item_statement() -> CompiledStatement:
    """The rows that may hold the item `item_id`, or `item_key` where the id is of our shape."""
    places = _places().subquery("places")
    return CompiledStatement(
        _rows()
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .where(MESSAGES.c.id.in_(select(places.c.message_id)), IS_KEPT)
    )


@cache
def held_statement() -> CompiledStatement:
    """What holds one of `call_ids`, or of the items' `item_ids` and `item_keys`."""
    in_call_ids, in_item_ids, in_item_keys = (
        func.any(bindparam(name, type_=ARRAY(kind)))
        for name, kind in (("call_ids", Text), ("item_ids", Text), ("item_keys", Uuid))
    )
    no_text, no_key = null().cast(Text), null().cast(Uuid)
    parts = [
        select(
            CALLS.c.call_id,
            no_text.label("item_id"),
            no_key.label("key"),
            IS_OPEN.label("is_open"),
            CALLS.c.deleted_at.is_not(None).label("is_deleted"),
        ).where(CALLS.c.conversation_id == _CONVERSATION_ID, CALLS.c.call_id == in_call_ids)
    ]
    for table in (MESSAGES, CALLS):
        is_deleted = table.c.deleted_at.is_not(None)
        inside = table.c.conversation_id == _CONVERSATION_ID
        parts += [
            select(no_text, table.c.external_id, no_key, false(), is_deleted).where(
                inside, table.c.external_id == in_item_ids
            ),
            select(no_text, no_text, table.c.id, false(), is_deleted).where(
                inside, table.c.id == in_item_keys, table.c.external_id.is_(None)
            ),
        ]
    return CompiledStatement(union_all(*parts))


def _places() -> Select[Any]:
    """Where the item `item_id` is, or `item_key`: row, `seq` and index. Hidden ones too."""
    item_id, key = bindparam("item_id", type_=Text), bindparam("item_key", type_=Uuid)
    parts = []
    indexes: list[tuple[Table, ColumnElement[Any]]] = [
        (MESSAGES, literal_column("0")),
        (CALLS, CALLS.c.index + 1),
    ]
    for table, index in indexes:
        for is_given, condition in (
            (true(), table.c.external_id == item_id),
            (false(), table.c.id == key),
        ):
            part: Select[Any] = select(
                MESSAGES.c.id.label("message_id"),
                MESSAGES.c.seq,
                index.label("index"),
                is_given.label("is_given"),
            ).where(table.c.conversation_id == _CONVERSATION_ID, condition)
            if table is CALLS:
                part = part.where(MESSAGES.c.id == CALLS.c.message_id)
            parts.append(part)
    return select(union_all(*parts).subquery("found"))


def _rows() -> Select[Any]:
    """What items are made of: messages that are shown, with their calls as the text of JSON."""
    names = ("id", "index", "call_id", "name", "arguments", "external_id", "extra")
    pairs: list[tuple[ColumnElement[Any], ColumnElement[Any]]] = [
        (literal_column(f"'{name}'"), CALLS.c[name]) for name in names
    ]
    call = func.json_build_object(*itertools.chain(*pairs))
    calls = (
        select(cast(func.json_agg(aggregate_order_by(call, CALLS.c.index)), Text))
        .where(CALLS.c.message_id == MESSAGES.c.id, CALL_IS_KEPT)
        .scalar_subquery()
        .label("calls")
    )
    columns = ("id", "seq", "role", "kind", "content", "text", "call_id", "external_id", "extra")
    return select(*(MESSAGES.c[name] for name in columns), calls).where(
        MESSAGES.c.conversation_id == _CONVERSATION_ID, MESSAGE_IS_KEPT, _HAS_ITEMS
    )
