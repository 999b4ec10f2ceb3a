"""PgBouncer in transaction mode, in front of the tests' own server."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

_CONFIG = """
[databases]
{database} = host={host} port={port} dbname={database}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
auth_type = plain
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
unix_socket_dir =
ignore_startup_parameters = extra_float_digits
server_reset_query =
logfile = {folder}/log
pidfile = {folder}/pid
"""


@contextlib.contextmanager
def pooled(url: str) -> Iterator[str]:
    """The URL of a login, through a pooler that gives each transaction any of three connections."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not installed; on Debian: apt install pgbouncer")
    parts = make_url(url)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="tenantry-pooler-"))
    config = _CONFIG.format(
        database=parts.database,
        host=parts.query.get("host", parts.host),
        port=parts.port or parts.query.get("port", 5432),
        listen_port=port,
        folder=folder,
    )
    (folder / "config.ini").write_text(config)
    (folder / "users.txt").write_text(f'"{parts.username}" "{parts.password}"\n')
    command = [program, "-q", str(folder / "config.ini")]
    if os.getuid() == 0:  # As which it refuses to run; the server's account can enter its folder.
        account = pwd.getpwuid(Path(parts.query["host"]).stat().st_uid)
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
        command += ["-u", account.pw_name]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    through = parts.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
    try:
        _wait(through, folder / "log")
        yield through
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(url: str, log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise AssertionError(log.read_text() if log.exists() else str(error)) from error
            time.sleep(0.05)
