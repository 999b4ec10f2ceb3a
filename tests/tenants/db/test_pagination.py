"""Cursors and pages."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest

from tenants.db.pagination import decode_cursor, encode_cursor, make_page
from tenants.errors import InvalidCursor
from tenants.ids import new_id
from tenants.tenant import TenantRef

TENANT = TenantRef(new_id(), "ours")
LISTING = ["notes", "asc", {"author": None}]
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def encoded(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def digest():
    (value,) = decode_parts(encode_cursor(TENANT, LISTING, []))
    return value


def decode_parts(cursor):
    return orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


@pytest.mark.parametrize(
    ("position", "types"),
    [
        ([1], [int]),
        ([-(2**63) + 1, 2**63 - 1, 0], [int, int, int]),
        (["", "naïve 💬", "a'b\"c"], [str, str, str]),
        ([NOW, "conv_1"], [datetime, str]),
        ([NOW.astimezone(timezone(timedelta(hours=5)))], [datetime]),
        ([], []),
    ],
)
def test_a_position_comes_back_as_it_was(position, types):
    cursor = encode_cursor(TENANT, LISTING, position)
    assert decode_cursor(TENANT, LISTING, cursor, types) == position


def test_a_cursor_is_plain_in_a_url():
    for length in range(40):
        cursor = encode_cursor(TENANT, LISTING, ["ÿ" * length])
        assert cursor.isascii()
        assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("tenant", "listing"),
    [
        (TenantRef(new_id(), "ours"), LISTING),
        (TENANT, ["messages", "asc", {"author": None}]),
        (TENANT, ["notes", "desc", {"author": None}]),
        (TENANT, ["notes", "asc", {"author": "a"}]),
        (TENANT, ["notes", "asc"]),
    ],
)
def test_a_cursor_of_another_tenant_or_list_is_refused(tenant, listing):
    cursor = encode_cursor(tenant, listing, [1])
    with pytest.raises(InvalidCursor) as error:
        decode_cursor(TENANT, LISTING, cursor, [int])
    assert error.value.status == 400


def test_a_renamed_tenants_cursor_is_still_its_own():
    cursor = encode_cursor(TENANT, LISTING, [1])
    renamed = TenantRef(TENANT.id, "renamed", frozenset({"more"}))
    assert decode_cursor(renamed, LISTING, cursor, [int]) == [1]


@pytest.mark.parametrize(
    "position",
    [[], [1, 2], ["1"], [1.0], [True], [None], [[1]], [{}], [2**63], [-(2**63)], [2**64 - 1]],
)
def test_a_position_of_another_shape_is_refused(position):
    cursor = encode_cursor(TENANT, LISTING, position)
    with pytest.raises(InvalidCursor):
        decode_cursor(TENANT, LISTING, cursor, [int])


@pytest.mark.parametrize(
    "moment", ["", "yesterday", "2026-01-02T03:04:05", "2026-13-01T00:00:00Z", 1, None]
)
def test_a_moment_that_is_none_or_has_no_zone_is_refused(moment):
    cursor = encode_cursor(TENANT, LISTING, [moment])
    with pytest.raises(InvalidCursor):
        decode_cursor(TENANT, LISTING, cursor, [datetime])


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "=",
        "====",
        "not a cursor",
        "é",
        "\0",
        "\ud800",
        "a" * 1000,
        "/" * 8,
        "+" * 8,
        encoded(b""),
        encoded(b"null"),
        encoded(b"1"),
        encoded(b"{}"),
        encoded(b"[]"),
        encoded(b"[1]"),
        encoded(b'"text"'),
        encoded(b"[null, 1]"),
        encoded(b"\xff\xfe"),
        encoded(b"[" * 500),
        encoded(b"[" + b"9" * 700 + b"]"),
        encoded(b'["\\ud800", 1]'),
    ],
)
def test_what_is_no_cursor_is_refused(cursor):
    with pytest.raises(InvalidCursor):
        decode_cursor(TENANT, LISTING, cursor, [int])


@pytest.mark.parametrize("part", [b"9" * 700, b"1e999", b"NaN", b"1e3", b"-0.0", b'"\\u0000"'])
def test_a_forged_position_is_refused_or_harmless(part):
    cursor = encoded(b'["' + digest().encode() + b'", ' + part + b"]")
    with pytest.raises(InvalidCursor):
        decode_cursor(TENANT, LISTING, cursor, [int])


def test_a_text_that_the_database_cannot_compare_with_is_refused():
    for text in ("a\0b", "\0"):
        cursor = encode_cursor(TENANT, LISTING, [text])
        with pytest.raises(InvalidCursor):
            decode_cursor(TENANT, LISTING, cursor, [str])


def test_a_cursor_with_padding_is_the_same_cursor():
    """Some clients add it."""
    cursor = encode_cursor(TENANT, LISTING, [12])
    assert "=" not in cursor
    assert len(cursor) % 4 != 0
    padded = cursor + "=" * (-len(cursor) % 4)
    assert decode_cursor(TENANT, LISTING, padded, [int]) == [12]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_page_says_that_there_is_more_by_the_item_too_many(count):
    items = [f"item {number}" for number in range(count)]
    positions = [[number] for number in range(count)]
    page = make_page(TENANT, LISTING, items, positions, limit=2)
    assert page["data"] == items[:2]
    assert page["has_more"] is (count == 3)
    if count < 3:
        assert page["next_cursor"] is None
    else:
        assert decode_cursor(TENANT, LISTING, page["next_cursor"], [int]) == [1]
