"""Attachments; their bytes are elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, delete, func, insert, literal, or_, select

from conversations import schemas
from conversations.schemas import ATTACHMENT_PREFIX, CONVERSATION_PREFIX
from conversations.statements import ATTACHMENTS, CONVERSATIONS, IS_KEPT
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import show_id


class StoredAttachment(NamedTuple):
    """storage_name: where its bytes are. is_held: whether its conversation is under legal hold."""

    shown: schemas.Attachment
    storage_name: str
    is_held: bool


async def insert_attachment(
    session: WriteSession, values: Mapping[str, Any]
) -> schemas.Attachment | None:
    """values: by column name. None if its conversation is not there."""
    conversation_id = values["conversation_id"]
    if conversation_id is None:
        statement = insert(ATTACHMENTS).values(dict(values))
    else:
        # The lock keeps the conversation from being erased before the row that refers to it is
        # there.
        row = (
            select(*(literal(value, ATTACHMENTS.c[name].type) for name, value in values.items()))
            .select_from(CONVERSATIONS)
            .where(CONVERSATIONS.c.id == conversation_id, IS_KEPT)
            .with_for_update(read=True)
        )
        statement = insert(ATTACHMENTS).from_select(list(values), row, include_defaults=False)
    inserted = (await session.execute(statement.returning(*ATTACHMENTS.c))).first()
    return _show_attachment(inserted) if inserted is not None else None


async def find_attachment(session: ReadSession, attachment_id: UUID) -> StoredAttachment | None:
    """The attachment, unless its conversation is hidden."""
    query = (
        select(*ATTACHMENTS.c, func.coalesce(CONVERSATIONS.c.legal_hold, False).label("is_held"))
        .outerjoin(CONVERSATIONS, CONVERSATIONS.c.id == ATTACHMENTS.c.conversation_id)
        .where(ATTACHMENTS.c.id == attachment_id, _is_shown())
    )
    row = (await session.execute(query)).first()
    if row is None:
        return None
    return StoredAttachment(_show_attachment(row), row.storage_name, row.is_held)


async def count_attachments(session: ReadSession, attachment_ids: Sequence[UUID]) -> int:
    """How many of these there are, those of hidden conversations excepted."""
    query = (
        select(func.count())
        .select_from(ATTACHMENTS)
        .outerjoin(CONVERSATIONS, CONVERSATIONS.c.id == ATTACHMENTS.c.conversation_id)
        .where(_is_one_of(attachment_ids), _is_shown())
    )
    return (await session.execute(query)).scalar_one()


async def delete_attachment(session: WriteSession, attachment_id: UUID) -> bool:
    """Whether there was such an attachment, and isn't any more."""
    statement = delete(ATTACHMENTS).where(ATTACHMENTS.c.id == attachment_id)
    return bool((await session.execute(statement.returning(ATTACHMENTS.c.id))).first())


async def list_storage_names(session: ReadSession, names: Sequence[str]) -> set[str]:
    """Those of the names that an attachment has, hidden or not."""
    query = select(ATTACHMENTS.c.storage_name).where(
        # They begin with the attachment's id, which has an index.
        _is_one_of([UUID(hex=name[:32]) for name in names])
    )
    return set(await session.scalars(query))


def _is_one_of(attachment_ids: Sequence[UUID]) -> Any:
    wanted = bindparam("wanted", list(attachment_ids), type_=ARRAY(Uuid))
    return ATTACHMENTS.c.id == func.any(wanted)


def _is_shown() -> Any:
    return or_(ATTACHMENTS.c.conversation_id.is_(None), IS_KEPT)


def _show_attachment(row: Any) -> schemas.Attachment:
    conversation = row.conversation_id
    return {
        "id": show_id(ATTACHMENT_PREFIX, row.id),
        "conversation_id": show_id(CONVERSATION_PREFIX, conversation) if conversation else None,
        "user_id": row.user_id,
        "name": row.name,
        "media_type": row.media_type,
        "size": row.size,
        "sha256": row.sha256.hex(),
        "created_at": row.created_at,
    }
