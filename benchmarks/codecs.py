"""What it takes to read a page's UUIDs and JSONB values and write them as JSON, by codec.

`python -m benchmarks.codecs`. A page is 50 messages with two tool calls each: a hundred ids of both
kinds, and a hundred arguments. Ways take turns on one connection each.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import asyncpg
import orjson
import uvloop

from benchmarks.cpu import sum_seconds
from benchmarks.figures import show
from benchmarks.stage import set_stage
from benchmarks.tables import Table
from tenants.ids import show_id

_ROUNDS, _PAGES = 5, 1000
_PAGE = "SELECT {} FROM generate_series(1, 100) AS number"
_UUIDS = _PAGE.format("gen_random_uuid()")
_HEX = _PAGE.format("replace(gen_random_uuid()::text, '-', '')")
# No constant, which PostgreSQL would write once.
_ARGUMENTS = "jsonb_build_object('city', 'Oslo', 'days', number, 'units', 'metric')"
_JSONB = _PAGE.format(_ARGUMENTS)
_TEXT = _PAGE.format(f"{_ARGUMENTS}::text")


class _Codec(NamedTuple):
    """How the driver reads a type. PostgreSQL begins its binary JSONB with a version number."""

    type_name: str
    is_binary: bool
    decode: Callable[[Any], Any]


class _Way(NamedTuple):
    """codec: None for the driver's own. write: makes a value ready for `orjson.dumps`, if it isn't
    when it has been read."""

    label: str
    codec: _Codec | None
    sql: str
    write: Callable[[Any], Any] = lambda value: value


_WAYS = (
    _Way("UUID, the driver's own", None, _UUIDS, lambda value: show_id("msg", value)),
    _Way(
        "UUID as text",
        _Codec("uuid", False, str),
        _UUIDS,
        lambda value: "msg_" + value.replace("-", ""),
    ),
    _Way("UUID as bytes", _Codec("uuid", True, bytes), _UUIDS, lambda value: "msg_" + value.hex()),
    _Way("UUID shown by PostgreSQL", None, _HEX, lambda value: "msg_" + value),
    _Way("JSONB cast to text", None, _TEXT, orjson.Fragment),
    _Way("JSONB as text, parsed", _Codec("jsonb", False, orjson.loads), _JSONB),
    _Way(
        "JSONB as bytes, parsed",
        _Codec("jsonb", True, lambda sent: orjson.loads(sent[1:])),
        _JSONB,
    ),
    _Way(
        "JSONB as bytes, passed on",
        _Codec("jsonb", True, lambda sent: orjson.Fragment(sent[1:])),
        _JSONB,
    ),
)


async def _measure(url: str) -> Table:
    found: dict[str, list[tuple[float, float]]] = {way.label: [] for way in _WAYS}
    connections = [await _connect(url, way.codec) for way in _WAYS]
    try:
        for _ in range(_ROUNDS):
            for way, connection in zip(_WAYS, connections, strict=True):
                found[way.label].append(await _read(connection, way))
    finally:
        for connection in connections:
            await connection.close()
    rows = [
        [label, *(show(median(part)) for part in zip(*rounds, strict=True))]
        for label, rounds in found.items()
    ]
    return Table("codecs", ["a page", "µs of ours", "µs of the backend's"], rows, [])


async def _connect(url: str, codec: _Codec | None) -> asyncpg.Connection:
    connection = await asyncpg.connect(url)
    if codec is not None:
        await connection.set_type_codec(
            codec.type_name,
            schema="pg_catalog",
            format="binary" if codec.is_binary else "text",
            encoder=lambda value: value,  # Nothing is written.
            decoder=codec.decode,
        )
    return connection


async def _read(connection: asyncpg.Connection, way: _Way) -> tuple[float, float]:
    """Processor time of a page, ours and the backend's, in microseconds."""
    backend = [connection.get_server_pid()]
    ours, theirs = time.process_time(), sum_seconds(backend)
    for _ in range(_PAGES):
        rows = await connection.fetch(way.sql)
        orjson.dumps([way.write(value) for (value,) in rows])
    spent = time.process_time() - ours, sum_seconds(backend) - theirs
    return spent[0] / _PAGES * 1e6, spent[1] / _PAGES * 1e6


def main() -> None:
    with set_stage() as stage:
        print(uvloop.run(_measure(stage.runtime_url)).text())


if __name__ == "__main__":
    main()
