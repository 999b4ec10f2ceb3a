"""The API against a simple model of a conversation: whatever is done to it, both agree.

After each step: positions are contiguous, pages in both directions with any limit show what the
model holds, counts and sums are right, the check finds nothing, and what a model would read pairs
each call with its output. What is refused has changed nothing.
"""

import secrets
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conversations.test_router import read, start

EVERY_STEP = 12
WORDS = st.text(alphabet="abc ä🙂\n", min_size=1, max_size=12)


@dataclass
class Entry:
    """A message. position: its `seq`."""

    position: int
    role: str
    text: str | None
    tokens: int | None = None
    external_id: str | None = None
    call_id: str | None = None
    calls: list[str] = field(default_factory=list)
    hidden: bool = False

    def body(self):
        body = {"role": self.role, "content": self.text, "token_count": self.tokens}
        if self.external_id is not None:
            body["external_id"] = self.external_id
        if self.call_id is not None:
            body["call_id"] = self.call_id
        if self.calls:
            calls = [{"call_id": call, "name": "f", "arguments": {}} for call in self.calls]
            body["tool_calls"] = calls
        return body


class Log:
    """A conversation as it should be."""

    def __init__(self):
        self.entries: list[Entry] = []
        # Whether a call is open, by its id.
        self.calls: dict[str, bool] = {}
        self.archived = False

    @property
    def shown(self):
        return [entry for entry in self.entries if not entry.hidden]

    def add(self, entries):
        for entry in entries:
            entry.position = len(self.entries) + 1
            self.entries.append(entry)
            self.calls |= dict.fromkeys(entry.calls, True)
            if entry.call_id is not None:
                self.calls[entry.call_id] = False


def new_call():
    return f"call_{secrets.token_hex(6)}"


def draw_entry(data, open_calls):
    """A message that may be appended; it takes the call that it answers from those given."""
    kinds = ["user", "system", "assistant", "asking"] + ["tool"] * (2 if open_calls else 0)
    kind = data.draw(st.sampled_from(kinds), label="kind")
    text, tokens = data.draw(WORDS), data.draw(st.none() | st.integers(0, 50))
    named = secrets.token_hex(4) if data.draw(st.booleans()) else None
    if kind == "tool":
        call = open_calls.pop(data.draw(st.integers(0, len(open_calls) - 1)))
        return Entry(0, "tool", text, tokens, named, call_id=call)
    if kind == "asking":
        calls = [new_call() for _ in range(data.draw(st.integers(1, 3)))]
        open_calls += calls
        return Entry(0, "assistant", data.draw(st.none() | WORDS), tokens, named, calls=calls)
    return Entry(0, kind, text, tokens, named)


class Steps:
    """What can be done to a conversation, to both of them."""

    def __init__(self, api, data, conversation_id):
        self.api, self.data, self.log = api, data, Log()
        self.path = f"/conversations/{conversation_id}"
        self.id = conversation_id

    def open_calls(self):
        return [call for call, is_open in self.log.calls.items() if is_open]

    def expect(self, answer, status, code=None):
        """An archived conversation takes nothing."""
        if self.log.archived and status < 300:
            status, code = 409, "conversation_archived"
        assert answer.status_code == status, answer.text
        assert code is None or answer.json()["code"] == code
        return answer.is_success

    async def append(self):
        open_calls = self.open_calls()
        count = self.data.draw(st.integers(1, 4), label="count")
        entries = [draw_entry(self.data, open_calls) for _ in range(count)]
        expected = self.data.draw(st.sampled_from([None, len(self.log.entries)]))
        query = {} if expected is None else {"expected_seq": expected}
        body = {"messages": [entry.body() for entry in entries]}
        answer = await self.api.post(f"{self.path}/messages", json=body, params=query)
        if self.expect(answer, 201):
            self.log.add(entries)
            shown = [message["seq"] for message in answer.json()["data"]]
            assert shown == [entry.position for entry in entries]

    async def repeat(self):
        """An exact repeat is answered with the original, beside something new."""
        named = [entry for entry in self.log.shown if entry.external_id]
        if not named or self.log.archived:
            return
        entry = self.data.draw(st.sampled_from(named))
        fresh = Entry(0, "user", "new beside a repeat", 1)
        body = {"messages": [entry.body(), fresh.body()]}
        answer = await self.api.post(f"{self.path}/messages", json=body)
        assert answer.status_code == 201, answer.text
        self.log.add([fresh])
        shown = [message["seq"] for message in answer.json()["data"]]
        assert shown == [entry.position, fresh.position]

    async def contradict(self):
        named = [entry for entry in self.log.shown if entry.external_id and not entry.calls]
        if named and not self.log.archived:
            entry = self.data.draw(st.sampled_from(named))
            other = {**entry.body(), "content": "something else"}
            body = {"messages": [{"role": "user", "content": "lost"}, other]}
            answer = await self.api.post(f"{self.path}/messages", json=body)
            self.expect(answer, 409, "external_id_taken")

    async def miss(self):
        """A batch of which one message can't be written, and one for a position long gone."""
        if self.log.archived:
            return
        answered = [call for call, is_open in self.log.calls.items() if not is_open]
        wrong = {"role": "tool", "call_id": "call_nobodys", "content": "x"}
        status, code = 422, "unknown_tool_call"
        if answered and self.data.draw(st.booleans()):
            wrong["call_id"], status, code = answered[0], 409, "tool_call_completed"
        body = {"messages": [{"role": "user", "content": "lost"}, wrong]}
        self.expect(await self.api.post(f"{self.path}/messages", json=body), status, code)
        query = {"expected_seq": len(self.log.entries) + 1}
        body = {"role": "user", "content": "lost"}
        answer = await self.api.post(f"{self.path}/messages", json=body, params=query)
        self.expect(answer, 412, "seq_mismatch")
        assert answer.json()["last_seq"] == len(self.log.entries)

    async def close(self):
        """A result, a failure or a cancellation: each appends an output."""
        open_calls = self.open_calls()
        if not open_calls:
            return
        call = self.data.draw(st.sampled_from(open_calls))
        verb, body = self.data.draw(
            st.sampled_from(
                [("result", {"output": "done"}), ("result", {"error": "broke"}), ("cancel", {})]
            )
        )
        answer = await self.api.post(f"{self.path}/tool-calls/{call}/{verb}", json=body)
        if self.expect(answer, 200):
            self.log.add([Entry(0, "tool", None, call_id=call)])

    async def archive(self):
        status = "active" if self.log.archived else "archived"
        answer = await self.api.patch(self.path, json={"status": status})
        assert answer.status_code == 200
        self.log.archived = not self.log.archived

    async def delete_and_restore(self):
        assert (await self.api.delete(self.path)).status_code == 204
        assert (await self.api.get(f"{self.path}/messages")).status_code == 404
        assert (await self.api.post(f"{self.path}/restore")).status_code == 200

    async def hide(self):
        """Deleted over the other wire, a message is gone, and its position stays taken."""
        plain = [entry for entry in self.log.shown if entry.role == "user"]
        if plain:
            entry = self.data.draw(st.sampled_from(plain))
            found = await walk(self.api, self.path, 100, "asc")
            (message,) = [each for each in found if each["seq"] == entry.position]
            # There, an item that has a client's id goes by it.
            item = f"{self.id}/items/{entry.external_id or message['id']}"
            url = f"http://localhost/openai/v1/conversations/{item}"
            assert (await self.api.delete(url)).status_code == 200
            entry.hidden = True

    async def fork(self):
        at_seq = self.data.draw(st.integers(0, len(self.log.entries)))
        answer = await self.api.post(f"{self.path}/forks", json={"at_seq": at_seq})
        assert answer.status_code == 201, answer.text
        branch = answer.json()
        shown = await walk(self.api, f"/conversations/{branch['id']}", 50, "asc")
        wanted = [entry for entry in self.log.shown if entry.position <= at_seq]
        assert [each["seq"] for each in shown] == [entry.position for entry in wanted]
        assert (branch["last_seq"], branch["message_count"]) == (at_seq, len(wanted))
        assert (await read(self.api, f"/conversations/{branch['id']}/check"))["ok"]

    async def agree(self):
        conversation = await read(self.api, self.path)
        entries, shown = self.log.entries, self.log.shown
        assert conversation["last_seq"] == len(entries)
        assert conversation["message_count"] == len(shown)
        assert conversation["tool_call_count"] == len(self.log.calls)
        # What was used stays used, whatever is deleted.
        assert conversation["token_count"] == sum(entry.tokens or 0 for entry in entries)
        assert conversation["status"] == ("archived" if self.log.archived else "active")
        order = self.data.draw(st.sampled_from(["asc", "desc"]), label="order")
        limit = self.data.draw(st.integers(1, 100), label="limit")
        found = await walk(self.api, self.path, limit, order)
        wanted = shown if order == "asc" else shown[::-1]
        assert [each["seq"] for each in found] == [entry.position for entry in wanted]
        for message, entry in zip(found, wanted, strict=True):
            assert message["role"] == entry.role
            assert message["external_id"] == entry.external_id
            assert [call["call_id"] for call in message["tool_calls"]] == entry.calls
            if entry.text is not None:
                assert message["content"] == entry.text
        check = await read(self.api, f"{self.path}/check")
        assert check["ok"], check
        open_calls = await read(self.api, f"{self.path}/tool-calls", open="true", limit=100)
        assert {call["call_id"] for call in open_calls["data"]} == set(self.open_calls())
        await self.pair()

    async def pair(self):
        """As a provider demands it: each call is followed by its output, each output has a call."""
        query = {"format": "openai-chat", "max_tokens": 100_000}
        context = await read(self.api, f"{self.path}/context", **query)
        waiting = []
        for message in context["request"]["messages"]:
            if message["role"] == "tool":
                assert message["tool_call_id"] in waiting
                waiting.remove(message["tool_call_id"])
            else:
                assert waiting == []
                waiting = [call["id"] for call in message.get("tool_calls", ())]
        assert waiting == []


async def walk(api, path, limit, order):
    found, after = [], {}
    while True:
        page = await read(api, f"{path}/messages", limit=limit, order=order, **after)
        found += page["data"]
        if not page["has_more"]:
            return found
        after = {"after": page["next_cursor"]}


async def live(api, data):
    steps = Steps(api, data, (await start(api))["id"])
    # Appending twice as likely as each of the others.
    verbs = [steps.append, steps.append, steps.repeat, steps.contradict, steps.miss, steps.close]
    verbs += [steps.archive, steps.delete_and_restore, steps.hide, steps.fork]
    for _ in range(data.draw(st.integers(1, EVERY_STEP), label="steps")):
        await data.draw(st.sampled_from(verbs), label="step")()
        await steps.agree()


# Making an example that failed smaller would take minutes.
_RULES = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
}


@settings(max_examples=12, derandomize=True, **_RULES)
@given(data=st.data())
async def test_a_conversation_is_as_its_model_says(api, data):
    await live(api, data)


@pytest.mark.slow
@settings(max_examples=200, print_blob=True, **_RULES)
@given(data=st.data())
async def test_many_conversations_are_as_their_models_say(api, data):
    await live(api, data)
