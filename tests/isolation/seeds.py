"""Objects of each module, for the places in its paths that name one.

A seed gets a client of a tenant, whose paths begin after `/api/v1`, and a word to put wherever
text can stand. It makes at least two of everything that is listed, and returns a value for each
path parameter of its module's routes. Where a route needs another value, it stands under the
parameter and the route's last word, such as `call_id approve`.
"""

import secrets
from collections.abc import Awaitable, Callable

from tenants.testing import ApiClient

Seed = Callable[[ApiClient, str], Awaitable[dict[str, str]]]


async def seed_conversations(client: ApiClient, word: str) -> dict[str, str]:
    calls = [f"call_{secrets.token_hex(8)}" for _ in range(3)]
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
                    {
                        "call_id": call,
                        "name": word,
                        "arguments": {"word": word},
                        "requires_approval": call == calls[2],
                    }
                    for call in calls
                ]
                # Soon overdue, for the check to find.
                + [{"call_id": f"call_{word}", "name": word, "timeout_seconds": 0.001}],
            },
        ],
    }
    for _ in range(2):
        made = (await client.post("/conversations", json=conversation)).json()
    return {
        "conversation_id": made["id"],
        "message_id": made["messages"][0]["id"],
        "call_id": calls[0],
        "call_id approve": calls[2],
        "call_id deny": calls[2],
    }


async def seed_sample(client: ApiClient, word: str) -> dict[str, str]:
    note = (await client.post("/notes", json={"body": word})).json()
    return {"note_id": note["id"]}


SEEDS: dict[str, Seed] = {"conversations": seed_conversations, "sample": seed_sample}
