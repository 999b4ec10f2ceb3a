"""The live feed of all conversations of one end user.

There is no number that counts over a user's conversations: handing it out would make the user's
appends wait for each other. So a reader's position is a time and what it knows of the conversations
that were active after it:

- `since`: each message that was sent is of a conversation in `known`, or was written by then;
- `known`: of each conversation that was active after `since`, the last position that was sent.

A scan reads the user's conversations that were active after `since`. Of one that is known it sends
what lies beyond the known position; of any other the messages that were written after `since`. That
is exactly what has not been sent: a message of such a conversation that was sent was written by
`since`, for else the conversation would have been active later and be known. And one that
was not sent became visible after the scan before had begun, so that it was written later
than the begin less the window, which is where that scan put `since`.

The window is how old a message's time can be when the message becomes visible: the longest that a
transaction can last, and how far the clocks of two machines may be apart. Messages that are written
with a time of the past, as an import does, may pass by a user's feed; a conversation's own
feed has them.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from conversations import repository
from conversations.service.feed import PAGE_MESSAGES, USER, get_window, read_page
from tenants.db.pagination import decode_cursor, encode_cursor
from tenants.db.unit_of_work import read_session
from tenants.errors import InvalidCursor
from tenants.streams import Subscription, Topic, encode_event, follow, hub
from tenants.tenant import TenantRef

_ACTIVE_A_PAGE = 100
# Headers of 8 KB pass everywhere. A user with more conversations that were active in the window
# gets events without an id until there are fewer: a reader then goes on from an earlier one.
_MAX_CURSOR_CHARACTERS = 6_000
_LISTING = "user events"


@dataclass
class Position:
    """Where a reader of a user's feed is. See above."""

    since: datetime
    known: dict[UUID, int] = field(default_factory=dict)


async def open_user_feed(tenant: TenantRef, user_id: str, cursor: str | None) -> Position:
    """Where a stream begins: at the cursor, else now. Raises InvalidCursor (400)."""
    if cursor is not None:
        return _decode(tenant, user_id, cursor)
    position = Position(datetime.now(UTC) - get_window())
    async for conversation in _list_active(tenant, user_id, position.since):
        position.known[conversation.id] = conversation.last_seq
    return position


async def follow_user(
    tenant: TenantRef, user_id: str, position: Position
) -> AsyncGenerator[bytes, None]:
    """The stream of all conversations of an end user, from a position on.

    It opens short sessions of its own: none is held while it waits.
    """
    yield encode_event("ready", b"{}", _encode(tenant, user_id, position))

    async def read(_: Subscription) -> AsyncGenerator[bytes, None]:
        async with aclosing(_scan(tenant, user_id, position)) as events:
            async for event in events:
                yield event

    async for block in follow(tenant, Topic(USER, user_id), read):
        yield block


async def _scan(tenant: TenantRef, user_id: str, position: Position) -> AsyncGenerator[bytes, None]:
    """Send what has not been sent, and move the position along.

    It may be left after any event, or break, and be begun anew: until its end the position keeps
    its `since`, and knows of each event that was sent.
    """
    since = max(position.since, datetime.now(UTC) - get_window())
    known: dict[UUID, int] = {}
    async for conversation in _list_active(tenant, user_id, position.since):
        key, active_at = conversation.id, conversation.last_activity_at
        seq = position.known.get(key, conversation.base)
        more = seq < conversation.last_seq
        while more:
            page = await hub.limit(partial(read_page, tenant, key, seq))
            for message, data in page or ():
                position.known[key] = seq = message["seq"]
                active_at = max(active_at, message["created_at"])
                yield encode_event("message", data, _encode(tenant, user_id, position))
            more = page is not None and len(page) == PAGE_MESSAGES
            if page is not None and not more:
                # Those in between, if any, have been deleted.
                seq = max(seq, conversation.last_seq)
        if active_at > since:
            known[key] = seq
    position.since, position.known = since, known


async def _list_active(
    tenant: TenantRef, user_id: str, since: datetime
) -> AsyncGenerator[repository.ActiveConversation, None]:
    """The user's conversations that were active since then, by last activity.

    One that becomes active meanwhile moves towards the end, so none is passed by; it may come
    twice.
    """
    place = (since, UUID(int=0))
    full = True
    while full:
        page = await hub.limit(partial(_read_active, tenant, user_id, since, place))
        for conversation in page:
            yield conversation
        full = len(page) == _ACTIVE_A_PAGE
        if full:
            place = (page[-1].last_activity_at, page[-1].id)


async def _read_active(
    tenant: TenantRef, user_id: str, since: datetime, after: tuple[datetime, UUID]
) -> list[repository.ActiveConversation]:
    async with read_session(tenant) as session:
        return await repository.list_active(
            session, user_id, since, after=after, limit=_ACTIVE_A_PAGE
        )


def _encode(tenant: TenantRef, user_id: str, position: Position) -> str | None:
    """The position as an event's id, or None while it is too long for a header."""
    known = ",".join(f"{key.hex}:{seq}" for key, seq in position.known.items())
    cursor = encode_cursor(tenant, [_LISTING, user_id], [position.since, known])
    return cursor if len(cursor) <= _MAX_CURSOR_CHARACTERS else None


def _decode(tenant: TenantRef, user_id: str, cursor: str) -> Position:
    since, known = decode_cursor(tenant, [_LISTING, user_id], cursor, [datetime, str])
    try:
        pairs = [pair.split(":") for pair in known.split(",") if pair]
        position = Position(since, {UUID(hex=key): int(seq) for key, seq in pairs})
    except ValueError as error:
        raise InvalidCursor from error
    if not all(0 <= seq < 2**63 for seq in position.known.values()):
        raise InvalidCursor
    return position
