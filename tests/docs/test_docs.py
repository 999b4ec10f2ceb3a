"""The pages that speak of error codes speak of codes that exist, and of all that a caller meets."""

import re
from pathlib import Path

import pytest

from conversations import errors as conversations_errors
from conversations.models import Base
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


PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("conversations/*.md")]


def headings(page: Path) -> set[str]:
    """What links to parts of a page name."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", sorted(path.relative_to(ROOT).as_posix() for path in PAGES))
def test_links_and_pictures_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text())
    local = [link.partition("#") for link in links if "://" not in link]
    targets = [
        ((ROOT / page).parent / path if path else ROOT / page, part) for path, _, part in local
    ]

    assert [path for path, _ in targets if not path.exists()] == []
    assert [
        (path.name, part) for path, part in targets if part and part not in headings(path)
    ] == []


def test_the_page_about_the_module_names_its_tables_and_layers() -> None:
    text = (ROOT / "conversations" / "README.md").read_text()
    tables = re.findall(r"^\| `(\w+)` \|", text.partition("## Tables")[2], re.MULTILINE)
    named = set(re.findall(r"`([\w/.]+)`", text))

    assert set(tables) == set(Base.metadata.tables)
    inside = (ROOT / "conversations").iterdir()
    layers = {f"{path.name}/" if path.is_dir() else path.name for path in inside}
    assert layers - named - {"__init__.py", "__pycache__/", "README.md"} == set()
