"""The live feed of a conversation: its messages as they are committed, and drafts of the next.

Positions are contiguous in what is committed, so the last one that was sent says all that there
is to know about a reader.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import orjson

from conversations import errors, repository, schemas
from conversations.service.conversations import get_conversation
from conversations.service.keys import conversation_key
from tenants.db.engine import get_longest_transaction_seconds, get_settings
from tenants.db.unit_of_work import ReadSession, read_session
from tenants.errors import InvalidInput
from tenants.streams import Subscription, Topic, encode_event, follow, hub
from tenants.tenant import TenantRef

CONVERSATION, USER = "conversation", "user"
PAGE_MESSAGES = 20
_MAX_SEQ = 2**63 - 1


async def open_feed(
    session: ReadSession, conversation_id: str, after: int | None, last_event_id: str | None
) -> int:
    """The position after which a stream begins: the reader's last event's, else `after`, else now.

    Raises ConversationNotFound (404), InvalidInput (422) for a position that is none.
    """
    if last_event_id is not None:
        # Only what `str` makes of a position: `int` would take signs, spaces and other digits.
        digits = last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 20
        if not digits or int(last_event_id) > _MAX_SEQ:
            raise InvalidInput(errors=[("Last-Event-ID", "is no position of a message")])
        after = int(last_event_id)
    last_seq = (await get_conversation(session, conversation_id))["last_seq"]
    if after is not None and after > last_seq:
        name = "after" if last_event_id is None else "Last-Event-ID"
        raise InvalidInput(errors=[(name, f"the newest message stands at {last_seq}")])
    return last_seq if after is None else after


async def follow_conversation(
    tenant: TenantRef, conversation_id: str, after: int
) -> AsyncGenerator[bytes, None]:
    """The stream of a conversation, from the message after a position on, until it is deleted.

    It opens short sessions of its own: none is held while it waits.
    """
    key = conversation_key(conversation_id)
    yield encode_event("ready", orjson.dumps({"after": after}), str(after))

    async def read(subscription: Subscription) -> AsyncGenerator[bytes, None]:
        nonlocal after
        full = True
        while full:
            page = await hub.read(subscription, after, partial(read_page, tenant, key, after))
            if page is None:
                yield encode_event("deleted", orjson.dumps({"conversation_id": conversation_id}))
                subscription.end()
                return
            for message, data in page:
                after = message["seq"]
                yield encode_event("message", data, str(after))
            full = len(page) == PAGE_MESSAGES

    async for block in follow(tenant, Topic(CONVERSATION, key.hex), read, _show_draft):
        yield block


async def read_page(
    tenant: TenantRef, key: UUID, after: int
) -> list[tuple[schemas.Message, bytes]] | None:
    """The next messages beyond a position, each with its JSON; None if there's no conversation."""
    async with read_session(tenant) as session:
        messages = await repository.list_messages(
            session, key, descending=False, after=after, limit=PAGE_MESSAGES
        )
    if messages is None:
        return None
    return [(message, orjson.dumps(message, option=orjson.OPT_UTC_Z)) for message in messages]


async def relay_draft(
    session: ReadSession, conversation_id: str, draft_id: str, draft: schemas.Draft
) -> None:
    """Pass a piece of a message that is being written on to the conversation's streams.

    It is stored nowhere, and may get lost. Raises ConversationNotFound (404),
    ConversationArchived (409).
    """
    conversation = await get_conversation(session, conversation_id)
    if conversation["status"] == "archived":
        raise errors.ConversationArchived
    content = orjson.dumps({"draft_id": draft_id, **draft.model_dump()})
    topic = Topic(CONVERSATION, conversation_key(conversation_id).hex)
    hub.say(session.tenant, topic, content)


def get_window() -> timedelta:
    """How far back a message's time may lie, by our clock, at the moment it becomes visible."""
    seconds = get_longest_transaction_seconds() + get_settings().clock_skew_seconds
    return timedelta(seconds=seconds)


def _show_draft(content: bytes) -> bytes:
    return encode_event("draft", content)


async def _look_at_conversations(
    tenant: TenantRef, names: Sequence[str], _seconds: float
) -> dict[str, int]:
    async with read_session(tenant) as session:
        found = await repository.sign_conversations(session, [UUID(hex=name) for name in names])
    return {key.hex: last_seq for key, last_seq in found.items()}


async def _look_at_users(tenant: TenantRef, names: Sequence[str], seconds: float) -> dict[str, int]:
    since = datetime.now(UTC) - get_window() - timedelta(seconds=seconds)
    async with read_session(tenant) as session:
        return await repository.sign_users(session, names, since)


hub.looks[CONVERSATION] = _look_at_conversations
hub.looks[USER] = _look_at_users
