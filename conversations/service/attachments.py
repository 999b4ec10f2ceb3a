"""Files that messages refer to.

What deals with bytes takes the tenant and its files, and no session: none is held while a storage
takes its time. The bytes are there before the row is, and gone before it is gone: whatever
happens in between, no row lacks its bytes that anybody reads, and bytes without a row are found by
their names (`jobs.remove_stray_files`).
"""

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from conversations import errors, repository, schemas
from conversations.schemas import ATTACHMENT_PREFIX
from conversations.service.keys import conversation_key
from conversations.settings import get_settings
from tenants.db.unit_of_work import ReadSession, WriteSession, read_session, write_session
from tenants.errors import CommitInDoubt, FileStoreUnavailable
from tenants.files import Content, FileStore
from tenants.ids import find_id, new_id
from tenants.tenant import TenantRef

UNKNOWN_TYPE = "application/octet-stream"
# Source: RFC 6838, section 4.2.
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")


@asynccontextmanager
async def keep_upload(
    files: FileStore,
    content: Content,
    name: str,
    media_type: str,
    new: schemas.NewAttachment,
) -> AsyncGenerator[Callable[[WriteSession], Awaitable[schemas.Attachment]], None]:
    """Save the bytes of a file, and give what writes its row, in a transaction of the block's.

    name: what people call it. media_type: as the client says it, maybe empty.
    If the block ends without a row the bytes are removed again.
    Raises AttachmentTooLarge (413), AttachmentTypeRefused (415), FileStoreUnavailable (503),
    StorageFull (507); what is given raises ConversationNotFound (404).
    """
    if content.size > get_settings().max_attachment_bytes:
        raise errors.AttachmentTooLarge(get_settings().max_attachment_bytes)
    media_type = media_type.lower() or UNKNOWN_TYPE
    _check_media_type(media_type)
    attachment_id = new_id()
    conversation = conversation_key(new.conversation_id) if new.conversation_id else None
    digest = await asyncio.to_thread(_hash, content)
    storage_name = await files.save(attachment_id.hex, content)
    values = {
        "id": attachment_id,
        "conversation_id": conversation,
        "user_id": new.user_id,
        "name": name,
        "media_type": media_type,
        "size": content.size,
        "sha256": digest,
        "created_at": datetime.now(UTC),
        "storage_name": storage_name,
    }
    is_written = False

    async def write(session: WriteSession) -> schemas.Attachment:
        nonlocal is_written
        attachment = await repository.insert_attachment(session, values)
        if attachment is None:
            raise errors.ConversationNotFound
        is_written = True
        return attachment

    try:
        yield write
    except CommitInDoubt:
        raise  # The row may be there, and need its bytes.
    except Exception:
        await _discard(files, storage_name)
        raise
    if not is_written:
        await _discard(files, storage_name)


async def get_attachment(session: ReadSession, attachment_id: str) -> schemas.Attachment:
    """Raises AttachmentNotFound (404), also where its conversation is hidden."""
    return (await _get_stored(session, attachment_id)).shown


async def open_attachment(
    tenant: TenantRef, files: FileStore, attachment_id: str
) -> tuple[schemas.Attachment, AsyncGenerator[bytes, None]]:
    """An attachment and its bytes, in parts.

    Raises AttachmentNotFound (404), FileStoreUnavailable (503).
    """
    async with read_session(tenant) as session:
        stored = await _get_stored(session, attachment_id)
    parts = await files.open(stored.storage_name)
    if parts is None:  # It is being deleted at this moment.
        raise errors.AttachmentNotFound
    return stored.shown, parts


async def delete_attachment(tenant: TenantRef, files: FileStore, attachment_id: str) -> None:
    """Remove a file for good. Messages that name it are left as they are.

    Raises AttachmentNotFound (404), LegalHold (409), FileStoreUnavailable (503).
    """
    async with read_session(tenant) as session:
        stored = await _get_stored(session, attachment_id)
    if stored.is_held:
        raise errors.LegalHold
    await files.delete(stored.storage_name)
    key = find_id(ATTACHMENT_PREFIX, attachment_id)
    async with write_session(tenant) as session:
        if key is None or not await repository.delete_attachment(session, key):
            raise errors.AttachmentNotFound


async def check_attachments(session: ReadSession, attachment_ids: Iterable[str]) -> None:
    """See that messages may name these attachments. Raises UnknownAttachment (422)."""
    wanted = {find_id(ATTACHMENT_PREFIX, each) for each in attachment_ids}
    keys = [key for key in wanted if key is not None]
    if len(keys) < len(wanted):
        raise errors.UnknownAttachment
    if keys and await repository.count_attachments(session, keys) < len(keys):
        raise errors.UnknownAttachment


async def find_strays(session: ReadSession, names: Sequence[str]) -> set[str]:
    """Which of these files no attachment has. names: beginning with an id, as ours do."""
    return set(names) - await repository.list_storage_names(session, names)


async def _get_stored(session: ReadSession, attachment_id: str) -> repository.StoredAttachment:
    key = find_id(ATTACHMENT_PREFIX, attachment_id)
    stored = await repository.find_attachment(session, key) if key else None
    if stored is None:
        raise errors.AttachmentNotFound
    return stored


def _check_media_type(media_type: str) -> None:
    allowed = get_settings().attachment_media_types
    if not _MEDIA_TYPE.fullmatch(media_type) or not any(
        pattern in {"*/*", media_type}
        or (pattern.endswith("/*") and media_type.startswith(pattern[:-1]))
        for pattern in allowed
    ):
        raise errors.AttachmentTypeRefused(allowed)


async def _discard(files: FileStore, storage_name: str) -> None:
    # Where this fails too, a job finds them.
    with contextlib.suppress(FileStoreUnavailable):
        await files.delete(storage_name)


def _hash(content: Content) -> bytes:
    content.file.seek(0)
    digest = hashlib.sha256()
    while part := content.file.read(1024 * 1024):
        digest.update(part)
    return digest.digest()
