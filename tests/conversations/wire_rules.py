"""What is done to conversations over the OpenAI wire."""

import itertools

from tests.conversations.agreement import WIRE, Agreement, Conversation
from tests.conversations.wire_model import free_ids, judge_items

OTHERS = ["reasoning", "shell_call_output", "telepathy_call"]


class WireRules(Agreement):
    """Draws items, and appends and deletes them."""

    def __init__(self, api, random):
        super().__init__(api, random)
        self.names = (f"name-{number}" for number in itertools.count())
        # To which conversation something is done.
        self.one: Conversation

    def is_so(self, chance=0.5):
        return self.random.random() < chance

    def draw_text(self):
        return "".join(self.random.choices("abc ä🙂\n", k=self.random.randint(1, 12)))

    async def expect(self, answer, refusals):
        """Whether it was done; it must be refused as the model says, and not otherwise."""
        if not refusals:
            assert answer.is_success, answer.text
            return True
        assert (answer.status_code, answer.json()["code"]) in refusals, answer.text
        return False

    async def append_items(self):
        log = self.one.log
        items = [self.draw_item() for _ in range(self.random.choice([1, 2, 2, 3, 4]))]
        entries, refusals = judge_items(log, items)
        url = f"{WIRE}{self.one.path}/items"
        answer = await self.api.post(url, json={"items": items})
        if refusals:
            code = answer.json()["error"]["code"]
            assert (answer.status_code, code) in refusals, answer.text
            return
        assert answer.is_success, answer.text
        free_ids(log, items)
        for sent, entry, item in zip(items, entries, answer.json()["data"], strict=True):
            assert item["type"] == sent["type"]
            assert item.get("call_id") == sent.get("call_id")
            assert (await self.api.get(f"{url}/{item['id']}")).json() == item
            log.add(entry)
            (entry.calls[0] if entry.calls else entry).item = item
        messages = await self.list_newest(len(entries))
        for entry, message in zip(entries, messages, strict=True):
            entry.id = message["id"]

    async def list_newest(self, count):
        query = {"limit": count, "order": "desc"}
        answer = await self.api.get(f"{self.one.path}/messages", params=query)
        return answer.json()["data"][::-1]

    def draw_item(self):
        """An item: a call or an output of any call, also of one that is hidden, or another type."""
        log = self.one.log
        calls = list(log.all_calls())
        kinds = ["function_call"] * 3 + ["function_call_output"] * 3 * bool(calls)
        kind = self.random.choice([*kinds, "message", "message", *OTHERS])
        item = {"type": kind}
        if kind == "message":
            item |= {"role": self.random.choice(["user", "assistant", "system"])}
            item |= {"content": f"wire {self.draw_text()}"}
            held = [entry.external_id for entry in log.entries if entry.external_id]
        elif kind == "function_call":
            call_id = f"call_{next(self.names)}"
            hidden = [call.call_id for call in calls if call.hidden]
            if hidden and self.is_so():
                call_id = self.random.choice(hidden)
            elif calls and self.is_so(0.1):
                call_id = self.random.choice(calls).call_id
            item |= {"call_id": call_id, "name": "f", "arguments": "{}"}
            held = [call.external_id for call in calls if call.external_id]
        elif kind == "function_call_output":
            wanted = [call for call in calls if call.is_open and not call.hidden]
            call = self.random.choice(wanted if wanted and self.is_so(0.8) else calls)
            item |= {"call_id": call.call_id, "output": f"wire {self.draw_text()}"}
            held = []
        else:
            item |= {"thought": self.draw_text(), "call_id": "call_others"}
            held = []
        if held and self.is_so(0.15):
            item["id"] = self.random.choice(held)
        elif self.is_so(0.3):
            item["id"] = next(self.names)
        return item

    async def hide(self):
        """Deleted over the other wire, an item is gone, and its position stays taken."""
        items = list(self.one.log.items())
        place = self.random.choice(range(len(items)))
        shown = await self.list_items(self.one, "asc")
        item = f"{WIRE}{self.one.path}/items/{shown[place]['id']}"
        assert (await self.api.delete(item)).status_code == 200
        assert (await self.api.get(item)).status_code == 404
        self.one.log.hide(*items[place])
