"""What people think of messages."""

from datetime import UTC, datetime
from uuid import UUID

from conversations import errors, repository, schemas
from conversations.schemas import FEEDBACK_PREFIX, MESSAGE_PREFIX
from conversations.service.keys import conversation_key
from tenants.db.pagination import Page, decode_cursor, make_page
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import find_id, new_id

_BEFORE_ANY_ID = UUID(int=0)


async def give_feedback(
    session: WriteSession, conversation_id: str, message_id: str, given: schemas.GivenFeedback
) -> schemas.Feedback:
    """Keep what an author thinks of a message; what that author said before is replaced.

    Raises ConversationNotFound, MessageNotFound (404).
    """
    values = {**given.model_dump(), "id": new_id(), "now": datetime.now(UTC)}
    feedback = await repository.put_feedback(
        session, conversation_key(conversation_id), _message_key(message_id), values
    )
    if feedback is None:
        raise errors.MessageNotFound
    return feedback


async def list_conversation_feedback(
    session: ReadSession, conversation_id: str, query: schemas.FeedbackQuery
) -> Page[schemas.Feedback]:
    """A page by the messages' positions. Raises ConversationNotFound (404), InvalidCursor (400)."""
    listing = ["feedback", conversation_id]
    after = (0, _BEFORE_ANY_ID)
    if query.after is not None:
        seq, last = decode_cursor(session.tenant, listing, query.after, [int, UUID])
        after = (seq, last)
    feedback = await repository.list_conversation_feedback(
        session, conversation_key(conversation_id), after=after, limit=query.limit + 1
    )
    if feedback is None:
        raise errors.ConversationNotFound
    positions = [(each["seq"], find_id(FEEDBACK_PREFIX, each["id"])) for each in feedback]
    return make_page(session.tenant, listing, feedback, positions, query.limit)


async def list_message_feedback(
    session: ReadSession, conversation_id: str, message_id: str, query: schemas.FeedbackQuery
) -> Page[schemas.Feedback]:
    """A page, the first given first. Raises ConversationNotFound, MessageNotFound (404),
    InvalidCursor (400)."""
    listing = ["message_feedback", conversation_id, message_id]
    after = _BEFORE_ANY_ID
    if query.after is not None:
        (after,) = decode_cursor(session.tenant, listing, query.after, [UUID])
    feedback = await repository.list_message_feedback(
        session,
        conversation_key(conversation_id),
        _message_key(message_id),
        after=after,
        limit=query.limit + 1,
    )
    if feedback is None:
        raise errors.MessageNotFound
    positions = [(find_id(FEEDBACK_PREFIX, each["id"]),) for each in feedback]
    return make_page(session.tenant, listing, feedback, positions, query.limit)


async def withdraw_feedback(
    session: WriteSession, conversation_id: str, message_id: str, feedback_id: str
) -> None:
    """Raises ConversationNotFound, MessageNotFound, FeedbackNotFound (404)."""
    key = find_id(FEEDBACK_PREFIX, feedback_id)
    if key is None or not await repository.delete_feedback(
        session, conversation_key(conversation_id), _message_key(message_id), key
    ):
        raise errors.FeedbackNotFound


def _message_key(message_id: str) -> UUID:
    key = find_id(MESSAGE_PREFIX, message_id)
    if key is None:
        raise errors.MessageNotFound
    return key
