"""Forks, edits, and the tree that they make."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from conversations import errors, repository, schemas
from conversations.schemas import CONVERSATION_PREFIX
from conversations.service.conversations import get_conversation
from conversations.service.keys import conversation_key, given_call_id
from conversations.service.messages import PREVIEW_CHARACTERS, append_messages, get_message
from conversations.settings import get_settings
from tenants.db.pagination import decode_cursor, make_page
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.errors import InvalidInput
from tenants.ids import find_id, new_id, show_id

_OWN = {"title", "metadata", "user_id"}


async def fork_conversation(
    session: WriteSession, conversation_id: str, new: schemas.NewFork
) -> schemas.Conversation:
    """A new conversation with the history of another one up to a position.

    Raises ConversationNotFound (404), PositionOutOfRange, ForkTooLarge (422).
    """
    return await get_conversation(session, await _fork(session, conversation_id, new.at_seq, new))


async def edit_message(
    session: WriteSession, conversation_id: str, message_id: str, edited: schemas.EditedMessage
) -> schemas.ConversationWithMessages:
    """A new conversation with the history before a message, and the edited one in its place.

    Raises ConversationNotFound, MessageNotFound (404), ForkTooLarge, InvalidInput (422).
    """
    original = await get_message(session, conversation_id, message_id)
    if edited.tool_calls and original["role"] != "assistant":
        reason = "only an assistant's message has tool_calls"
        raise InvalidInput(errors=[("tool_calls", reason)])
    call_id = original["call_id"]
    branch = await _fork(session, conversation_id, original["seq"] - 1, edited, answered=call_id)
    given = edited.model_dump(exclude_unset=True, exclude=_OWN)
    message = schemas.NewMessage.model_validate(
        {**given, "role": original["role"], "call_id": given_call_id(call_id)}
    )
    messages = await append_messages(session, branch, [message])
    return {**await get_conversation(session, branch), "messages": messages}


async def list_branches(
    session: ReadSession, conversation_id: str, query: schemas.BranchQuery
) -> schemas.Branches:
    """The way to a conversation, and a page of those that branch off from it.

    Raises ConversationNotFound (404), InvalidCursor (400).
    """
    listing = ["branches", conversation_id]
    after = None
    if query.after is not None:
        fork_seq, key = decode_cursor(session.tenant, listing, query.after, [int, UUID])
        after = (fork_seq, key)
    tree = await repository.list_branches(
        session, conversation_key(conversation_id), after=after, limit=query.limit + 1
    )
    if tree is None:
        raise errors.ConversationNotFound
    positions = [(each["fork_seq"], _key(each["id"])) for each in tree.branches]
    page = make_page(session.tenant, listing, tree.branches, positions, query.limit)
    return {"path": _connect(tree.path), **page}


async def _fork(
    session: WriteSession,
    conversation_id: str,
    at_seq: int,
    details: schemas.BranchDetails,
    *,
    answered: str | None = None,
) -> str:
    """Copy, and return the new conversation's id. answered: as in `copy_conversation`."""
    limit = get_settings().max_fork_messages
    copy_id, own = new_id(), details.model_dump(include=_OWN & details.model_fields_set)
    is_copied = at_seq <= limit and await repository.copy_conversation(
        session,
        conversation_key(conversation_id),
        copy_id,
        at_seq,
        own,
        answered=answered,
        now=datetime.now(UTC),
        preview_characters=PREVIEW_CHARACTERS,
    )
    if not is_copied:
        conversation = await get_conversation(session, conversation_id)
        if at_seq > conversation["last_seq"]:
            raise errors.PositionOutOfRange(
                f"The conversation reaches to position {conversation['last_seq']} only.",
                errors=[("at_seq", "is greater than the conversation's last_seq")],
            )
        raise errors.ForkTooLarge(
            f"A fork here would copy {at_seq} messages; {limit} is the limit."
        )
    return show_id(CONVERSATION_PREFIX, copy_id)


def _connect(path: Sequence[tuple[schemas.Branch, bool]]) -> list[schemas.Branch]:
    """The way down to a conversation, past those that were deleted.

    path: the way up, with whether each one is there. Positions are the same all along, so what
    branched off from a deleted one branches off from the one before, where that one did at the
    latest.
    """
    connected: list[schemas.Branch] = []
    for branch, is_there in path:
        if is_there:
            connected.append(branch)
        elif branch["fork_seq"] is not None:
            connected[-1]["fork_seq"] = min(connected[-1]["fork_seq"] or 0, branch["fork_seq"])
    connected[-1]["fork_seq"] = None
    return connected[::-1]


def _key(shown: str) -> UUID | None:
    return find_id(CONVERSATION_PREFIX, shown)
