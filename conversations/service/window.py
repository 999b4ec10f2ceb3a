"""Which part of a history fits a budget: whole groups from the newest on, and a summary."""

from collections.abc import Sequence
from dataclasses import dataclass

from conversations import schemas
from conversations.service.tokens import count_message, count_summary


@dataclass(frozen=True)
class Group:
    """Messages that are taken together: one with calls and the outputs of these, or any other.

    seq: where it stands, which is where its first message does; last_seq: where its last does.
    """

    messages: Sequence[schemas.Message]
    tokens: int
    seq: int
    last_seq: int

    @property
    def opens(self) -> bool:
        """Whether it can be what a model reads first: a message of the user."""
        return self.messages[0]["role"] == "user"


@dataclass(frozen=True)
class Window:
    """What is taken: the groups from `begin` on, and `summary` for those before.

    tokens: of both.
    """

    begin: int
    summary: schemas.Summary | None
    tokens: int


def group_messages(messages: Sequence[schemas.Message]) -> list[Group]:
    """messages: valid as a history, without what instructs the model."""
    bundles: list[list[schemas.Message]] = []
    for message in messages:
        if message["role"] == "tool":
            bundles[-1].append(message)
        else:
            bundles.append([message])
    return [
        Group(
            messages=bundle,
            tokens=sum(count_message(message)[0] for message in bundle),
            seq=bundle[0]["seq"],
            last_seq=max(message["seq"] for message in bundle),
        )
        for bundle in bundles
    ]


def choose_window(
    groups: Sequence[Group],
    summaries: Sequence[schemas.Summary],
    *,
    room: int,
    left_out_from: int | None,
    opening_tokens: int,
) -> Window | None:
    """The longest window in a room of tokens, with the summary that fits what it leaves out.

    summaries: the one that reaches furthest first. left_out_from: the first position that was not
    read, if there is one. opening_tokens: what it takes to begin with an assistant's message.
    None if the room is too small for the newest group.
    """
    plain = _fit(groups, room, opening_tokens)
    if plain is None:
        return None
    if find_left_out(groups, plain, left_out_from) is None:
        return plain
    partly: Window | None = None
    for summary in summaries:
        tokens = count_summary(summary)
        window = _fit(groups, room - tokens, 0)
        if window is None:  # Better without it than without the newest messages.
            continue
        window = Window(window.begin, summary, window.tokens + tokens)
        left_out = find_left_out(groups, window, left_out_from)
        if left_out is None or not _overlap(summary, left_out):
            continue
        if find_unsummarized(left_out, summary) is None:
            return window
        partly = partly or window
    return partly or plain


def find_left_out(
    groups: Sequence[Group], window: Window, left_out_from: int | None
) -> schemas.Range | None:
    """From the first to the last position that a window leaves out, None if it is complete."""
    if window.begin == 0:
        if left_out_from is None:
            return None
        to_seq = groups[0].seq - 1 if groups else left_out_from
        return {"from_seq": left_out_from, "to_seq": max(left_out_from, to_seq)}
    from_seq = groups[0].seq if left_out_from is None else left_out_from
    last, first_kept = groups[window.begin - 1], groups[window.begin]
    return {"from_seq": from_seq, "to_seq": min(last.last_seq, first_kept.seq - 1)}


def find_unsummarized(
    left_out: schemas.Range, summary: schemas.Summary | None
) -> schemas.Range | None:
    """What of it the summary doesn't speak for; of two parts, the newer one."""
    if summary is None:
        return left_out
    if summary["to_seq"] < left_out["to_seq"]:
        return {"from_seq": summary["to_seq"] + 1, "to_seq": left_out["to_seq"]}
    if summary["from_seq"] > left_out["from_seq"]:
        return {"from_seq": left_out["from_seq"], "to_seq": summary["from_seq"] - 1}
    return None


def _fit(groups: Sequence[Group], room: int, opening_tokens: int) -> Window | None:
    """As many of the newest groups as the room holds; None if it doesn't hold the newest."""
    if room < 0:
        return None
    best = None if groups else Window(0, None, 0)
    total = 0
    for begin in range(len(groups) - 1, -1, -1):
        total += groups[begin].tokens
        if total > room:
            break
        whole = total if groups[begin].opens else total + opening_tokens
        if whole <= room:
            best = Window(begin, None, whole)
    return best


def _overlap(summary: schemas.Summary, left_out: schemas.Range) -> bool:
    return summary["from_seq"] <= left_out["to_seq"] and summary["to_seq"] >= left_out["from_seq"]
