"""`manage.py rollout`: what it shows while it runs and afterwards, and how it ends."""

import asyncio
import io
import re
import sys
from uuid import UUID

import pytest
from django.core.management.base import CommandError
from rich.console import Console

from tenants.errors import RolloutRunning
from tenants.linting import LintUnavailable
from tenants.management import rollout_display, rollout_plan, rollout_run, rollout_status
from tenants.management.output import CONFLICT, FAILED, MISSING, USAGE
from tenants.management.rollout_display import JsonLines, Lines, LiveDisplay, show_seconds
from tenants.models import Rollout, RolloutStatus
from tenants.rollouts import (
    Attempt,
    Checked,
    LeaseLost,
    Options,
    Planned,
    Postponed,
    Scope,
    Tried,
    conduct,
    ledger,
    start_rollout,
)
from tenants.testing import TESTER
from tests.tenants.rollouts.conftest import DROP_NOTE, NEW, NOTE, OLD, THINGS, execute, read_state
from tests.tenants.test_commands import call, plain_streams  # noqa: F401  # A fixture.

ADD_NOTE = {"upgrade": NOTE, "downgrade": DROP_NOTE}
SLOW = f"op.execute('SELECT pg_sleep(20)')\n{NOTE}"


@pytest.fixture
def rollout(application):
    """Run a verb of the command, in this process."""

    async def run(*arguments):
        return await asyncio.to_thread(call, "rollout", *arguments)

    return run


@pytest.fixture
async def fleet(make_fleet, load):
    """Two tenants that are behind by a revision, as they are named to a command."""
    fleet = await make_fleet(2)
    load(THINGS, ADD_NOTE)
    return fleet


def named(fleet):
    return [word for tenant in fleet for word in ("--tenant", tenant.slug)]


async def find_newest():
    return await Rollout.objects.order_by("-id").afirst()


class TestPlan:
    async def test_it_shows_each_way_once_with_its_steps_and_changes_nothing(
        self, rollout, make_fleet, load
    ):
        fleet = await make_fleet(2)
        index = "CREATE INDEX CONCURRENTLY IF NOT EXISTS things_idx ON tenant_schema.fleet_things"
        load(
            THINGS,
            NOTE,
            {"upgrade": "pass", "marks": "online = True"},
            {"upgrade": f"op.execute('{index} (id)')", "marks": "transactional = False"},
        )
        one, other = (tenant.slug for tenant in fleet)

        people = await rollout("plan", *named(fleet))
        assert people.code == 0
        header, row = people.out.splitlines()
        assert header.split() == ["module", "from", "to", "schemas", "steps", "who"]
        assert re.split(r"  +", row.strip()) == [
            *("fleet", "fleet_0001", "fleet_0004", "2"),
            "sql to fleet_0002, python to fleet_0003, outside to fleet_0004",
            f"{one}, {other}",
        ]
        assert people.err == "2 of 2 schemas to carry.\n"

        program = (await rollout("plan", *named(fleet), "--sql", "--json")).json
        assert (program["behind"], program["current"], program["strays"]) == (2, 0, [])
        (way,) = program["ways"]
        assert (way["start"], way["end"], way["names"]) == (
            "fleet_0001",
            "fleet_0004",
            [one, other],
        )
        assert [step["kind"] for step in way["steps"]] == ["sql", "python", "outside"]
        assert way["steps"][0]["statements"] == ["ALTER TABLE fleet_things ADD COLUMN note TEXT;"]

        sql = (await rollout("plan", *named(fleet), "--sql")).out
        assert sql.count("ALTER TABLE fleet_things ADD COLUMN note TEXT;") == 1
        assert "-- fleet, 2 schemas\n-- fleet_0001 to fleet_0002, in one transaction\n" in sql
        assert "-- fleet_0002 to fleet_0003 runs Python" in sql
        assert "outside a transaction; tenant_schema stands for the schema's name" in sql
        assert [await read_state(tenant) for tenant in fleet] == [OLD, OLD]

    async def test_it_shows_the_way_down_and_who_can_not_be_carried(self, rollout, fleet, load):
        down = await rollout("plan", *named(fleet), "--to", "fleet@base")
        assert down.out.splitlines()[1].split()[:4] == ["fleet", "fleet_0001", "base", "2"]

        load()
        strays = await rollout("plan", *named(fleet))
        reason = "The module `fleet` has no revision `fleet_0001` in this release."
        assert (strays.code, strays.out) == (0, "")
        assert strays.err.splitlines() == [
            "0 of 2 schemas to carry.",
            *(f"can't be carried: {tenant.slug}: {reason}" for tenant in fleet),
        ]


class TestRun:
    async def test_a_failure_is_a_line_and_is_tried_again_when_it_was_mended(self, rollout, fleet):
        broken, fine = fleet
        await execute(broken, "ALTER TABLE fleet_things ADD COLUMN note text")
        reason = 'DuplicateColumnError 42701: column "note" of relation "fleet_things" already'

        result = await rollout("run", *named(fleet))

        shown = ledger.show_rollout_id((await find_newest()).id)
        assert result.code == FAILED
        assert result.out.startswith("failed: 1 migrated, 1 failed, in ")
        begun, failed, hint = result.err.splitlines()
        assert begun.startswith(f"{shown}: 2 to carry to ")
        assert "fleet@fleet_0002" in begun
        assert begun.endswith("; 0 there already")
        assert failed.startswith(f"failed: {broken.slug}: {reason}")
        assert hint == f"Those that failed, again: manage.py rollout retry {shown}"
        assert [await read_state(tenant) for tenant in (fine, broken)] == [NEW, (*OLD[:2], True)]

        status = await rollout("status")
        (row,) = [line for line in status.out.splitlines() if line.startswith(broken.slug)]
        assert re.split(r"  +", row)[1] == "fleet@fleet_0001"
        assert reason in row
        program = (await rollout("show", "last", "--failed", "--json")).json
        assert [each["slug"] for each in program["attempts"]] == [broken.slug]
        people = await rollout("show", shown)
        assert people.err == f"{hint}\n"
        facts = people.out.partition("\n\n")[0].splitlines()
        assert "planned                  2" in facts
        assert {line.split()[0] for line in people.out.splitlines()[-2:]} == {
            fine.slug,
            broken.slug,
        }

        await execute(broken, "ALTER TABLE fleet_things DROP COLUMN note")
        mended = await rollout("retry", "last")
        assert mended.code == 0
        assert mended.out.startswith("completed: 2 migrated, 0 failed, in ")
        assert await read_state(broken) == NEW
        assert (await rollout("retry", shown)).code == CONFLICT

    async def test_programs_get_its_events_and_a_canary_is_waited_for(self, rollout, fleet):
        first, second = fleet
        paused = await rollout("run", *named(fleet), "--canary", "1", "--pause", "--json")

        assert (paused.code, paused.err) == (0, "")
        planned, staged, tried, ended = paused.json_lines
        assert (planned["event"], planned["planned"]) == ("planned", 2)
        assert planned["targets"]["fleet"] == "fleet_0002"
        assert staged == {"event": "staged", "stage": "canary", "schemas": 1}
        assert (tried["event"], tried["slug"], tried["error"]) == ("tried", first.slug, None)
        assert tried["revisions"] == {"fleet": "fleet_0002"}
        assert ended == {
            "event": "ended",
            "rollout": planned["rollout"],
            "status": "paused",
            "note": "The canary is done.",
            "migrated": 1,
            "failed": 0,
            "seconds": ended["seconds"],
        }
        assert await read_state(second) == OLD

        resumed = await rollout("resume", "last", "--json")
        assert resumed.code == 0
        events = [line["event"] for line in resumed.json_lines]
        assert events == ["planned", "staged", "tried", "ended"]
        assert resumed.json_lines[-1]["rollout"] == planned["rollout"]
        assert await read_state(second) == NEW

    async def test_a_check_that_does_not_pass_stops_it_and_is_shown(self, rollout, fleet):
        result = await rollout(
            *("run", *named(fleet), "--batch", "1", "--concurrency", "1"),
            *("--check-command", "echo no answer; exit 1"),
        )
        assert result.code == FAILED
        assert "\nThe check after batch 1 did not pass.\nno answer\nTo carry on: " in result.err
        assert result.out.startswith("failed: 1 migrated, 0 failed, in ")

    async def test_a_rehearsal_keeps_nothing(self, rollout, fleet):
        fine, broken = fleet
        await execute(broken, "ALTER TABLE fleet_things ADD COLUMN note text")

        people = await rollout("run", *named(fleet), "--dry-run")
        assert people.code == FAILED
        assert people.out.startswith("rehearsed: 1 would be migrated, 1 would fail, in ")
        assert people.err.startswith("Rehearsal, in which nothing is kept: 2 to carry to ")
        assert f"\nfailed: {broken.slug}: DuplicateColumnError" in people.err

        program = await rollout("run", *named([fine]), "--dry-run", "--json")
        assert program.code == 0
        assert [line["event"] for line in program.json_lines] == ["planned", "tried", "ended"]
        assert program.json_lines[-1]["rollout"] is None
        assert await read_state(fine) == OLD

    async def test_what_is_wrong_is_said_before_anything_is_done(self, rollout, fleet):
        for arguments, code, message in [
            (["run", "--canary", "nobodies"], USAGE, "`canary` must be a number, or a group"),
            (["run", "--max-failures", "0%"], USAGE, "`max_failures` must be a number"),
            (["run", "--concurrency", "0"], USAGE, "`concurrency` must be 1 to 64."),
            (["run", "--to", "fleet@nope"], USAGE, "The module `fleet` has no revision `nope`"),
            (["run", "--module", "nope"], USAGE, "There is no module `nope`."),
            (["run", "--tenant", "nobody"], MISSING, "There is no tenant `nobody`."),
            (["show", "roll_1"], MISSING, "There is no rollout `roll_1`."),
            (["cancel", "roll_1"], MISSING, "There is no rollout `roll_1`."),
        ]:
            result = await rollout(*arguments, "--json")
            assert (result.code, result.out) == (code, ""), arguments
            assert result.err.startswith(f"error: {message}")
        for wrong in ("fleet", "@fleet_0001", "fleet@"):
            with pytest.raises(CommandError, match="is not a module and a revision"):
                await rollout("run", "--to", wrong)
        assert await read_state(fleet[0]) == OLD

    async def test_no_rollout_is_the_last_while_there_is_none(self, rollout, monkeypatch):
        async def list_none(limit):
            return []

        monkeypatch.setattr("tenants.management.commands.rollout.list_rollouts", list_none)
        result = await rollout("resume", "last")
        assert (result.code, result.err) == (MISSING, "error: There is no rollout `last`.\n")


class TestWhatToDoNext:
    RESUME = f"To carry on: manage.py rollout resume roll_{'0' * 32}"
    RETRY = f"Those that failed, again: manage.py rollout retry roll_{'0' * 32}"

    @pytest.mark.parametrize(
        ("status", "note", "failed", "hint"),
        [
            ("running", "", 0, ""),
            ("completed", "", 0, ""),
            ("failed", "", 2, RETRY),
            ("failed", "2 failed, which is the limit.", 2, f"{RESUME}\n{RETRY}"),
            ("failed", "The check after canary did not pass.", 0, RESUME),
            ("paused", "The canary is done.", 0, RESUME),
            ("cancelled", "", 0, RESUME),
            ("interrupted", "", 1, f"{RESUME}\n{RETRY}"),
        ],
    )
    def test_it_fits_how_the_rollout_ended(self, status, note, failed, hint):
        ended = Rollout(id=UUID(int=0), status=status, note=note, failed=failed)
        assert rollout_run.suggest(ended) == hint


class TestAnotherRunner:
    @pytest.fixture
    async def running(self):
        """A rollout that is carried out elsewhere: its lease, and its id."""
        row, lease = await ledger.begin_rollout({"scope": {"tenants": []}}, TESTER)
        yield lease, ledger.show_rollout_id(row.id)
        await Rollout.objects.filter(pk=row.pk).aupdate(status=RolloutStatus.COMPLETED)

    async def test_the_second_leaves_or_waits_and_the_first_can_be_cancelled(
        self, rollout, fleet, running, monkeypatch
    ):
        monkeypatch.setattr(conduct, "_LOOK_AGAIN_SECONDS", 0.02)
        lease, shown = running
        left = await rollout("run", *named(fleet), "--wait", "0")
        assert (left.code, left.out) == (CONFLICT, "")
        assert left.err.startswith(f"error: The rollout `{shown}` is running, on ")

        cancelled = await rollout("cancel", "last")
        assert (cancelled.code, cancelled.out) == (0, f"{shown} stops within seconds.\n")
        assert await ledger.keep_up(lease, [])

        refused = asyncio.Event()
        loop = asyncio.get_running_loop()

        begin_rollout = ledger.begin_rollout

        async def begin(*given):
            try:
                return await begin_rollout(*given)
            except RolloutRunning:
                loop.call_soon_threadsafe(refused.set)
                raise

        monkeypatch.setattr(ledger, "begin_rollout", begin)
        waiting = asyncio.create_task(rollout("run", *named(fleet), "--wait", "10"))
        await refused.wait()
        await ledger.end_rollout(lease, RolloutStatus.PAUSED)
        waited = await waiting
        assert waited.code == 0
        assert waited.err.count("; waiting for its end.\n") == 1
        assert await read_state(fleet[0]) == NEW
        assert (await rollout("cancel", shown)).out == f"Cancelled {shown}.\n"

    async def test_a_runner_that_lost_its_lease_says_so(self, rollout, monkeypatch):
        async def lose(*_given, **_options):
            raise LeaseLost

        monkeypatch.setattr("tenants.management.commands.rollout.start_rollout", lose)
        result = await rollout("run")
        assert (result.code, result.out) == (CONFLICT, "")
        assert result.err.startswith("error: another runner has taken the rollout over")


class TestInterrupted:
    async def test_it_says_how_to_carry_on(self, make_fleet, load, capsys):
        fleet = await make_fleet(1)
        load(THINGS, SLOW)
        begun = asyncio.Event()

        def begin(watch, patience):
            def note(event):
                watch(event)
                begun.set()

            return start_rollout(Scope([fleet[0].slug]), Options(), note, patience, by=TESTER)

        task = asyncio.create_task(rollout_run.carry(begin, json=False))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        newest = await find_newest()
        assert newest.status == RolloutStatus.INTERRUPTED
        shown = capsys.readouterr()
        assert shown.out.startswith("interrupted: 0 migrated, 0 failed, in ")
        assert shown.err.endswith(
            f"To carry on: manage.py rollout resume {ledger.show_rollout_id(newest.id)}\n"
        )


class TestStatus:
    async def test_it_counts_the_fleet_and_lists_no_more_than_a_page(
        self, rollout, fleet, monkeypatch
    ):
        monkeypatch.setattr(rollout_status, "_MOST", 1)
        program = (await rollout("status", "--json")).json
        rows = [row for row in program["modules"] if row["module"] == "fleet"]
        assert rows == [{"module": "fleet", "revision": "fleet_0001", "schemas": 2, "head": False}]
        assert program["behind_count"] == 2
        assert len(program["behind"]) == 1

        people = await rollout("status")
        assert people.err == (
            "2 schemas behind, of which 1 are listed. See: manage.py rollout plan\n"
        )


class TestCheck:
    async def test_a_schema_that_differs_is_named_with_its_differences(self, rollout, fleet):
        changed, fine = fleet
        await execute(changed, "ALTER TABLE fleet_things ADD COLUMN note text")
        difference = "table fleet_things: column note should not be there"

        people = await rollout("check", *named(fleet))
        assert (people.code, people.out) == (FAILED, f"{changed.slug}: {difference}\n")
        assert people.err.startswith("1 of 2 schemas not as stamped, ")
        program = await rollout("check", *named(fleet), "--json")
        assert program.code == FAILED
        assert (program.json["checked"], program.json["drifted"]) == (2, 1)
        (found,) = program.json["schemas"]
        assert (found["slug"], found["differences"]) == (changed.slug, [difference])

        alone = await rollout("check", *named([fine]))
        assert (alone.code, alone.out) == (0, "")


class TestLint:
    async def test_what_is_unsafe_is_found_until_it_is_acknowledged(
        self, rollout, make_fleet, load
    ):
        fleet = await make_fleet(1)
        drop = "op.drop_table('fleet_things')"
        load(THINGS, drop)

        people = await rollout("lint", "--module", "fleet")
        assert people.code == FAILED
        assert "fleet_0002: ban-drop-table: " in people.out
        assert "    DROP TABLE fleet_things" in people.out
        planned = await rollout("plan", *named(fleet))
        assert planned.err.startswith("risky: fleet_0002: ban-drop-table: ")
        (way,) = (await rollout("plan", *named(fleet), "--json")).json["ways"]
        assert [finding["rule"] for finding in way["findings"]] == ["ban-drop-table"]
        down = await rollout("plan", *named(fleet), "--to", "fleet@base")
        assert "risky" not in down.err

        marks = 'acknowledged = {"ban-drop-table": "Nothing reads it any more."}'
        load(THINGS, {"upgrade": drop, "marks": marks})
        known = await rollout("lint", "--module", "fleet")
        assert known.code == 0
        assert "\n    acknowledged: Nothing reads it any more.\n" in known.out
        (finding,) = (await rollout("lint", "--module", "fleet", "--json")).json
        assert (finding["revision"], finding["is_open"]) == ("fleet_0002", False)
        assert "risky" not in (await rollout("plan", *named(fleet))).err

    async def test_without_a_linter_a_plan_says_that_nothing_was_linted(
        self, rollout, fleet, monkeypatch
    ):
        def fail(module):
            raise LintUnavailable

        monkeypatch.setattr(rollout_plan, "lint_module", fail)
        people = await rollout("plan", *named(fleet))
        assert people.code == 0
        assert people.err.startswith("Revisions can't be checked here: ")
        (way,) = (await rollout("plan", *named(fleet), "--json")).json["ways"]
        assert way["findings"] is None


def attempt(name, milliseconds, error=""):
    return Tried(Attempt(UUID(int=1), name, not error, milliseconds, error=error))


PLANNED = Planned("roll_1", {"notes": "notes_0002", "lists": None}, 12, 3)


class TestDisplay:
    def test_elsewhere_it_is_a_line_per_failure_and_one_for_the_progress_now_and_then(
        self, monkeypatch
    ):
        console = Console(file=io.StringIO(), width=40)
        display = Lines(console)
        with display:
            display.watch(PLANNED)
            display.watch(attempt("acme", 10))
            display.watch(attempt("globex", 30, "Two lines\nof an error"))
            display.watch(Postponed("initech", "a lock", 1))
            display.watch(Checked("canary", True, "fine"))
            monkeypatch.setattr(rollout_display, "_LINE_EVERY_SECONDS", 0)
            display.watch(Postponed("umbrella", "a lock", 1))
            display.watch(attempt("initech", 20))
        *lines, first, second = console.file.getvalue().splitlines()
        assert lines == [
            "roll_1: 12 to carry to notes@notes_0002, lists@base; 3 there already",
            "failed: globex: Two lines of an error",
            "The check after canary passed.",
        ]
        assert first.startswith("2 of 12 done, 1 failed, 2 postponed, ")
        assert re.fullmatch(
            r"3 of 12 done, 1 failed, 1 postponed, [\d,.]+/s, \d\.\d s left", second
        )

    def test_on_a_terminal_a_bar_moves_below_the_lines(self):
        console = Console(file=io.StringIO(), width=100, force_terminal=True, markup=False)
        display = LiveDisplay(console)
        with display:
            with console.capture() as drawn:
                console.print(display._draw())
            assert "Reading who is behind" in drawn.get()
            display.watch(PLANNED)
            for number in range(7):
                display.watch(attempt(f"t{number}", number * 1000))
            display.watch(attempt("globex", 1, "broken"))
            display.watch(Postponed("initech", "a lock", 1))
            with console.capture() as drawn:
                console.print(display._draw())
        shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", drawn.get())
        assert "8 of 12 done, 1 failed, 1 postponed, " in shown
        assert "slowest    t6 6,000 ms, t5 5,000 ms, t4 4,000 ms, t3 3,000 ms, t2" in shown
        assert "postponed  initech (a lock)" in shown
        assert "globex: broken" in console.file.getvalue()

    def test_a_reader_that_goes_away_stops_nothing(self, monkeypatch):
        class Gone(io.StringIO):
            def write(self, text):
                raise BrokenPipeError

        display = JsonLines()
        monkeypatch.setattr(sys, "stdout", Gone())
        display.watch(PLANNED)
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        display.watch(attempt("acme", 10))
        assert sys.stdout.getvalue() == ""
        assert display.tally.migrated == 1

    def test_times_are_as_long_as_people_can_tell_them_apart(self):
        shown = [show_seconds(seconds) for seconds in (0, 9.94, 12.3, 59.6, 61, 3600, 90_000)]
        assert shown == [
            "0.0 s",
            "9.9 s",
            "12 s",
            "1 min 0 s",
            "1 min 1 s",
            "1 h 0 min",
            "25 h 0 min",
        ]
