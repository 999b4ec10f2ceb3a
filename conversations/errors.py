"""The outcomes of this module that aren't success."""

from tenants.errors import ApplicationError, Conflict, InvalidInput, NotFound


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


class UnknownToolCall(InvalidInput):
    code = "unknown_tool_call"
    message = "A message of role `tool` names a `call_id` that the conversation does not have."
