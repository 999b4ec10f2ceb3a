"""Sessions of the OpenAI Agents SDK that are kept in Tenantry."""

from agents import OpenAIConversationsSession
from openai import AsyncOpenAI


class TenantrySession(OpenAIConversationsSession):
    """A `Session`: `Runner.run(agent, "Hello", session=TenantrySession(url, key))`.

    It speaks the service's OpenAI wire, on which every item comes back exactly as it was given,
    and retries are recognised. conversation_id: one to go on with; without it the first item
    starts one.
    """

    def __init__(self, base_url: str, api_key: str, conversation_id: str | None = None) -> None:
        self._client = AsyncOpenAI(base_url=f"{base_url.rstrip('/')}/openai/v1", api_key=api_key)
        super().__init__(conversation_id=conversation_id, openai_client=self._client)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()
