"""What can be done to conversations, drawn by chance, and done to the service and to the model."""

import copy
import itertools
from datetime import UTC, datetime

from hypothesis import note
from sqlalchemy import update

from conversations import jobs
from conversations.statements import CALLS
from tenants.db.unit_of_work import write_session
from tenants.ids import find_id
from tests.conversations.agreement import Conversation, narrow
from tests.conversations.model import Call, Entry, Log
from tests.conversations.test_router import read, start, walk
from tests.conversations.wire_rules import WireRules

MOST_CONVERSATIONS = 3
VERBS = ["start", "approve", "deny", "cancel", "result", "fail"]


class Life(WireRules):
    """Draws what is done, does it to a conversation and to its model, and compares."""

    def __init__(self, api, tenant, random):
        super().__init__(api, random)
        self.tenant = tenant
        self.conversations: list[Conversation] = []
        self.moments = itertools.count()

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
        possible += [self.append_items] * 6 + [self.sweep] * 2 + [self.sum_up] * bool(log.entries)
        possible += ([self.step] * 6 + [self.let_pass] * 2) * bool(log.calls)
        possible += [self.hide] * 2 * any(log.items())
        possible += [self.edit] * any(entry.role == "user" for entry in log.shown)
        return possible

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

    async def let_pass(self):
        """The deadline of a call passes, whether it is open or not; nobody has noticed yet."""
        calls = list(self.one.log.calls.values())
        opened = [call for call in calls if call.is_open]
        call = self.random.choice(opened if opened and self.is_so(0.8) else calls)
        async with write_session(self.tenant.ref) as session:
            await session.execute(
                update(CALLS)
                .where(
                    CALLS.c.conversation_id == find_id("conv", self.one.id),
                    CALLS.c.call_id == call.call_id,
                )
                .values(deadline=datetime.now(UTC))
            )
        call.due = next(self.moments)

    async def sweep(self):
        """What is overdue expires, in all conversations."""
        await jobs.expire_calls(self.tenant.ref)
        for one in self.conversations:
            outputs = one.log.expire()
            for entry in outputs:
                call = await read(self.api, f"{one.path}/tool-calls/{entry.call_id}")
                entry.id = call["output_message_id"]
            await self.agree(one)

    # The conversation as a whole

    async def sum_up(self):
        last_seq = self.one.log.last_seq
        from_seq, to_seq = sorted(self.random.choices(range(1, last_seq + 1), k=2))
        summary = {"from_seq": from_seq, "to_seq": to_seq, "text": self.draw_text()}
        answer = await self.api.post(f"{self.one.path}/summaries", json=summary)
        assert answer.status_code == 201, answer.text
        self.one.log.summaries.append((from_seq, to_seq, summary["text"]))

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


def fork(log, at_seq):
    """The model of a branch that has what a log has up to a position."""
    branch = Log(copy.deepcopy(log.entries[:at_seq]))
    branch.summaries = [summary for summary in log.summaries if summary[1] <= at_seq]
    for entry in branch.entries:
        if entry.hidden:  # Only its place is taken over.
            entry.tokens = entry.external_id = None
        for call in entry.calls:
            if call.hidden:
                call.external_id = None
            elif call.is_open or call.output.position > at_seq:
                afresh(call)
    return branch


def afresh(call: Call):
    """As it was when it was asked for; nobody has approved of it in a branch."""
    call.status = "awaiting_approval" if call.needs_approval else "requested"
    call.attempts, call.error, call.decided_by, call.output = 0, None, None, None
    call.due = None
