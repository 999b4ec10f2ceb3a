"""Finding modules by name, and with all that they need."""

import pytest

from tenants import modules
from tenants.errors import InvalidInput
from tenants.modules import get_module, get_modules, with_required
from tests.tenants.throwaway import make_module


def names(found):
    return [module.name for module in found]


def test_the_modules_of_the_settings_are_loaded_each_after_those_it_needs():
    assert names(get_modules()) == ["conversations", "sample"]


def test_a_module_is_found_by_its_name():
    assert get_module("sample").label == "Sample"


def test_an_unknown_name_is_invalid_input_and_the_message_lists_the_known():
    with pytest.raises(InvalidInput, match=r"`billing`\. There are: conversations, sample"):
        get_module("billing")


def test_what_a_module_requires_comes_with_it_and_first():
    assert names(with_required(["sample"])) == ["conversations", "sample"]
    assert names(with_required(["conversations"])) == ["conversations"]
    assert names(with_required([])) == []


def test_a_name_given_twice_counts_once():
    assert names(with_required(["sample", "conversations", "sample"])) == [
        "conversations",
        "sample",
    ]


def test_an_unknown_name_among_others_is_invalid_input():
    with pytest.raises(InvalidInput):
        with_required(["conversations", "billing"])


def test_requirements_are_followed_over_several_steps(tmp_path, monkeypatch):
    base = make_module(tmp_path, "base")
    middle = make_module(tmp_path, "middle", requires=("base",))
    top = make_module(tmp_path, "top", requires=("middle",))
    other = make_module(tmp_path, "other")
    monkeypatch.setattr(modules, "get_modules", lambda: (base, middle, other, top))

    assert with_required(["top"]) == [base, middle, top]
