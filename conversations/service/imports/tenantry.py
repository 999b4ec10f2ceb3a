"""Our own format: each record a line, in the order in which an export writes them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from conversations.schemas import (
    CONVERSATION_PREFIX,
    RECORDS,
    AttachmentRecord,
    CallRecord,
    ConversationRecord,
    End,
    FeedbackRecord,
    Header,
    MessageRecord,
    SummaryRecord,
)
from conversations.service.imports.drafts import Branch, Draft, DraftMessage
from conversations.service.imports.framing import Item
from conversations.service.imports.report import Report
from tenants.errors import InvalidInput
from tenants.ids import find_id

_COUNTED = {
    ConversationRecord: "conversations",
    MessageRecord: "messages",
    SummaryRecord: "summaries",
    FeedbackRecord: "feedback",
    AttachmentRecord: "attachments",
}
_USAGE = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")


def read(items: Iterator[Item], report: Report, most_messages: int | None) -> Iterator[Draft]:
    """Neighbouring lines of a conversation together, with its own line or without.

    most_messages: of a draft, where it matters.
    Raises InvalidInput (422) for a header that isn't ours.
    """
    report.complete = False
    seen: Counter[str] = Counter()
    draft: Draft | None = None
    for item in items:
        try:
            record = RECORDS.validate_json(item.text, strict=True)
        except ValidationError as error:
            reason = _explain(error)
            if isinstance(item.document, dict) and item.document.get("type") == "header":
                raise InvalidInput(f"Line {item.line} is no header that is known: {reason}") from (
                    error
                )
            report.skip(item.line, reason)
            continue
        if type(record) in _COUNTED:
            seen[_COUNTED[type(record)]] += 1
        if isinstance(record, Header):
            seen.clear()
        elif isinstance(record, End):
            seen["tool_calls"] = record.counts["tool_calls"]  # They have no lines of their own.
            report.complete = seen == Counter(record.counts)
        elif isinstance(record, AttachmentRecord):
            report.skip(item.line, "an export has no files' bytes: upload this one by itself")
        elif isinstance(record, ConversationRecord):
            if draft is not None:
                yield draft
            draft = _begin(item.line, record)
        else:
            if draft is None or draft.source != _source(record.conversation_id):
                if draft is not None:
                    yield draft
                draft = _go_on(item.line, record.conversation_id)
            elif len(draft.messages) == most_messages:
                yield draft
                draft = replace(_go_on(item.line, record.conversation_id), read_seq=draft.read_seq)
            _add(draft, item.line, record)
    if draft is not None:
        yield draft


def _source(conversation_id: str) -> str:
    return f"tenantry:{conversation_id}"


def _begin(line: int, record: ConversationRecord) -> Draft:
    draft = _go_on(line, record.id)
    draft.read_seq = record.read_seq
    if record.parent_id is not None:
        parent_own_id = find_id(CONVERSATION_PREFIX, record.parent_id)
        draft.branch = Branch(draft.source, draft.own_id, _source(record.parent_id), parent_own_id)
    kept = {"user_id", "agent_id", "title", "language", "status", "metadata", "fork_seq"}
    moments = {"created_at", "updated_at", "last_activity_at"}
    draft.values = {
        **record.model_dump(include=kept | moments | {"legal_hold"}),
        "retain_until": record.expires_at,
    }
    return draft


def _go_on(line: int, conversation_id: str) -> Draft:
    own_id = find_id(CONVERSATION_PREFIX, conversation_id)
    return Draft(line, _source(conversation_id), values=None, own_id=own_id)


def _add(draft: Draft, line: int, record: MessageRecord | SummaryRecord | FeedbackRecord) -> None:
    if isinstance(record, SummaryRecord):
        draft.summaries.append((line, record))
    elif isinstance(record, FeedbackRecord):
        draft.feedback.append((line, record))
    else:
        draft.messages.append(
            DraftMessage(
                line,
                record.seq,
                record.id,
                _row(record),
                [_call(call, record) for call in record.tool_calls],
            )
        )


def _row(record: MessageRecord) -> dict[str, Any]:
    kept = ("role", "kind", "status", "language", "call_id", "model", "token_count")
    others = ("external_id", "extra", "created_at", "deleted_at")
    is_text = not isinstance(record.content, list)
    return {
        **{name: getattr(record, name) for name in (*kept, *others)},
        "content": None if is_text else record.content,
        "text": record.content if is_text else record.text,
        **{name: getattr(record.usage, name, None) for name in _USAGE},
        "cost": None if record.cost is None else str(record.cost),
    }


def _call(record: CallRecord, message: MessageRecord) -> dict[str, Any]:
    values = record.model_dump(exclude={"id", "output_message_id"})
    values["deleted_at"] = record.deleted_at or message.deleted_at
    return values


def _explain(error: ValidationError) -> str:
    """What is wrong with a line: the first of it."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # The path begins with the record's type, and names kinds of content in angles.
    place = ".".join(str(part) for part in first["loc"][1:] if not str(part).startswith("<"))
    reason = first["msg"].removeprefix("Value error, ")
    return f"{place}: {reason}" if place else reason
