"""What tenants and hosts may be called."""

import re

import pytest

from tenants.errors import InvalidInput
from tenants.names import (
    HOST_PATTERN,
    RESERVED_SLUGS,
    SLUG_PATTERN,
    validate_name,
    validate_slug,
)


@pytest.mark.parametrize("slug", ["abc", "a1b", "123", "acme-corp", "a-b-c-d", "x" * 40, "pgsql"])
def test_a_slug_that_is_fine_is_returned_as_given(slug):
    assert validate_slug(slug) == slug


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "ab",
        "x" * 41,
        "x" * 10_000,
        "Acme",
        "-acme",
        "acme-",
        "ac--me",
        "xn--abc",
        "ac_me",
        "ac.me",
        "ac me",
        " acme",
        "acme\n",
        "acme\r\n",
        "ac\nme",
        "acme\0",
        'a"; DROP SCHEMA public; --',
        "a'b",
        'a"b',
        "a/b",
        "../etc",
        "acmé",
        "\u0430cme",  # A Cyrillic letter that looks like ours.
        "ac\u00adme",
        "\uff41\uff43\uff4d\uff45",
        "١٢٣",
        "ﬁrm",
        "acme💥",
    ],
)
def test_a_slug_that_is_not_fine_is_refused(slug):
    with pytest.raises(InvalidInput) as error:
        validate_slug(slug)
    assert error.value.status == 422
    assert [field for field, _ in error.value.errors] == ["slug"]


@pytest.mark.parametrize(
    "slug", ["public", "www", "api", "admin", "pg-catalog", "pg-x", "tenantry"]
)
def test_a_reserved_slug_is_refused(slug):
    with pytest.raises(InvalidInput, match="reserved"):
        validate_slug(slug)


@pytest.mark.parametrize("slug", ["pg_catalog", "pg_toast", "PUBLIC"])
def test_postgresqls_own_names_are_no_slugs(slug):
    with pytest.raises(InvalidInput):
        validate_slug(slug)


def test_reserved_slugs_would_otherwise_be_slugs():
    """A word that the pattern refuses anyway would stand in the list to no effect."""
    assert {word for word in RESERVED_SLUGS if len(word) >= 3} >= {"www", "api", "public"}
    for word in RESERVED_SLUGS:
        assert re.match(SLUG_PATTERN, word)


def test_a_slug_is_a_host_label():
    for slug in ("abc", "a1b", "acme-corp", "x" * 40):
        assert re.match(HOST_PATTERN, f"{slug}.example.com")


@pytest.mark.parametrize(
    "host", ["example.com", "chat.example.com", "a.b.c.d.example", "x1-y.example.xn--p1ai"]
)
def test_a_host_name_with_a_dot_is_a_domain(host):
    assert re.match(HOST_PATTERN, host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "Example.com",
        "example.com.",
        ".example.com",
        "exa mple.com",
        "example.com\n",
        "example.com:80",
        "http://example.com",
        "-a.example.com",
        "a-.example.com",
        "a..example.com",
        "a_b.example.com",
        "é.example.com",
        "*.example.com",
        f"{'x' * 64}.example.com",
        f"{'x.' * 130}com",
    ],
)
def test_what_is_no_host_name_is_no_domain(host):
    assert not re.match(HOST_PATTERN, host)


def test_a_name_is_returned_without_outer_white_space():
    assert validate_name("  Acme, Inc.  ") == "Acme, Inc."
    assert validate_name("x" * 200) == "x" * 200
    assert validate_name("株式会社 Ünïcode 💬") == "株式会社 Ünïcode 💬"


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\nb", "a\0b", "a\x1b[31mb", "a\u202eb"])
def test_a_name_that_is_not_fine_is_refused(name):
    with pytest.raises(InvalidInput) as error:
        validate_name(name)
    assert [field for field, _ in error.value.errors] == ["name"]
