"""A conversation as docs/api.md promises it, in plain Python: what requests do to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OPEN = ("requested", "awaiting_approval", "running")
READY = ("requested", "running")
ARCHIVED = (409, "conversation_archived")
COMPLETED = (409, "tool_call_completed")
# Status and code.
Refusal = tuple[int, str]


@dataclass
class Call:
    """A tool call.

    needs_approval: whether it was to be approved before anything else. due: since when its deadline
    has passed, as a number that grows. item, external_id: as in Entry. freed: whether its `call_id`
    was taken from it, once it was hidden.
    """

    call_id: str
    needs_approval: bool
    status: str
    attempts: int = 0
    error: str | None = None
    decided_by: str | None = None
    output: "Entry | None" = None
    hidden: bool = False
    due: int | None = None
    external_id: str | None = None
    item: Mapping[str, Any] | None = None
    freed: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    def show(self) -> dict[str, Any]:
        return {
            "call_id": self.call_id,
            "status": self.status,
            "attempts": self.attempts,
            "error": self.error,
            "decided_by": self.decided_by,
            "output_message_id": self.output.id if self.output else None,
        }

    def reopen(self) -> None:
        """Its output has gone: it waits for one again, and for approval unless it has that."""
        waits = self.status == "denied" or (self.needs_approval and self.decided_by is None)
        self.status = "awaiting_approval" if waits else "requested"
        self.output = self.error = None
        if waits:
            self.decided_by = None


@dataclass
class Entry:
    """A message.

    kind: `message`, or the type of the other wire's item that it keeps. body: as it was sent
    natively. item: as the other wire has answered it. id: as the service has called it. freed:
    whether the `call_id` that it answers is another call's by now.
    """

    position: int
    role: str
    text: str | None
    tokens: int | None = None
    external_id: str | None = None
    call_id: str | None = None
    calls: list[Call] = field(default_factory=list)
    synthetic: bool = False
    body: Mapping[str, Any] | None = None
    id: str | None = None
    hidden: bool = False
    kind: str = "message"
    item: Mapping[str, Any] | None = None
    freed: bool = False

    @property
    def has_content(self) -> bool:
        """Whether it is an item itself, besides its calls."""
        return self.text is not None or self.kind != "message"

    @property
    def kept_calls(self) -> list[Call]:
        return [call for call in self.calls if not call.hidden]

    @property
    def is_whole(self) -> bool:
        """Whether it is all there, as it was sent."""
        if self.hidden or self.body is None or self.text != self.body["content"]:
            return False
        asked = [call["call_id"] for call in self.body.get("tool_calls", ())]
        return asked == [call.call_id for call in self.kept_calls]

    def show(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "seq": self.position,
            "role": self.role,
            "kind": self.kind,
            "content": self.text,
            "token_count": self.tokens,
            "external_id": self.external_id,
            "call_id": f"{self.call_id} (freed)" if self.freed else self.call_id,
            "synthetic": self.synthetic,
            "tool_calls": [call.show() for call in self.kept_calls],
        }


def read_body(body: Mapping[str, Any]) -> Entry:
    calls = [
        Call(
            call["call_id"],
            call["requires_approval"],
            "awaiting_approval" if call["requires_approval"] else "requested",
        )
        for call in body.get("tool_calls", ())
    ]
    return Entry(
        position=0,
        role=body["role"],
        text=body["content"],
        tokens=body["token_count"],
        external_id=body.get("external_id"),
        call_id=body.get("call_id"),
        calls=calls,
        body=body,
    )


@dataclass
class Log:
    """A conversation. summaries: first and last position, and text."""

    entries: list[Entry] = field(default_factory=list)
    archived: bool = False
    summaries: list[tuple[int, int, str]] = field(default_factory=list)

    @property
    def last_seq(self) -> int:
        return len(self.entries)

    @property
    def shown(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.hidden]

    @property
    def calls(self) -> dict[str, Call]:
        """Those that are not hidden."""
        return {call.call_id: call for entry in self.shown for call in entry.kept_calls}

    @property
    def tokens(self) -> int:
        """What was used stays used, whatever is deleted."""
        return sum(entry.tokens or 0 for entry in self.entries)

    @property
    def overdue(self) -> list[Call]:
        """Calls that are to expire, the longest overdue first."""
        due = [call for call in self.calls.values() if call.is_open and call.due is not None]
        return sorted(due, key=lambda call: call.due or 0)

    def all_calls(self) -> Iterator[Call]:
        return (call for entry in self.entries for call in entry.calls)

    def items(self) -> Iterator[tuple[Entry, Call | None]]:
        """What the other wire makes of the log: each content, and each call."""
        for entry in self.shown:
            if entry.has_content:
                yield entry, None
            for call in entry.kept_calls:
                yield entry, call

    def judge_append(
        self, bodies: Sequence[Mapping[str, Any]], expected_seq: int | None
    ) -> tuple[list[Entry], set[Refusal]]:
        """The messages of an append's answer, and the refusals of which it must get one, if any."""
        answered, refusals = [], set()
        known = {entry.external_id: entry for entry in self.entries if entry.external_id}
        for body in bodies:
            earlier = known.get(body.get("external_id"))
            entry = read_body(body) if earlier is None else earlier
            if earlier is not None and not (earlier.is_whole and earlier.body == body):
                refusals.add((409, "external_id_taken"))
            if entry.external_id is not None:
                known[entry.external_id] = entry
            answered.append(entry)
        fresh = list({id(entry): entry for entry in answered if not entry.position}.values())
        refusals |= self._judge_calls(fresh)
        if fresh and self.archived:
            refusals.add(ARCHIVED)
        if fresh and expected_seq not in (None, self.last_seq):
            refusals.add((412, "seq_mismatch"))
        return answered, refusals

    def _judge_calls(self, fresh: Sequence[Entry]) -> set[Refusal]:
        statuses = {call_id: call.status for call_id, call in self.calls.items()}
        taken = {call.call_id for call in self.all_calls() if not call.freed}
        refusals: set[Refusal] = set()
        for entry in fresh:
            if entry.call_id is not None:
                if (status := statuses.get(entry.call_id)) is None:
                    refusals.add((422, "unknown_tool_call"))
                elif status == "awaiting_approval":
                    refusals.add((409, "tool_call_awaits_approval"))
                elif status not in READY:
                    refusals.add(COMPLETED)
                statuses[entry.call_id] = "succeeded"
            for call in entry.calls:
                if call.call_id in taken:
                    refusals.add((409, "call_id_taken"))
                taken.add(call.call_id)
                statuses[call.call_id] = call.status
        return refusals

    def add(self, entry: Entry) -> None:
        """Append a message; if it is an output, its call has succeeded."""
        call = self.calls.get(entry.call_id)
        self.entries.append(entry)
        entry.position = self.last_seq
        if call is not None:
            call.status, call.output = "succeeded", entry

    def judge_step(self, call: Call, verb: str, detail: str) -> set[Refusal]:
        """The refusals of which a step of a tool call must get one; none if it is or was done.

        detail: who decides, or what the result is.
        """
        if self.has_happened(call, verb, detail):
            return set()
        if not call.is_open:
            return {COMPLETED}
        if self.archived:
            return {ARCHIVED}
        is_awaiting = call.status == "awaiting_approval"
        if verb in ("approve", "deny") and not is_awaiting:
            return {(409, "approval_not_awaited")}
        if verb in ("start", "result", "fail") and is_awaiting:
            return {(409, "tool_call_awaits_approval")}
        if verb in ("start", "approve") and call.due is not None:
            return {(409, "tool_call_overdue")}
        return set()

    @staticmethod
    def has_happened(call: Call, verb: str, detail: str) -> bool:
        """Whether it is the same step once more, which changes nothing."""
        output = call.output.text if call.output else None
        return {
            "start": False,
            "approve": call.status not in ("awaiting_approval", "denied")
            and call.decided_by == detail,
            "deny": call.status == "denied" and call.decided_by == detail,
            "cancel": call.status == "cancelled",
            "result": call.status == "succeeded" and output == detail,
            "fail": call.status == "failed" and output == detail,
        }[verb]

    def step(self, call: Call, verb: str, detail: str) -> None:
        """What a step does that isn't refused."""
        if self.has_happened(call, verb, detail):
            return
        if verb in ("approve", "deny"):
            call.decided_by = detail
        if verb == "approve":
            call.status = "requested"
        elif verb == "start":
            call.status, call.attempts = "running", call.attempts + 1
        else:
            status = {
                "deny": "denied",
                "cancel": "cancelled",
                "result": "succeeded",
                "fail": "failed",
            }[verb]
            is_synthetic = verb in ("deny", "cancel")
            text = f"The tool call was {status}." if is_synthetic else detail
            self.add(Entry(0, "tool", text, call_id=call.call_id, synthetic=is_synthetic))
            call.status, call.error = status, detail if verb == "fail" else None

    def expire(self) -> list[Entry]:
        """What a sweep does: each overdue call gets an output, archived or not."""
        outputs = []
        for call in self.overdue:
            text = "The tool call expired without a result."
            self.add(Entry(0, "tool", text, call_id=call.call_id, synthetic=True))
            call.status = "expired"
            outputs.append(self.entries[-1])
        return outputs

    def hide(self, entry: Entry, call: Call | None) -> None:
        """Delete an item; a message goes with its last one."""
        if sum(each is entry for each, _ in self.items()) == 1:
            answered = self.calls.get(entry.call_id)
            entry.hidden = True
            for each in entry.calls:
                each.hidden = True
            if answered is not None and answered.output is entry:
                answered.reopen()
        elif call is None:
            entry.text = None
        else:
            call.hidden = True
