"""Objects of each module, for the places in its paths that name one.

A seed gets a client of a tenant, whose paths begin after `/api/v1`, and a word to put wherever
text can stand. It makes at least two of everything that is listed, and returns a value for each
path parameter of its module's routes, and for each that their URLs must have. Where a route needs
another value, it stands under the parameter and the route's last word, such as `call_id approve`.

What a lasting seed makes stays whatever a tenant does, so it is made once.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

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
    message = f"/conversations/{made['id']}/messages/{made['messages'][0]['id']}"
    for author in (word, f"{word}-2"):
        given = {"author": author, "rating": "up", "comment": word}
        feedback = (await client.put(f"{message}/feedback", json=given)).json()
    attachment = (await client.post("/attachments", **upload(word))).json()
    for seq in (1, 2):
        summary = {"from_seq": 1, "to_seq": seq, "text": word}
        path = f"/conversations/{made['id']}/summaries"
        summarized = (await client.post(path, json=summary)).json()
        await client.post(f"/conversations/{made['id']}/forks", json={"at_seq": seq})
    return {
        "conversation_id": made["id"],
        "message_id": made["messages"][0]["id"],
        # Another wire's name for the same.
        "item_id": made["messages"][0]["id"],
        "call_id": calls[0],
        "call_id approve": calls[2],
        "call_id deny": calls[2],
        "summary_id": summarized["id"],
        "draft_id": "draft",
        "q": word,
        "feedback_id": feedback["id"],
        "attachment_id": attachment["id"],
        "user_id": word,
    }


async def seed_receipts(client: ApiClient, word: str) -> dict[str, str]:
    """What is left of users who were erased; no route takes it away."""
    for number in range(2):
        someone = f"{word}-erased-{number}"
        await client.post("/conversations", json={"user_id": someone})
        erasure = (await client.post(f"/users/{someone}/erase")).json()
    return {"erasure_id": erasure["id"]}


def upload(word: str) -> dict[str, Any]:
    """A form with a file, for a request."""
    return {
        "files": {"file": (f"{word}.txt", word.encode(), "text/plain")},
        "data": {"user_id": word},
    }


async def seed_sample(client: ApiClient, word: str) -> dict[str, str]:
    note = (await client.post("/notes", json={"body": word})).json()
    return {"note_id": note["id"]}


# Parameters whose values callers make up: they name no object of anybody's.
MADE_UP = {"draft_id", "q", "user_id"}
# What a route must be asked for beside its path, to show something of a tenant's.
QUERIES: dict[str, dict[str, str]] = {"GET /api/v1/usage": {"group_by": "agent,user"}}
SEEDS: dict[str, Seed] = {"conversations": seed_conversations, "sample": seed_sample}
LASTING: dict[str, Seed] = {"conversations": seed_receipts}
