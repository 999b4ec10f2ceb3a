"""The examples of docs/context.md are what the API answers."""

import json
import re

from project.dev.settings import ROOT

PAGE = (ROOT / "docs" / "context.md").read_text()
SUMMARY = {"from_seq": 2, "to_seq": 3, "text": "The user plans a weekend in Norway."}


def read_examples():
    conversation, whole, chat, responses = map(
        json.loads, re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    )
    return conversation, whole, {"openai-chat": chat, "openai-responses": responses}


async def test_the_page_shows_each_format_as_it_is(api):
    conversation, whole, requests = read_examples()
    made = (await api.post("/conversations", json=conversation)).json()
    path = f"/conversations/{made['id']}"
    await api.post(f"{path}/summaries", json=SUMMARY)

    async def ask(shape):
        query = {"max_tokens": 90, "format": shape}
        return (await api.get(f"{path}/context", params=query)).json()

    answer = await ask("anthropic-messages")
    for shown in (answer["summary"], whole["summary"]):
        for name in ("id", "conversation_id", "created_at"):
            shown.pop(name)
    assert answer == whole | {"conversation_id": made["id"]}
    for shape, request in requests.items():
        assert (await ask(shape))["request"] == request
