"""Compares a conversation of the service with its model, on both wires and as models read it."""

from tests.conversations.model import Call, Entry
from tests.conversations.test_router import read, walk

WIRE = "http://localhost/openai/v1"


class Conversation:
    """A conversation of the service, and its model."""

    def __init__(self, conversation_id, log):
        self.id, self.log = conversation_id, log
        self.path = f"/conversations/{conversation_id}"


class Agreement:
    """What the service says of conversations must be what their models say."""

    def __init__(self, api, random):
        self.api, self.random = api, random

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
        for item, (entry, call) in zip(items, in_order(list(log.items()), order), strict=True):
            assert (item["type"], item.get("call_id")) == name_item(entry, call)
            sent = entry.item if call is None else call.item
            assert sent is None or {**item, "id": None} == {**sent, "id": None}
            given = (entry if call is None else call).external_id
            assert given is None or item["id"] == given
        check = await read(self.api, f"{one.path}/check")
        assert [(found["kind"], found["call_id"]) for found in check["findings"]] == [
            ("overdue_call", call.call_id) for call in log.calls.values() if call in log.overdue
        ]
        await self.pair(one)
        await self.see_end(one)

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

    async def see_end(self, one):
        """A context of any budget has the end of what was said, and says what is left out."""
        log, budget = one.log, self.random.randint(1, 300)
        query = {"format": "native", "max_tokens": budget}
        answer = await self.api.get(f"{one.path}/context", params=query)
        if not answer.is_success:
            assert answer.json()["code"] == "budget_too_small"
            return
        context = answer.json()
        shown = [each["seq"] for each in context["request"]["messages"] if each["role"] != "tool"]
        whole = [entry for entry in log.shown if entry.text is not None or entry.kept_calls]
        told = [each.position for each in whole if each.role == "system"]
        said = [each.position for each in whole if each.role in ("user", "assistant")]
        kept = [seq for seq in shown if seq not in told]
        assert sorted(shown) == shown
        assert set(told) <= set(shown)
        assert kept == said[len(said) - len(kept) :]
        assert context["token_count"] <= budget
        left_out = said[: len(said) - len(kept)]
        assert context["truncated"] or not left_out
        summary, rest = context["summary"], context["unsummarized"]
        if summary is not None:
            assert (summary["from_seq"], summary["to_seq"], summary["text"]) in log.summaries
            spoken_for = range(summary["from_seq"], summary["to_seq"] + 1)
            assert rest is not None or set(left_out) <= set(spoken_for)
            assert rest is None or not {rest["from_seq"], rest["to_seq"]} & set(spoken_for)
        else:
            assert context["truncated"] == (rest is not None)


def narrow(shown, wanted):
    """What of an answer is compared."""
    narrowed = {name: shown.get(name) for name in wanted}
    if "synthetic" in wanted:
        narrowed["synthetic"] = shown.get("synthetic", False)
    if shown.get("seq") and " " in (shown.get("call_id") or ""):
        narrowed["call_id"] = f"{shown['call_id'].partition(' ')[0]} (freed)"
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
    if entry.kind != "message":
        return entry.kind, entry.item.get("call_id")
    if entry.role == "tool":
        return "function_call_output", entry.call_id
    return "message", None
