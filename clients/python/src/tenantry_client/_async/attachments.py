"""Attachments."""

from tenantry_client._async.resource import Resource
from tenantry_client._calls import Call, make_path, without_none
from tenantry_client.models import Attachment


class Attachments(Resource):
    """Files."""

    async def upload(
        self,
        name: str,
        content: bytes,
        media_type: str = "application/octet-stream",
        *,
        conversation_id: str | None = None,
        user_id: str | None = None,
    ) -> Attachment:
        """conversation_id, user_id: with what it is hidden and erased."""
        call = Call(
            "POST",
            "/attachments",
            files={"file": (name, content, media_type)},
            form=without_none(conversation_id=conversation_id, user_id=user_id),
        )
        return await self._ask(Attachment, call)

    async def get(self, attachment_id: str) -> Attachment:
        return await self._get(Attachment, make_path("/attachments/{}", attachment_id))

    async def download(self, attachment_id: str) -> bytes:
        call = Call("GET", make_path("/attachments/{}/content", attachment_id))
        return (await self._transport.send(call)).content

    async def delete(self, attachment_id: str) -> None:
        """Delete it for good. Messages that name it stay as they are."""
        await self._delete(make_path("/attachments/{}", attachment_id))
