"""Summaries: what stands for messages that a context leaves out."""

from datetime import UTC, datetime
from uuid import UUID

from conversations import errors, repository, schemas
from conversations.schemas import SUMMARY_PREFIX
from conversations.service.conversations import get_conversation
from conversations.service.keys import conversation_key
from tenants.db.pagination import Page, decode_cursor, make_page
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import find_id, new_id, show_id


async def add_summary(
    session: WriteSession, conversation_id: str, new: schemas.NewSummary
) -> schemas.Summary:
    """Keep a summary of messages that are there.

    Raises ConversationNotFound (404), PositionOutOfRange (422).
    """
    key, now = new_id(), datetime.now(UTC)
    given = new.model_dump()
    values = {"conversation_id": conversation_key(conversation_id), **given, "created_at": now}
    if not await repository.insert_summary(session, {"id": key, **values}):
        conversation = await get_conversation(session, conversation_id)
        raise errors.PositionOutOfRange(
            f"The conversation reaches to position {conversation['last_seq']} only.",
            errors=[("to_seq", "is greater than the conversation's last_seq")],
        )
    return {
        "id": show_id(SUMMARY_PREFIX, key),
        "conversation_id": conversation_id,
        "from_seq": new.from_seq,
        "to_seq": new.to_seq,
        "text": new.text,
        "model": new.model,
        "token_count": new.token_count,
        "created_at": now,
    }


async def list_summaries(
    session: ReadSession, conversation_id: str, query: schemas.SummaryQuery
) -> Page[schemas.Summary]:
    """A page by how far they reach. Raises ConversationNotFound (404), InvalidCursor (400)."""
    listing = ["summaries", conversation_id, query.order]
    after = None
    if query.after is not None:
        to_seq, key = decode_cursor(session.tenant, listing, query.after, [int, UUID])
        after = (to_seq, key)
    summaries = await repository.list_summaries(
        session,
        conversation_key(conversation_id),
        descending=query.order == "desc",
        after=after,
        limit=query.limit + 1,
    )
    if summaries is None:
        raise errors.ConversationNotFound
    positions = [(each["to_seq"], find_id(SUMMARY_PREFIX, each["id"])) for each in summaries]
    return make_page(session.tenant, listing, summaries, positions, query.limit)


async def delete_summary(session: WriteSession, conversation_id: str, summary_id: str) -> None:
    """Raises ConversationNotFound, SummaryNotFound (404)."""
    conversation = conversation_key(conversation_id)
    key = find_id(SUMMARY_PREFIX, summary_id)
    if key is None or not await repository.delete_summary(session, conversation, key):
        raise errors.SummaryNotFound
