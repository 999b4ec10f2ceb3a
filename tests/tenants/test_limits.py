"""What a tenant may take: its own limits, and its plan's."""

import pytest

from tenants.errors import InvalidInput
from tenants.limits import Limits, merge_limits, parse_limits


def test_what_is_set_is_kept_and_nothing_else():
    assert parse_limits({}) == {}
    assert parse_limits({"members": 0, "api_keys": None}) == {"members": 0}


@pytest.mark.parametrize(
    "values",
    [
        {"members": -1},
        {"members": "3"},
        {"members": 3.0},
        {"members": True},
        {"members": 10**9},
        {"concurrent_requests": 0},
        {"cars": 1},
    ],
)
def test_a_wrong_limit_is_named_with_those_there_are(values):
    with pytest.raises(InvalidInput) as refusal:
        parse_limits(values)

    (field, _), *others = refusal.value.errors
    assert (field, others) == (f"limits.{next(iter(values))}", [])
    assert (
        "concurrent_requests, concurrent_streams, api_keys, members, domains"
        in refusal.value.detail
    )


def test_a_tenants_own_limits_go_before_its_plans():
    plan = Limits(api_keys=5, members=10)

    assert merge_limits(plan, {"members": 50}) == Limits(api_keys=5, members=50)
    assert merge_limits(None, {"members": 50}) == Limits(members=50)
    assert merge_limits(None, {}) == Limits()
