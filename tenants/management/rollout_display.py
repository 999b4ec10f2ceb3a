"""What a rollout shows while it runs: a display on a terminal, lines elsewhere, JSON for programs.

People see it on standard error, since standard output is for the answer; for programs the events
are the answer. Whatever fails gets a line of its own, so that nothing scrolls away unseen.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tenants.doctor.finding import count
from tenants.management.output import make_console, print_json
from tenants.rollouts import (
    Attempt,
    Checked,
    Ended,
    Event,
    Planned,
    Postponed,
    Staged,
    Tried,
    Waiting,
)
from tenants.shapes import show_attempt

# Between two lines of progress where nobody can watch a display.
_LINE_EVERY_SECONDS = 5.0
_MOST_NAMES = 5


class Tally:
    """How far a run has come, counted from its events.

    slowest: milliseconds and name of a few. postponed: by name, what was in the way. end: how it
    ended, once it has.
    """

    def __init__(self) -> None:
        self.plan = Planned("", {}, 0, 0)
        self.end: Ended | None = None
        self.migrated = self.failed = 0
        self.slowest: list[tuple[float, str]] = []
        self.postponed: dict[str, str] = {}
        self._started_at = time.monotonic()

    def note(self, event: Event) -> None:
        match event:
            case Planned():
                self.plan, self._started_at = event, time.monotonic()
            case Postponed(name, error):
                self.postponed[name] = error
            case Tried(attempt):
                self.postponed.pop(attempt.name, None)
                self.migrated += attempt.succeeded
                self.failed += not attempt.succeeded
                # A new list, since the old one may be being drawn.
                known = [*self.slowest, (attempt.milliseconds, attempt.name)]
                self.slowest = sorted(known, reverse=True)[:_MOST_NAMES]
            case Ended():
                self.end = event

    @property
    def done(self) -> int:
        return self.migrated + self.failed

    @property
    def planned(self) -> int:
        """Those that came to be behind while it ran are added as they are done."""
        return max(self.plan.planned, self.done)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started_at

    @property
    def per_second(self) -> float:
        return self.done / max(self.seconds, 0.001)

    def describe(self) -> str:
        """Such as `120 of 400 done, 1 failed, 2 postponed, 60.2/s, 5 s left`."""
        parts = [f"{self.done:,} of {self.planned:,} done"]
        parts += [f"{self.failed:,} failed"] if self.failed else []
        parts += [f"{len(self.postponed):,} postponed"] if self.postponed else []
        if self.done:
            left = (self.planned - self.done) / self.per_second
            parts += [f"{self.per_second:,.1f}/s", f"{show_seconds(left)} left"]
        return ", ".join(parts)


class Display:
    """What is told of a run's events, for as long as the block runs."""

    def __init__(self) -> None:
        self.tally = Tally()

    def __enter__(self) -> None:
        """Begin to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cease to show."""

    def watch(self, event: Event) -> None:
        """Show an event; a `Watcher`."""
        self.tally.note(event)

    def tell(self, sentence: str) -> None:
        """Tell people what else there is to know."""

    def answer(self) -> None:
        """Tell people how it ended, after the block."""


class JsonLines(Display):
    """Each event as a line of JSON, whose `event` is its kind."""

    _heard = True

    def watch(self, event: Event) -> None:
        super().watch(event)
        if not self._heard:
            return
        try:
            print_json({"event": type(event).__name__.lower(), **_show_event(event)})
            sys.stdout.flush()
        except BrokenPipeError:
            # Nobody reads any more, which is no reason to leave the fleet half-way.
            self._heard = False


class Lines(Display):
    """A line for each failure and each stage, and one for the progress now and then."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self._told_at = time.monotonic()

    def watch(self, event: Event) -> None:
        super().watch(event)
        match event:
            case Waiting(running):
                self.tell(f"{running}; waiting for its end.")
            case Planned():
                self.tell(_describe_plan(event))
            case Staged(stage, schemas) if schemas < self.tally.plan.planned:
                self.tell(f"{stage}: {count(schemas, 'schema')}")
            case Tried(attempt) if not attempt.succeeded:
                self._print(Text.assemble(("failed", "bold red"), ": ", _describe_failure(attempt)))
            case Checked(stage, passed, output):
                verdict = ("passed", "green") if passed else ("did not pass", "bold red")
                self._print(Text.assemble(f"The check after {stage} ", verdict, "."))
                if output and not passed:
                    self.tell(output)
            case Tried() | Postponed():
                self._show_progress()

    def tell(self, sentence: str) -> None:
        self._print(Text(sentence))

    def answer(self) -> None:
        if self.tally.end is not None:
            sys.stdout.write(f"{_describe_end(self.tally.end)}\n")

    def _show_progress(self) -> None:
        if time.monotonic() - self._told_at >= _LINE_EVERY_SECONDS:
            self.tell(self.tally.describe())

    def _print(self, line: Text) -> None:
        self.console.print(line, soft_wrap=True)
        self._told_at = time.monotonic()


class LiveDisplay(Lines):
    """The same below which a bar moves, with the slowest and those that wait for a lock."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(
            get_renderable=self._draw, console=console, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_how: object) -> None:
        self._live.stop()

    def _show_progress(self) -> None:
        """It draws itself, in a thread of its own."""

    def _draw(self) -> RenderableType:
        tally = self.tally
        if not tally.plan.targets:
            return Text("Reading who is behind …", style="dim")
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=max(tally.planned, 1), completed=tally.done, width=30),
            _one_line(tally.describe()),
        )
        slowest = [f"{name} {milliseconds:,.0f} ms" for milliseconds, name in tally.slowest]
        # Copied in one step, since another thread goes on counting.
        postponed = [f"{name} ({error})" for name, error in list(tally.postponed.items())]
        return Group(
            bar,
            _one_line(f"slowest    {_list_some(slowest)}", "dim"),
            _one_line(f"postponed  {_list_some(postponed)}", "dim"),
        )


def choose_display(*, json: bool) -> Display:
    """The one that fits whoever reads."""
    if json:
        return JsonLines()
    console = make_console(stderr=True)
    moving = console.is_terminal and not console.is_dumb_terminal
    return LiveDisplay(console) if moving else Lines(console)


def show_target(revision: str | None) -> str:
    """As `--to` takes it."""
    return revision or "base"


def list_revisions(revisions: Mapping[str, str | None]) -> list[str]:
    return [f"{module}@{show_target(revision)}" for module, revision in revisions.items()]


def show_seconds(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _show_event(event: Event) -> dict[str, Any]:
    match event:
        case Tried(attempt):
            return {**show_attempt(attempt)}
        case Planned():  # A rehearsal has no id.
            return asdict(event) | {"rollout": event.rollout or None}
        case Ended():
            seconds = round(event.seconds, 3)
            return asdict(event) | {"rollout": event.rollout or None, "seconds": seconds}
        case _:
            return asdict(event)


def _describe_plan(plan: Planned) -> str:
    title = plan.rollout or "Rehearsal, in which nothing is kept"
    targets = ", ".join(list_revisions(plan.targets))
    return f"{title}: {plan.planned:,} to carry to {targets}; {plan.current:,} there already"


def _describe_end(end: Ended) -> str:
    """Such as `completed: 12 migrated, 0 failed, in 4.2 s`."""
    migrated = "migrated" if end.rollout else "would be migrated"
    failed = "failed" if end.rollout else "would fail"
    counts = f"{end.migrated:,} {migrated}, {end.failed:,} {failed}"
    note = f". {end.note}" if end.note else ""
    return f"{end.status}: {counts}, in {show_seconds(end.seconds)}{note}"


def _describe_failure(attempt: Attempt) -> str:
    return f"{attempt.name}: {' '.join(attempt.error.split())}"


def _one_line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _list_some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "") or "-"
