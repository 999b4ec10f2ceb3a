"""Tool calls, and how they go on and end."""

from collections.abc import Collection
from datetime import UTC, datetime

from conversations import errors, repository, schemas
from conversations.models import OPEN_CALL_STATUSES, READY_CALL_STATUSES
from conversations.schemas import MESSAGE_PREFIX
from conversations.service.batch import build_batch
from conversations.service.closing import CANCELLED, DENIED, build_answers
from conversations.service.keys import conversation_key
from conversations.service.messages import append
from tenants.db.pagination import Page, decode_cursor, make_page
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.errors import ApplicationError, TransactionConflict
from tenants.ids import show_id

_AWAITING = ("awaiting_approval",)


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


async def get_tool_call(
    session: ReadSession, conversation_id: str, call_id: str
) -> schemas.PlacedToolCall:
    """Raises ToolCallNotFound (404)."""
    return (await _find(session, conversation_id, call_id)).call


async def start_call(
    session: WriteSession, conversation_id: str, call_id: str
) -> schemas.PlacedToolCall:
    """Begin an attempt at a tool call, the first or another one.

    Raises ToolCallNotFound (404), ConversationArchived, ToolCallAwaitsApproval, ToolCallCompleted,
    ToolCallOverdue (409).
    """
    key, now = conversation_key(conversation_id), datetime.now(UTC)
    started = await repository.start_call(
        session, key, call_id, allowed=READY_CALL_STATUSES, now=now
    )
    if started is not None:
        return started
    raise _refusal(await _find(session, conversation_id, call_id), READY_CALL_STATUSES, now)


async def approve_call(
    session: WriteSession, conversation_id: str, call_id: str, decision: schemas.Decision
) -> schemas.PlacedToolCall:
    """Let a tool call be started.

    The same approval once more changes nothing, and is answered with the call as it is by then.
    Raises ToolCallNotFound (404), ConversationArchived, ApprovalNotAwaited, ToolCallCompleted,
    ToolCallOverdue (409).
    """
    key, now = conversation_key(conversation_id), datetime.now(UTC)
    decided = {"decided_by": decision.by, "decided_at": now, "reason": decision.reason}
    approved = await repository.change_call(
        session, key, call_id, {"status": "requested", **decided}, allowed=_AWAITING, now=now
    )
    if approved is not None:
        return approved
    found = await _find(session, conversation_id, call_id)
    if found.call["status"] != "denied" and _is_decided(found.call, decision):
        return found.call
    raise _refusal(found, _AWAITING, now)


async def deny_call(
    session: WriteSession, conversation_id: str, call_id: str, decision: schemas.Decision
) -> schemas.PlacedToolCall:
    """Close a tool call that awaits approval, with an output that says so.

    The same denial once more changes nothing and gets the same answer.
    Raises ToolCallNotFound (404), ConversationArchived, ApprovalNotAwaited, ToolCallCompleted
    (409).
    """
    now = datetime.now(UTC)
    closed = await repository.close_calls(
        session,
        conversation_key(conversation_id),
        build_answers({call_id: "denied"}, DENIED, decision.reason),
        allowed=_AWAITING,
        active_only=True,
        now=now,
        decided_by=decision.by,
        decided_at=now,
        reason=decision.reason,
    )
    if closed:
        return closed[0]
    found = await _find(session, conversation_id, call_id)
    if found.call["status"] == "denied" and _is_decided(found.call, decision):
        return found.call
    raise _refusal(found, _AWAITING, None)


async def cancel_call(
    session: WriteSession, conversation_id: str, call_id: str, cancellation: schemas.Cancellation
) -> schemas.PlacedToolCall:
    """Close an open tool call, with an output that says so.

    The same cancellation once more changes nothing and gets the same answer.
    Raises ToolCallNotFound (404), ConversationArchived, ToolCallCompleted (409).
    """
    closed = await repository.close_calls(
        session,
        conversation_key(conversation_id),
        build_answers({call_id: "cancelled"}, CANCELLED, cancellation.reason),
        allowed=OPEN_CALL_STATUSES,
        active_only=True,
        now=datetime.now(UTC),
        reason=cancellation.reason,
    )
    if closed:
        return closed[0]
    found = await _find(session, conversation_id, call_id)
    if (found.call["status"], found.call["reason"]) == ("cancelled", cancellation.reason):
        return found.call
    raise _refusal(found, OPEN_CALL_STATUSES, None)


async def report_result(
    session: WriteSession, conversation_id: str, call_id: str, result: schemas.CallResult
) -> schemas.PlacedToolCall:
    """Close a tool call with its output or its error, kept as a message of role `tool`.

    The same result once more changes nothing and gets the same answer.
    Raises ToolCallNotFound (404), ToolCallCompleted, ToolCallAwaitsApproval, ConversationArchived
    (409), UnknownAttachment (422).
    """
    found = await _find(session, conversation_id, call_id)
    call = found.call
    content = result.error if result.output is None else result.output
    batch = build_batch([schemas.NewMessage(role="tool", call_id=call_id, content=content)])
    (message,), (answer,) = batch["messages"], batch["answers"]
    status: schemas.CallStatus = "succeeded" if result.error is None else "failed"
    if call["status"] not in READY_CALL_STATUSES:
        kept = (call["status"], call["error"], found.output_text, found.output_content)
        if kept == (status, result.error, message["text"], message["content"]):
            return call
        raise _refusal(found, READY_CALL_STATUSES, None)
    answer["status"], answer["error"] = status, result.error
    try:
        (output,) = await append(session, conversation_id, batch)
    except errors.ToolCallCompleted as error:
        # Somebody was faster by a moment, maybe with the same result: look again.
        raise TransactionConflict from error
    return {
        **call,
        "status": status,
        "error": result.error,
        "output_message_id": show_id(MESSAGE_PREFIX, message["id"]),
        "updated_at": output["created_at"],
    }


async def _find(session: ReadSession, conversation_id: str, call_id: str) -> repository.FoundCall:
    found = await repository.find_tool_call(session, conversation_key(conversation_id), call_id)
    if found is None:
        raise errors.ToolCallNotFound
    return found


def _is_decided(call: schemas.PlacedToolCall, decision: schemas.Decision) -> bool:
    return (call["decided_by"], call["reason"]) == (decision.by, decision.reason)


def _refusal(
    found: repository.FoundCall, allowed: Collection[str], due_at: datetime | None
) -> ApplicationError:
    """Why a call could not go on from one of the allowed statuses.

    due_at: the moment up to which the call's deadline would have stood against it, if at all.
    """
    status, deadline = found.call["status"], found.call["deadline"]
    if status not in OPEN_CALL_STATUSES:
        return errors.ToolCallCompleted(f"The tool call is `{status}` already.")
    if found.conversation_status != "active":
        return errors.ConversationArchived()
    if status not in allowed:
        if status == "awaiting_approval":
            return errors.ToolCallAwaitsApproval()
        return errors.ApprovalNotAwaited(f"The tool call is `{status}`: it awaits no approval.")
    if due_at is not None and deadline is not None and deadline <= due_at:
        return errors.ToolCallOverdue(
            f"The tool call is `{status}`, its deadline has passed, and it is about to expire."
        )
    # It has changed since it was refused.
    return TransactionConflict()
