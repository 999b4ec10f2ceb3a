"""The API against a simple model of conversations: whatever is done to them, both agree.

After each step: positions are contiguous, pages in both directions with any limit show what the
model holds, on this wire and the other, counts and sums are right, the check finds nothing, and
what a model would read pairs each call with its output. What is refused has changed nothing, and
neither has any other conversation, though some are branches of each other.
"""

import copy
import itertools

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.conversations.model import Call, Entry, Log
from tests.conversations.test_router import read, start, walk

WIRE = "http://localhost/openai/v1"
MOST_CONVERSATIONS = 3
# All that is drawn comes from one generator: hypothesis's own draws repeat each other too much for
# a life of many steps to get anywhere.
RANDOMS = st.randoms(use_true_random=True)
VERBS = ["start", "approve", "deny", "cancel", "result", "fail"]


class Conversation:
    """A conversation of the service, and its model."""

    def __init__(self, conversation_id, log):
        self.id, self.log = conversation_id, log
        self.path = f"/conversations/{conversation_id}"


class Life:
    """Draws what is done, does it to a conversation and to its model, and compares."""

    def __init__(self, api, random):
        self.api, self.random = api, random
        self.conversations: list[Conversation] = []
        self.names = (f"name-{number}" for number in itertools.count())
        # What is done to which of them.
        self.one: Conversation

    def is_so(self, chance=0.5):
        return self.random.random() < chance

    def draw_text(self):
        return "".join(self.random.choices("abc ä🙂\n", k=self.random.randint(1, 12)))

    async def live(self, steps):
        self.conversations.append(Conversation((await start(self.api))["id"], Log()))
        for _ in range(steps):
            self.one = self.random.choice(self.conversations)
            step = self.random.choice(self.list_possible())
            note(f"{step.__name__} {self.one.id}")
            await step()
            await self.agree(self.one)
        for each in self.conversations:
            await self.agree(each)

    def list_possible(self):
        """What can be done to a conversation; the commoner a thing, the oftener it is there."""
        log = self.one.log
        possible = [self.archive] * (3 if log.archived else 1)
        possible += [self.append] * 6 + [self.leave, self.branch, self.branch]
        possible += [self.step] * 6 * bool(log.calls)
        possible += [self.hide] * 2 * any(log.items())
        possible += [self.edit] * any(entry.role == "user" for entry in log.shown)
        return possible

    async def expect(self, answer, refusals):
        """Whether it was done; it must be refused as the model says, and not otherwise."""
        if not refusals:
            assert answer.is_success, answer.text
            return True
        assert (answer.status_code, answer.json()["code"]) in refusals, answer.text
        return False

    # Appending

    async def append(self):
        log = self.one.log
        bodies = []
        for _ in range(self.random.choice([2, 1, 1, 3, 4])):
            bodies.append(self.draw_body(bodies))
        expected = self.random.choice([None] * 5 + [log.last_seq] * 2 + [log.last_seq + 1])
        answered, refusals = log.judge_append(bodies, expected)
        is_single = len(bodies) == 1 and self.is_so()
        answer = await self.api.post(
            f"{self.one.path}/messages",
            json=bodies[0] if is_single else {"messages": bodies},
            params={} if expected is None else {"expected_seq": expected},
        )
        if await self.expect(answer, refusals):
            shown = [answer.json()] if is_single else answer.json()["data"]
            for entry, message in zip(answered, shown, strict=True):
                if not entry.position:
                    entry.id = message["id"]
                    log.add(entry)
            assert [each["id"] for each in shown] == [entry.id for entry in answered]
            assert [each["seq"] for each in shown] == [entry.position for entry in answered]
        elif answer.status_code == 412:
            assert answer.json()["last_seq"] == log.last_seq

    def draw_body(self, before):
        """A message: mostly a new one that can be written, sometimes what was sent already."""
        log = self.one.log
        sent = [entry.body for entry in log.entries if entry.body is not None] + before
        named = [body for body in sent if "external_id" in body]
        if named and self.is_so(0.2):
            body = self.random.choice(named)
            return {**body, "content": "contradicted"} if self.is_so(0.2) else body
        body = {"role": "user", "content": self.draw_text(), "token_count": None}
        if self.is_so():
            body["token_count"] = self.random.randint(0, 50)
        if self.is_so():
            body["external_id"] = next(self.names)
        asked = [call for each in before for call in each.get("tool_calls", ())]
        answerable = [call["call_id"] for call in asked]
        answerable += [call.call_id for call in log.calls.values() if call.is_open]
        kinds = ["asking"] * 3 + ["tool"] * 2 * bool(answerable) + ["user", "system", "assistant"]
        kind = self.random.choice(kinds)
        if kind == "asking":
            body |= {"role": "assistant", "content": self.random.choice([None, self.draw_text()])}
            body["tool_calls"] = [
                {
                    "call_id": self.draw_call_id(),
                    "name": "f",
                    "arguments": {},
                    "requires_approval": self.is_so(),
                }
                for _ in range(self.random.randint(1, 3))
            ]
        elif kind == "tool":
            if self.is_so(0.2):
                answerable = [*log.calls, "call_nobodys"]
            body |= {"role": "tool", "call_id": self.random.choice(answerable)}
        else:
            body["role"] = kind
        return body

    def draw_call_id(self):
        taken = [call.call_id for entry in self.one.log.entries for call in entry.calls]
        if taken and self.is_so(0.04):
            return self.random.choice(taken)
        return f"call_{next(self.names)}"

    # Tool calls

    async def step(self):
        log = self.one.log
        call = self.random.choice(list(log.calls.values()))
        verb = self.random.choice(VERBS)
        detail = self.random.choice(["one", "other"])
        body = {
            "start": None,
            "approve": {"by": detail},
            "deny": {"by": detail},
            "cancel": {},
            "result": {"output": detail},
            "fail": {"error": detail},
        }[verb]
        path = f"{self.one.path}/tool-calls/{call.call_id}"
        answer = await self.api.post(
            f"{path}/{'result' if verb == 'fail' else verb}",
            **({} if body is None else {"json": body}),
        )
        if await self.expect(answer, log.judge_step(call, verb, detail)):
            log.step(call, verb, detail)
            if call.output is not None and call.output.id is None:
                call.output.id = answer.json()["output_message_id"]
            assert narrow(answer.json(), call.show()) == call.show()
            assert await read(self.api, path) == answer.json()

    # The conversation as a whole

    async def archive(self):
        log, (status, other) = self.one.log, ("active", "archived")
        if log.archived:
            answer = await self.api.patch(self.one.path, json={"status": status})
        elif self.is_so():
            answer = await self.api.patch(self.one.path, json={"status": other})
        else:
            answer = await self.api.post(f"{self.one.path}/archive")
        assert answer.status_code == 200
        log.archived = not log.archived

    async def leave(self):
        """Deleted, it isn't there for anything; restored, it is as it was."""
        path = self.one.path
        assert (await self.api.delete(path)).status_code == 204
        message = {"role": "user", "content": "lost"}
        for answer in (
            await self.api.get(path),
            await self.api.get(f"{path}/messages"),
            await self.api.get(f"{path}/context"),
            await self.api.post(f"{path}/messages", json=message),
            await self.api.post(f"{path}/forks", json={"at_seq": 0}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "conversation_not_found")
        assert (await self.api.post(f"{path}/restore")).status_code == 200

    async def branch(self):
        at_seq = self.random.randint(0, self.one.log.last_seq + 1)
        answer = await self.api.post(f"{self.one.path}/forks", json={"at_seq": at_seq})
        if at_seq > self.one.log.last_seq:
            await self.expect(answer, {(422, "position_out_of_range")})
        else:
            await self.adopt(answer, fork(self.one.log, at_seq))

    async def edit(self):
        shown = [entry for entry in self.one.log.shown if entry.role == "user"]
        entry = self.random.choice(shown)
        url = f"{self.one.path}/messages/{entry.id}/edit"
        answer = await self.api.post(url, json={"content": "edited"})
        log = fork(self.one.log, entry.position - 1)
        (message,) = answer.json()["messages"]
        log.add(Entry(0, "user", "edited", id=message["id"]))
        await self.adopt(answer, log)

    async def adopt(self, answer, log):
        """Take a branch for one of the conversations, which differs from the first in its ids."""
        assert answer.status_code == 201, answer.text
        branch = Conversation(answer.json()["id"], log)
        messages = await walk(self.api, f"{branch.path}/messages", limit=100)
        for entry, message in zip(log.shown, messages, strict=True):
            entry.id = message["id"]
        others = {each.id for one in self.conversations for each in one.log.entries}
        assert not others & {message["id"] for message in messages}
        assert answer.json()["parent_id"] == self.one.id
        await self.agree(branch)
        if len(self.conversations) < MOST_CONVERSATIONS:
            self.conversations.append(branch)

    async def hide(self):
        """Deleted over the other wire, an item is gone, and its position stays taken."""
        items = list(self.one.log.items())
        place = self.random.choice(range(len(items)))
        shown = await self.list_items(self.one, "asc")
        item = f"{WIRE}{self.one.path}/items/{shown[place]['id']}"
        assert (await self.api.delete(item)).status_code == 200
        assert (await self.api.get(item)).status_code == 404
        self.one.log.hide(*items[place])

    # Comparing

    async def agree(self, one):
        log, shown = one.log, one.log.shown
        conversation = await read(self.api, one.path)
        wanted = {
            "last_seq": log.last_seq,
            "message_count": len(shown),
            "tool_call_count": len(log.calls),
            "token_count": log.tokens,
            "unread_count": log.last_seq - conversation["read_seq"],
            "status": "archived" if log.archived else "active",
        }
        assert narrow(conversation, wanted) == wanted
        order = self.random.choice(["asc", "desc"])
        limit = self.random.randint(1, 100)
        found = await walk(self.api, f"{one.path}/messages", limit=limit, order=order)
        assert [narrow(each, Entry(0, "", "").show()) for each in found] == [
            entry.show() for entry in in_order(shown, order)
        ]
        calls = await walk(self.api, f"{one.path}/tool-calls", limit=limit)
        assert [narrow(each, log.calls[each["call_id"]].show()) for each in calls] == [
            call.show() for call in log.calls.values()
        ]
        waiting = await walk(self.api, f"{one.path}/tool-calls", limit=limit, open="true")
        assert [each["call_id"] for each in waiting] == [
            call.call_id for call in log.calls.values() if call.is_open
        ]
        items = await self.list_items(one, order, limit)
        wanted = [name_item(*item) for item in in_order(list(log.items()), order)]
        assert [(item["type"], item.get("call_id")) for item in items] == wanted
        check = await read(self.api, f"{one.path}/check")
        assert check["ok"], check
        await self.pair(one)

    async def list_items(self, one, order, limit=100):
        items, query = [], {"order": order, "limit": limit}
        while True:
            page = await read(self.api, f"{WIRE}{one.path}/items", **query)
            items += page["data"]
            if not page["has_more"]:
                return items
            query["after"] = page["last_id"]

    async def pair(self, one):
        """As a provider demands it: each call is followed by its output, each output has a call."""
        query = {"format": "openai-chat", "max_tokens": 100_000}
        context = await read(self.api, f"{one.path}/context", **query)
        asked, waiting = [], []
        for message in context["request"]["messages"]:
            if message["role"] == "tool":
                assert message["tool_call_id"] in waiting
                waiting.remove(message["tool_call_id"])
            else:
                assert waiting == []
                waiting = [call["id"] for call in message.get("tool_calls", ())]
                asked += waiting
        assert waiting == []
        assert asked == list(one.log.calls)


def fork(log, at_seq):
    """The model of a branch that has what a log has up to a position."""
    branch = Log(copy.deepcopy(log.entries[:at_seq]))
    for entry in branch.entries:
        if entry.hidden:  # Only its place is taken over.
            entry.tokens = entry.external_id = None
        for call in entry.kept_calls:
            if call.is_open or call.output.position > at_seq:
                afresh(call)
    return branch


def afresh(call: Call):
    """As it was when it was asked for; nobody has approved of it in a branch."""
    call.status = "awaiting_approval" if call.needs_approval else "requested"
    call.attempts, call.error, call.decided_by, call.output = 0, None, None, None


def narrow(shown, wanted):
    """What of an answer is compared."""
    narrowed = {name: shown.get(name) for name in wanted}
    if "synthetic" in wanted:
        narrowed["synthetic"] = shown.get("synthetic", False)
    if "tool_calls" in wanted:
        like = Call("", False, "").show()
        narrowed["tool_calls"] = [narrow(call, like) for call in shown["tool_calls"]]
    return narrowed


def in_order(items, order):
    return items if order == "asc" else items[::-1]


def name_item(entry, call):
    """Type and call of an item, as the other wire has it."""
    if call is not None:
        return "function_call", call.call_id
    if entry.role == "tool":
        return "function_call_output", entry.call_id
    return "message", None


# Making an example that failed smaller would take minutes.
_RULES = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
}


@settings(max_examples=6, derandomize=True, **_RULES)
@given(random=RANDOMS)
async def test_conversations_are_as_their_models_say(api, random):
    await Life(api, random).live(steps=20)


@pytest.mark.slow
@settings(max_examples=40, print_blob=True, **_RULES)
@given(random=RANDOMS)
async def test_many_conversations_are_as_their_models_say(api, random):
    await Life(api, random).live(steps=30)
