"""The pages that speak of error codes speak of codes that exist, and of all that a caller meets."""

import re

import pytest

from conversations import errors as conversations_errors
from project import handler
from project.dev.settings import ROOT
from tenants import errors
from tenants.errors import administration

# Codes that others refine and that no answer carries by itself.
GENERAL = {"conflict"}


def named_codes(page: str) -> set[str]:
    table = (ROOT / page).read_text().partition("## Errors")[2]
    columns = re.findall(r"^\| \d{3} \| ([^|]+) \|", table, re.MULTILINE)
    return {code for column in columns for code in re.findall(r"`(\w+)`", column)}


def raised_codes(*modules: object) -> set[str]:
    return {
        each.code
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, errors.ApplicationError)
    }


def test_every_code_that_a_caller_meets_is_documented() -> None:
    everywhere = raised_codes(errors, conversations_errors, handler)
    only_for_administrators = named_codes("docs/administration.md") - raised_codes(
        conversations_errors
    )
    assert everywhere - only_for_administrators - GENERAL == named_codes("docs/api.md")


def test_every_code_that_an_administrator_meets_is_documented() -> None:
    general = raised_codes(errors.base)
    assert raised_codes(administration) - general == named_codes("docs/administration.md")


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_and_pictures_lead_somewhere(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)]

    assert [link for link in links if link and not (ROOT / "docs" / link).exists()] == []
