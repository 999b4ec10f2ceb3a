"""The outcomes of this module that aren't success."""

from tenants.errors import Conflict, InvalidInput, NotFound


class ConversationNotFound(NotFound):
    """Unknown, deleted, or another tenant's: a caller can't tell which."""

    code = "conversation_not_found"
    message = "There is no such conversation."


class MessageNotFound(NotFound):
    code = "message_not_found"
    message = "There is no such message in this conversation."


class ToolCallNotFound(NotFound):
    code = "tool_call_not_found"
    message = "There is no such tool call in this conversation."


class SummaryNotFound(NotFound):
    code = "summary_not_found"
    message = "There is no such summary in this conversation."


class ConversationArchived(Conflict):
    code = "conversation_archived"
    message = "The conversation is archived. Set its status to `active` to append to it."


class CallIdTaken(Conflict):
    code = "call_id_taken"
    message = "The conversation already has a tool call with one of these `call_id`s."


class ToolCallCompleted(Conflict):
    code = "tool_call_completed"
    message = "The tool call already has another result."


class UnknownToolCall(InvalidInput):
    code = "unknown_tool_call"
    message = "A message of role `tool` names a `call_id` that the conversation does not have."


class PositionOutOfRange(InvalidInput):
    code = "position_out_of_range"
    message = "The conversation does not reach to this position."


class BudgetTooSmall(InvalidInput):
    code = "budget_too_small"
    message = "Not even the newest messages fit the budget of tokens."


class ForkTooLarge(InvalidInput):
    code = "fork_too_large"
    message = "A fork here would copy more messages than one may."
