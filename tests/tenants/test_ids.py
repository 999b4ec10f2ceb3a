"""Ids, and how they are shown."""

import time
from uuid import UUID

import pytest

from tenants.ids import find_id, new_id, show_id
from tenants.tenant import TenantRef


def test_ids_are_uuids_of_version_7_in_the_order_in_which_they_were_made():
    before = time.time_ns() // 1_000_000
    ids = [new_id() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert {(type(value), value.version) for value in ids} == {(UUID, 7)}
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)
    assert all(before <= value.int >> 80 <= after for value in ids)


def test_an_id_is_found_in_what_is_shown():
    value = new_id()
    assert show_id("conv", value) == f"conv_{value.hex}"
    assert find_id("conv", show_id("conv", value)) == value


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "conv",
        lambda text: "conv_",
        lambda text: text[:-1],
        lambda text: f"{text}0",
        lambda text: f"{text}\n",
        lambda text: f" {text}",
        lambda text: text.upper(),
        lambda text: text.replace("conv_", "CONV_"),
        lambda text: text.replace("conv_", "msg_"),
        lambda text: text.replace("conv_", "conv-"),
        lambda text: text.replace("conv_", ""),
        lambda text: text[:-1] + "g",
        lambda text: text[:-1] + "_",
        lambda text: text[:-1] + "٣",
        lambda text: f"conv_{UUID(text[5:])}",
        lambda text: f"conv_{{{text[5:]}}}",
        lambda text: f"conv_{text[5:-2]}' ",
        lambda text: text * 1000,
    ],
)
def test_what_would_not_be_shown_so_is_no_id(change):
    text = "conv_0193a3b6c7f27e3c9d41b1f0c2d3e4ff"
    assert find_id("conv", text) is not None
    assert find_id("conv", change(text)) is None


def test_a_schema_is_named_after_the_id_alone():
    """So that a slug may change, and can't bring anything into a statement."""
    tenant = TenantRef(UUID("0193a3b6-c7f2-7e3c-9d41-b1f0c2d3e4f5"), 'a"; DROP SCHEMA x')
    assert tenant.schema == "t_0193a3b6c7f27e3c9d41b1f0c2d3e4f5"
    assert len(tenant.schema) < 63
