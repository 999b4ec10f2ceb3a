"""Heads of requests that come slowly, or never, or without end."""

import socket
import time

import httpx
import pytest

from project.connections import MAX_HEAD_BYTES
from tests.project.processes import running_serve

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def served():
    with running_serve(TENANTRY_HEAD_TIMEOUT_SECONDS="1") as service:
        yield service


@pytest.fixture
def connection(served):
    host, port = served.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        yield connection
    assert httpx.get(f"{served.base_url}/healthz").status_code == 200
    assert "Traceback" not in served.log.read_text()


def read_to_the_end(connection):
    """What is answered, and how many seconds later the connection is closed."""
    started_at, answer = time.monotonic(), b""
    while part := connection.recv(65_536):
        answer += part
    return answer, time.monotonic() - started_at


def test_a_connection_on_which_nothing_comes_is_closed(connection):
    answer, seconds = read_to_the_end(connection)

    assert (answer, 0.5 < seconds < 3) == (b"", True)


def test_a_head_that_comes_slowly_is_cut_off(connection):
    started_at = time.monotonic()
    with pytest.raises(OSError, match=r"reset|Broken"):  # noqa: PT012
        for byte in HEAD * 100:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    assert time.monotonic() - started_at < 3


def test_whoever_is_too_slow_is_told(connection):
    connection.sendall(HEAD)

    answer, seconds = read_to_the_end(connection)

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert 0.5 < seconds < 3


def test_the_next_head_must_come_in_time_too(connection):
    connection.sendall(HEAD + b"\r\n")
    first = b""
    while not first.endswith(b"}"):
        first += connection.recv(65_536)
    connection.sendall(HEAD)
    second, seconds = read_to_the_end(connection)

    assert first.startswith(b"HTTP/1.1 200 ")
    assert second.startswith(b"HTTP/1.1 408 ")
    assert 0.5 < seconds < 3


def test_a_head_without_end_is_refused(connection):
    connection.sendall(HEAD + b"X-Long: ")
    with pytest.raises(OSError, match=r"reset|Broken"):  # noqa: PT012
        for _ in range(1000):
            connection.sendall(b"x" * 10_000)
            time.sleep(0.001)


def test_a_head_that_is_just_within_is_served(connection):
    connection.sendall(HEAD + b"X-Long: " + b"x" * (MAX_HEAD_BYTES - 2000) + b"\r\n")
    connection.sendall(b"Connection: close\r\n\r\n")

    answer, seconds = read_to_the_end(connection)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert seconds < 1


def test_a_body_may_take_longer_than_its_head(connection, served):
    connection.sendall(
        b"POST /api/v1/conversations HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{"
    )
    time.sleep(1.5)
    connection.sendall(b"}")

    answer, _ = read_to_the_end(connection)

    assert answer.startswith(b"HTTP/1.1 401 ")
