"""The context: the newest part of a history that fits a budget of tokens, for a model."""

from collections.abc import Sequence
from typing import Any, cast

from conversations import errors, repository, schemas
from conversations.service.formats import (
    OPENING,
    render_anthropic,
    render_chat,
    render_responses,
)
from conversations.service.history import make_valid
from conversations.service.keys import conversation_key
from conversations.service.tokens import (
    MESSAGE_TOKENS,
    SUMMARY_INTRODUCTION,
    count_message,
    estimate_text,
)
from conversations.service.window import (
    choose_window,
    find_left_out,
    find_unsummarized,
    group_messages,
)
from conversations.settings import get_settings
from tenants.db.unit_of_work import ReadSession

_INSTRUCTING = ("system", "developer")


async def build_context(
    session: ReadSession, conversation_id: str, query: schemas.ContextQuery
) -> schemas.Context:
    """The newest part of a history that fits, in the format asked for.

    Raises ConversationNotFound (404), BudgetTooSmall (422).
    """
    history = await repository.read_history(
        session,
        conversation_key(conversation_id),
        budget=query.max_tokens,
        cap=get_settings().max_context_messages,
    )
    if history is None:
        raise errors.ConversationNotFound
    return make_context(conversation_id, history, query)


def make_context(
    conversation_id: str, history: repository.History, query: schemas.ContextQuery
) -> schemas.Context:
    """Raises BudgetTooSmall (422)."""
    messages = make_valid(history.messages)
    instructions = [each for each in messages if each["role"] in _INSTRUCTING]
    groups = group_messages([each for each in messages if each["role"] not in _INSTRUCTING])
    is_whole = history.first_seq is None or history.start <= history.first_seq
    left_out_from = None if is_whole else history.first_seq
    opening = MESSAGE_TOKENS + estimate_text(OPENING) if query.format == "anthropic-messages" else 0
    fixed = sum(count_message(message)[0] for message in instructions)
    window = choose_window(
        groups,
        history.summaries,
        room=query.max_tokens - fixed,
        left_out_from=left_out_from,
        opening_tokens=opening,
    )
    if window is None:
        newest = groups[-1:]
        is_opened = not newest or newest[0].opens
        least = fixed + sum(group.tokens for group in newest) + (0 if is_opened else opening)
        raise _too_small(query.max_tokens, least)
    first = groups[window.begin].messages[0] if window.begin < len(groups) else None
    place = next((at for at, each in enumerate(messages) if each is first), len(messages))
    before = [each for each in messages[:place] if each["role"] in _INSTRUCTING]
    kept = messages[place:]
    left_out = find_left_out(groups, window, left_out_from)
    return cast(
        schemas.Context,
        {
            "conversation_id": conversation_id,
            "format": query.format,
            "from_seq": first["seq"] if first else None,
            "to_seq": max(message["seq"] for message in kept) if first else None,
            "max_tokens": query.max_tokens,
            "token_count": fixed + window.tokens,
            "estimated_count": _count_estimates([*before, *kept], window.summary),
            "truncated": left_out is not None,
            "summary": window.summary,
            "unsummarized": left_out and find_unsummarized(left_out, window.summary),
            "request": _render(query, before, window.summary, kept),
        },
    )


def _render(
    query: schemas.ContextQuery,
    before: list[schemas.Message],
    summary: schemas.Summary | None,
    kept: list[schemas.Message],
) -> dict[str, Any]:
    """The history for the API that was asked for: instructions, a summary, what is kept."""
    model = {"model": query.model} if query.model is not None else {}
    if query.format == "native":
        return {"messages": [*before, *kept]} | model
    between = [_summary_message(summary)] if summary is not None else []
    messages = [*before, *between, *kept]
    if query.format == "openai-responses":
        return {"input": render_responses(messages)} | model
    if query.format == "openai-chat":
        return {"messages": render_chat(messages)} | model
    turns, system = render_anthropic(messages)
    return {"messages": turns} | ({"system": system} if system else {}) | model


def _summary_message(summary: schemas.Summary) -> schemas.Message:
    """The summary as a message of the user.

    It tells what users and tools have said, and must not weigh as much as the instructions.
    """
    return {
        "id": summary["id"],
        "conversation_id": summary["conversation_id"],
        "seq": summary["from_seq"],
        "role": "user",
        "kind": "message",
        "status": "completed",
        "content": SUMMARY_INTRODUCTION + summary["text"],
        "call_id": None,
        "external_id": None,
        "model": summary["model"],
        "token_count": summary["token_count"],
        "usage": None,
        "cost": None,
        "tool_calls": [],
        "created_at": summary["created_at"],
    }


def _count_estimates(messages: Sequence[schemas.Message], summary: schemas.Summary | None) -> int:
    counts = [count_message(message)[1] for message in messages]
    return sum(counts) + (summary is not None and summary["token_count"] is None)


def _too_small(max_tokens: int, least: int) -> errors.BudgetTooSmall:
    return errors.BudgetTooSmall(
        f"The newest messages and those that instruct the model have {least} tokens together; "
        f"`max_tokens` is {max_tokens}.",
        errors=[("max_tokens", f"must be at least {least}")],
    )
