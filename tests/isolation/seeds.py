"""Objects of each module, for the places in its paths that name one.

A seed gets a client of a tenant, whose paths begin after `/api/v1`, and a word to put wherever
text can stand. It makes at least two of everything that is listed, and returns a value for each
path parameter of its module's routes.
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
    for seq in (1, 2):
        summary = {"from_seq": 1, "to_seq": seq, "text": word}
        path = f"/conversations/{made['id']}/summaries"
        summarized = (await client.post(path, json=summary)).json()
        await client.post(f"/conversations/{made['id']}/forks", json={"at_seq": seq})
    return {
        "conversation_id": made["id"],
        "message_id": made["messages"][0]["id"],
        "call_id": calls[0],
        "summary_id": summarized["id"],
    }


async def seed_sample(client: ApiClient, word: str) -> dict[str, str]:
    note = (await client.post("/notes", json={"body": word})).json()
    return {"note_id": note["id"]}


SEEDS: dict[str, Seed] = {"conversations": seed_conversations, "sample": seed_sample}
