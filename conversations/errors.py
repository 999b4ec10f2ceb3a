"""The outcomes of this module that aren't success."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from tenants.errors import ApplicationError, Conflict, InvalidInput, NotFound
from tenants.errors import IdempotencyKeyReused as IdempotencyKeyReused


class ConversationNotFound(NotFound):
    """Unknown, deleted, or another tenant's: a caller can't tell which."""

    code = "conversation_not_found"
    message = "There is no such conversation."


class UserNotFound(NotFound):
    """Of users it is only known what they have."""

    code = "user_not_found"
    message = "There is no such user, or nothing of theirs."


class MessageNotFound(NotFound):
    code = "message_not_found"
    message = "There is no such message in this conversation."


class ItemNotFound(NotFound):
    code = "item_not_found"
    message = "There is no such item in this conversation."


class ToolCallNotFound(NotFound):
    code = "tool_call_not_found"
    message = "There is no such tool call in this conversation."


class FeedbackNotFound(NotFound):
    code = "feedback_not_found"
    message = "There is no such feedback on this message."


class AttachmentNotFound(NotFound):
    code = "attachment_not_found"
    message = "There is no such attachment."


class AttachmentTooLarge(ApplicationError):
    status = 413
    code = "attachment_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"An attachment may have {limit} bytes.")


class AttachmentTypeRefused(ApplicationError):
    """allowed: patterns of media types."""

    status = 415
    code = "attachment_type_refused"

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"The media type must be a valid one of: {', '.join(allowed)}.")


class UnknownAttachment(InvalidInput):
    code = "unknown_attachment"
    message = "A message names an `attachment_id` that does not exist."


class ErasureNotFound(NotFound):
    code = "erasure_not_found"
    message = "There is no such receipt of an erasure."


class LegalHold(Conflict):
    code = "legal_hold"
    message = "The conversation is under legal hold: nothing of it may be erased."


class SummaryNotFound(NotFound):
    code = "summary_not_found"
    message = "There is no such summary in this conversation."


class ConversationArchived(Conflict):
    code = "conversation_archived"
    message = "The conversation is archived. Set its status to `active` to append to it."


class CallIdTaken(Conflict):
    code = "call_id_taken"
    message = "The conversation already has a tool call with one of these `call_id`s."


class ExternalIdTaken(Conflict):
    code = "external_id_taken"
    message = "The conversation already has another message with one of these `external_id`s."


class SeqMismatch(ApplicationError):
    """last_seq: the position of the conversation's newest message."""

    status = 412
    code = "seq_mismatch"

    def __init__(self, last_seq: int) -> None:
        super().__init__(f"The conversation's newest message is at {last_seq}, not where expected.")
        self.members = {"last_seq": last_seq}


class ToolCallCompleted(Conflict):
    code = "tool_call_completed"
    message = "The tool call already has another result."


class ToolCallAwaitsApproval(Conflict):
    code = "tool_call_awaits_approval"
    message = (
        "The tool call is `awaiting_approval`. It can be started and answered once it is approved."
    )


class ApprovalNotAwaited(Conflict):
    code = "approval_not_awaited"
    message = "The tool call awaits no approval."


class ToolCallOverdue(Conflict):
    code = "tool_call_overdue"
    message = "The tool call's deadline has passed, and it is about to expire."


class UnknownToolCall(InvalidInput):
    code = "unknown_tool_call"
    message = "A message of role `tool` names a `call_id` that the conversation does not have."


class IdempotencyKeyInUse(Conflict):
    """The first request under this key has not ended."""

    code = "idempotency_key_in_use"
    message = "A request with this Idempotency-Key is under way. Repeat it to learn its outcome."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class ReportTooLarge(InvalidInput):
    code = "report_too_large"

    def __init__(self, rows: int) -> None:
        super().__init__(
            f"The report would have more than {rows} rows. Ask for fewer days, group by less, or "
            "name a user, an agent or a model."
        )


class PositionOutOfRange(InvalidInput):
    code = "position_out_of_range"
    message = "The conversation does not reach to this position."


class BudgetTooSmall(InvalidInput):
    code = "budget_too_small"
    message = "Not even the newest messages fit the budget of tokens."


class ForkTooLarge(InvalidInput):
    code = "fork_too_large"
    message = "A fork here would copy more messages than one may."
