"""Cuts a body into its records, and reads each by itself: one that is broken spoils no other."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from conversations.service.imports.report import Report
from tenants.errors import ApplicationError, MalformedBody
from tenants.strict_json import parse_json

_SPACE = re.compile(r"[ \t\n\r]*")
# It finds where items end; what their numbers are is looked at later.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Item(NamedTuple):
    """line: counted from 1; in a JSON array the item's place."""

    line: int
    text: bytes
    document: Any


def split_body(body: bytes, *, is_lines: bool) -> Iterator[bytes]:
    """The records of a body: its lines, or the items of its array, or itself.

    Raises MalformedBody (400) if a body that isn't in lines is no JSON at all.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    return _lines(body) if is_lines else _array_items(body)


def read_items(records: Iterable[bytes], report: Report) -> Iterator[Item]:
    """Each by itself; what is not valid JSON of the kind that we keep is reported as skipped."""
    for line, text in enumerate(records, start=1):
        report.lines = line
        if not text.strip():
            continue
        try:
            yield Item(line, text, parse_json(text))
        except ApplicationError as error:
            report.skip(line, error.detail)


def _lines(body: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        yield body[start:end]
        start = end + 1


def _array_items(body: bytes) -> Iterator[bytes]:
    """The items of an array as they are written; anything else is one item."""
    try:
        # A lone surrogate is one item's fault, like whatever else JSON may hold and we don't keep.
        text = body.decode(errors="surrogatepass")
        begin = _skip_space(text, 0)
        if not text.startswith("[", begin):
            _, end = _DECODER.raw_decode(text, begin)
            spans = [(begin, end)]
        else:
            spans, end = _scan_array(text, begin)
        if _skip_space(text, end) != len(text):
            raise ValueError("something follows the document")
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"This is not valid JSON: {error}.") from error
    return (text[start:end].encode(errors="surrogatepass") for start, end in spans)


def _scan_array(text: str, begin: int) -> tuple[list[tuple[int, int]], int]:
    """Where each item begins and ends, and where the array does. Raises ValueError."""
    spans: list[tuple[int, int]] = []
    at = _skip_space(text, begin + 1)
    while not (text.startswith("]", at) and not spans):
        _, end = _DECODER.raw_decode(text, at)
        spans.append((at, end))
        at = _skip_space(text, end)
        if text.startswith("]", at):
            break
        if not text.startswith(",", at):
            raise ValueError(f"expected , or ] at character {at}")
        at = _skip_space(text, at + 1)
    return spans, at + 1


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
