import orjson
import pytest

from tenants.errors import InvalidInput, MalformedBody
from tenants.strict_json import MAX_DEPTH, parse_json


def lists(depth: int, inside: bytes = b"") -> bytes:
    return b"[" * depth + inside + b"]" * depth


def objects(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


REFUSED = {
    "NUL in text": rb'{"a": "x\u0000y"}',
    "NUL in a nested value": rb'{"a": [{"b": "\u0000"}]}',
    "NUL in a key": rb'{"a\u0000": 1}',
    "NUL in a nested key": rb'{"a": [{"\u0000": 1}]}',
    "NUL after an escaped backslash": rb'"\\\u0000"',
    "escaped high surrogate": rb'{"a": "\ud800"}',
    "escaped low surrogate": rb'{"a": "\udc00x"}',
    "high surrogate before a letter": rb'"\ud800\u0041"',
    "two high surrogates": rb'"\ud800\ud800"',
    "surrogate in a key": rb'{"\ud800": 1}',
    "surrogate encoded as UTF-8": b'"\xed\xa0\x80"',
    "NaN": b"NaN",
    "NaN in a list": b"[1, NaN]",
    "Infinity": b'{"a": Infinity}',
    "minus Infinity": b'{"a": -Infinity}',
    "1e999": b"[1e999]",
    "-1e999": b"[-1e999]",
    "1e200000": b"1e200000",
    "2^63": b'{"a": 9223372036854775808}',
    "-2^63 - 1": b"[-9223372036854775809]",
    "2^64": b"18446744073709551616",
    "2^70": b"[[1180591620717411303424]]",
    "an integer after such a key": b'{"99999999999999999999": 99999999999999999999}',
    "an integer of 5,000 digits": b'{"a": ' + b"7" * 5_000 + b"}",
    "lists 65 deep": lists(MAX_DEPTH + 1),
    "lists 65 deep around a value": lists(MAX_DEPTH + 1, b"1"),
    "lists 65 deep beside others": b"[[],[]," + lists(MAX_DEPTH) + b",[]]",
    "objects 65 deep": objects(MAX_DEPTH + 1),
    "lists 1,000 deep": lists(1_000),
    "objects 1,000 deep": objects(1_000),
    "lists 100,000 deep": lists(100_000),
    "objects 100,000 deep": objects(100_000),
}

MALFORMED = {
    "nothing": b"",
    "space": b" \n",
    "truncated object": b'{"a": [1, 2',
    "truncated text": b'{"a": "x',
    "truncated after the word NaN": b'{"a": "x, NaN", "b"',
    "truncated escape": b'"\\u12"',
    "unknown escape": b'"\\x41"',
    "raw NUL": b'"\0"',
    "raw newline in text": b'"a\nb"',
    "invalid UTF-8": b'"\xff"',
    "invalid UTF-8 beside an escape": b'"\xff\\u0041"',
    "byte order mark": b"\xef\xbb\xbf{}",
    "trailing comma": b"[1,]",
    "single quotes": b"{'a': 1}",
    "two documents": b"{} {}",
    "leading zero": b"01",
    "plus": b"+1",
    "comment": b"{} // x",
    "form data": b"a=1&b=2",
}

ACCEPTED = {
    "2^63 - 1": (b"[9223372036854775807]", [2**63 - 1]),
    "-2^63": (b'{"a": -9223372036854775808}', {"a": -(2**63)}),
    "many digits in text": (b'{"a": "' + b"9" * 5_000 + b'"}', {"a": "9" * 5_000}),
    "many digits after an escaped quote": (rb'"\"99999999999999999999"', '"' + "9" * 20),
    "many digits in a fraction": (b"0.12345678901234567890123", 0.12345678901234568),
    "many digits before a fraction": (b"123456789012345678901.5", 123456789012345678901.5),
    "a large double": (b"1e308", 1e308),
    "the word NaN in text": (b'["NaN", ":NaN", "Infinity"]', ["NaN", ":NaN", "Infinity"]),
    "an escaped backslash before u0000": (rb'"\\u0000"', r"\u0000"),
    "a pair of surrogates": (rb'"\ud83d\ude00"', "😀"),
    "lists 64 deep": (lists(MAX_DEPTH), orjson.loads(lists(MAX_DEPTH))),
    "objects 64 deep": (objects(MAX_DEPTH), orjson.loads(objects(MAX_DEPTH))),
    "many lists side by side": (b"[" + b"[]," * 1_000 + b"[]]", [[]] * 1_001),
    "brackets in text": (b'"' + b"[{" * 1_000 + b'"', "[{" * 1_000),
    "a repeated key": (b'{"a": 1, "a": 2}', {"a": 2}),
    "a repeated key, one value an object": (b'{"a": {"b": 1}, "a": null}', {"a": None}),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_stored_or_read_alike_is_invalid_input(body):
    with pytest.raises(InvalidInput):
        parse_json(body)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_json_is_malformed(body):
    with pytest.raises(MalformedBody):
        parse_json(body)


@pytest.mark.parametrize(("body", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_unusual_but_sound_documents_are_read_exactly(body, expected):
    assert parse_json(body) == expected
