"""What docs/openai.md promises of items, over the model of a conversation."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.conversations.model import ARCHIVED, Call, Entry, Log, Refusal

Item = Mapping[str, Any]


def judge_items(log: Log, items: Sequence[Item]) -> tuple[list[Entry], set[Refusal]]:
    """The messages that items become, and the refusals of which they must get one, if any."""
    entries: list[Entry] = []
    statuses = {call_id: call.status for call_id, call in log.calls.items()}
    refusals = {ARCHIVED} if log.archived else set()
    taken = {entry.external_id for entry in log.shown}
    taken |= {call.external_id for call in log.calls.values()}
    for item in items:
        entries.append(_read_item(item, statuses))
        answers = item["type"] == "function_call_output" and entries[-1].kind == "message"
        if answers and statuses[item["call_id"]] == "awaiting_approval":
            refusals.add((409, "tool_call_awaits_approval"))
        if answers:
            statuses[item["call_id"]] = "succeeded"
        if "id" in item:
            if item["id"] in taken:
                refusals.add((409, "external_id_taken"))
            taken.add(item["id"])
    return entries, refusals


def _read_item(item: Item, statuses: dict[str, str]) -> Entry:
    """One message; what is no tool call to the log is kept as a kind of its own."""
    kind, call_id, item_id = item["type"], item.get("call_id"), item.get("id")
    if kind == "message":
        return Entry(0, item["role"], item["content"], external_id=item_id)
    if kind == "function_call" and call_id not in statuses:
        statuses[item["call_id"]] = "requested"
        call = Call(item["call_id"], needs_approval=False, status="requested", external_id=item_id)
        return Entry(0, "assistant", None, calls=[call])
    is_open = statuses.get(item.get("call_id", "")) in ("requested", "running", "awaiting_approval")
    if kind == "function_call_output" and is_open:
        return Entry(0, "tool", item["output"], call_id=call_id, external_id=item_id)
    role = "tool" if kind.endswith("output") else "assistant"
    return Entry(0, role, None, kind=kind, external_id=item_id)


def free_ids(log: Log, items: Sequence[Item]) -> None:
    """What is hidden gives up the ids that are written anew."""
    item_ids = {item["id"] for item in items if "id" in item}
    call_ids = {item["call_id"] for item in items if item["type"].startswith("function_call")}
    for entry in log.entries:
        if entry.hidden and entry.external_id in item_ids:
            entry.external_id = None
    for call in log.all_calls():
        if call.hidden and call.external_id in item_ids:
            call.external_id = None
        if call.hidden and call.call_id in call_ids and not call.freed:
            call.freed = True
            if call.output is not None:
                call.output.freed = True
