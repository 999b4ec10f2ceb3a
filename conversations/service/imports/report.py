"""What became of an import."""

from collections import Counter

from conversations.schemas import LISTED_REASONS, ImportFormat, ImportReport
from conversations.schemas.imports import SkippedLine, Tally

_KINDS = ("conversations", "messages", "tool_calls", "summaries", "feedback")
_REASON_CHARACTERS = 300


class Report:
    """Filled in as an import goes on. lines: read. complete: what the last line says, if any."""

    def __init__(self) -> None:
        self.lines = 0
        self.complete: bool | None = None
        self._imported: Counter[str] = Counter()
        self._already_there: Counter[str] = Counter()
        self._skipped = 0
        self._listed: list[SkippedLine] = []

    def skip(self, line: int, reason: str) -> None:
        self._skipped += 1
        if len(self._listed) < LISTED_REASONS:
            self._listed.append({"line": line, "reason": reason[:_REASON_CHARACTERS]})

    def add(self, outcome: "Outcome") -> None:
        """What a transaction that is committed has brought."""
        self._imported += outcome.imported
        self._already_there += outcome.already_there
        for line, reason in outcome.skipped:
            self.skip(line, reason)

    def show(self, kind: ImportFormat) -> ImportReport:
        tallies: dict[str, Tally] = {
            name: {"imported": self._imported[name], "already_there": self._already_there[name]}
            for name in _KINDS
        }
        return {
            "format": kind,
            "lines": self.lines,
            "complete": self.complete,
            "conversations": tallies["conversations"],
            "messages": tallies["messages"],
            "tool_calls": tallies["tool_calls"],
            "summaries": tallies["summaries"],
            "feedback": tallies["feedback"],
            "skipped": self._skipped,
            "skipped_lines": self._listed,
        }


class Outcome:
    """What carrying one draft has brought, by kind; and the lines that stay out, with reasons."""

    def __init__(self) -> None:
        self.imported: Counter[str] = Counter()
        self.already_there: Counter[str] = Counter()
        self.skipped: list[tuple[int, str]] = []
