"""Tool calls, and how they end."""

from conversations import errors, repository, schemas
from conversations.models import OPEN_CALL_STATUSES
from conversations.schemas import MESSAGE_PREFIX
from conversations.service.batch import build_batch
from conversations.service.keys import conversation_key
from conversations.service.messages import append
from tenants.db.pagination import Page, decode_cursor, make_page
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.errors import TransactionConflict
from tenants.ids import show_id


async def list_tool_calls(
    session: ReadSession, conversation_id: str, query: schemas.ToolCallQuery
) -> Page[schemas.PlacedToolCall]:
    """A page in the log's order. Raises ConversationNotFound (404), InvalidCursor (400)."""
    listing = ["tool_calls", conversation_id, query.open]
    seq, index = 0, 0
    if query.after is not None:
        seq, index = decode_cursor(session.tenant, listing, query.after, [int, int])
    calls = await repository.list_tool_calls(
        session,
        conversation_key(conversation_id),
        open_only=query.open,
        after=(seq, index),
        limit=query.limit + 1,
    )
    if calls is None:
        raise errors.ConversationNotFound
    positions = [(call["seq"], call["index"]) for call in calls]
    return make_page(session.tenant, listing, calls, positions, query.limit)


async def report_result(
    session: WriteSession, conversation_id: str, call_id: str, result: schemas.CallResult
) -> schemas.PlacedToolCall:
    """Close a tool call with its output or its error, kept as a message of role `tool`.

    The same result once more changes nothing and gets the same answer.
    Raises ToolCallNotFound (404), ToolCallCompleted, ConversationArchived (409).
    """
    found = await repository.find_tool_call(session, conversation_key(conversation_id), call_id)
    if found is None:
        raise errors.ToolCallNotFound
    call, kept_output = found
    content = result.error if result.output is None else result.output
    batch = build_batch([schemas.NewMessage(role="tool", call_id=call_id, content=content)])
    (message,), (answer,) = batch["messages"], batch["answers"]
    if call["output_message_id"] is not None:
        if kept_output == (message["text"], message["content"]) and call["error"] == result.error:
            return call
        raise errors.ToolCallCompleted
    if call["status"] not in OPEN_CALL_STATUSES:  # Ended otherwise, without an output.
        raise errors.ToolCallCompleted
    answer["status"] = "succeeded" if result.error is None else "failed"
    answer["error"] = result.error
    try:
        await append(session, conversation_id, batch)
    except errors.ToolCallCompleted as error:
        # Somebody was faster by a moment, maybe with the same result: look again.
        raise TransactionConflict from error
    return {
        **call,
        "status": "succeeded" if result.error is None else "failed",
        "error": result.error,
        "output_message_id": show_id(MESSAGE_PREFIX, message["id"]),
    }
