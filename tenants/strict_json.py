"""One mechanism for input: what JSON may hold, decided before any field is looked at.

Everything that PostgreSQL can't store, that JSON readers disagree on, or that would exhaust a
recursive one, is refused here for every endpoint: NUL characters, lone surrogates, numbers
outside 64-bit integers and finite doubles, nesting deeper than 64.
"""

import re
from collections.abc import Iterable
from typing import Any

import orjson

from tenants.errors import ApplicationError, InvalidInput, MalformedBody

MAX_DEPTH = 64
_INTEGERS = range(-(2**63), 2**63)
# A run of digits that may not fit 64 bits: orjson would read it as a rounded double. It may
# also stand inside a string or a fraction, so it only asks for the exact look.
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_ENCODED_SURROGATE = re.compile(rb"\xed[\xa0-\xbf]")
_NOT_FINITE = re.compile(r"(NaN|Infinity)\b")
_TOO_DEEP = f"The JSON is nested deeper than {MAX_DEPTH} levels."
_INTEGER_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?')


def parse_json(text: bytes) -> Any:
    """Read a JSON document. When a key is repeated in an object, its last value counts.

    Raises MalformedBody (400) or InvalidInput (422).
    """
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _why_unreadable(text, error) from error
    if _LONG_NUMBER.search(text):
        _check_integers(text)
    # Brackets bound the depth from above, and most documents have few.
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH:
        _check_depth(document)
    # Only an escape can bring a NUL: a raw one isn't JSON.
    if b"\\u0000" in text and _has_nul(document):
        raise InvalidInput("The JSON has a NUL character (\\u0000).")
    return document


def _why_unreadable(text: bytes, error: orjson.JSONDecodeError) -> ApplicationError:
    reason = str(error)
    # "Surrogates not allowed" is what orjson says of any bytes that aren't UTF-8.
    if re.search("(low|high) surrogate", reason) or _ENCODED_SURROGATE.search(text):
        return InvalidInput("The JSON has a lone surrogate (\\ud800 to \\udfff).")
    if "infinity" in reason or _NOT_FINITE.match(error.doc, error.pos):
        return InvalidInput("A number is not finite, or too large for a double.")
    if "depth" in reason:
        return InvalidInput(_TOO_DEEP)
    return MalformedBody(f"This is not valid JSON: {reason}.")


def _check_integers(body: bytes) -> None:
    for match in _INTEGER_TOKEN.finditer(body):
        token = match.group()
        is_integer = token[:1] != b'"' and match.group(1) is None and match.group(2) is None
        # Python refuses to convert thousands of digits; 20 characters settle it.
        if is_integer and (len(token) > 20 or int(token) not in _INTEGERS):
            raise InvalidInput("An integer does not fit 64 bits.")


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
    if any(isinstance(value, dict | list) for value in level):
        raise InvalidInput(_TOO_DEEP)


def _has_nul(document: Any) -> bool:
    """Whether any text in it, keys included, has a NUL. Its depth has been checked."""
    if isinstance(document, str):
        return "\0" in document
    if isinstance(document, dict) and any("\0" in key for key in document):
        return True
    return any(_has_nul(child) for child in _children(document))


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
