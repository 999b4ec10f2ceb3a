"""Objects of each module, for the places in its paths that name one.

A seed gets a client of a tenant, whose paths begin after `/api/v1`, and a word to put wherever
text can stand. It makes at least two of everything that is listed, and returns a value for each
path parameter of its module's routes, and for each that their URLs must have.
"""

import secrets
from collections.abc import Awaitable, Callable

from tenants.testing import ApiClient

Seed = Callable[[ApiClient, str], Awaitable[dict[str, str]]]


async def seed_conversations(client: ApiClient, word: str) -> dict[str, str]:
    calls = [f"call_{secrets.token_hex(8)}" for _ in range(2)]
    conversation = {
        "title": word,
        "user_id": word,
        "agent_id": word,
        "metadata": {"word": word},
        "messages": [
            {"role": "user", "content": word},
            {
                "role": "assistant",
                "content": word,
                "tool_calls": [
                    {"call_id": call, "name": word, "arguments": {"word": word}} for call in calls
                ],
            },
        ],
    }
    for _ in range(2):
        made = (await client.post("/conversations", json=conversation)).json()
    return {
        "conversation_id": made["id"],
        "message_id": made["messages"][0]["id"],
        # Another wire's name for the same.
        "item_id": made["messages"][0]["id"],
        "call_id": calls[0],
        "draft_id": "draft",
        "user_id": word,
    }


async def seed_sample(client: ApiClient, word: str) -> dict[str, str]:
    note = (await client.post("/notes", json={"body": word})).json()
    return {"note_id": note["id"]}


# Parameters whose values callers make up: they name no object of anybody's.
MADE_UP = {"draft_id", "user_id"}
# What a route must be asked for beside its path, to show something of a tenant's.
QUERIES: dict[str, dict[str, str]] = {"GET /api/v1/usage": {"group_by": "agent,user"}}
SEEDS: dict[str, Seed] = {"conversations": seed_conversations, "sample": seed_sample}
