"""The pages that speak of error codes speak of codes that exist, and of all that a caller meets."""

import re

from conversations import errors as conversations_errors
from project import handler
from project.dev.settings import ROOT
from tenants import errors

# What only administrators meet, on the command line and in the admin.
ADMINISTRATIVE = {
    "tenant_not_found",
    "key_not_found",
    "slug_taken",
    "wrong_state",
    "confirmation_mismatch",
}
# Codes that others refine and that no answer carries by itself.
GENERAL = {"conflict"}


def named_codes() -> set[str]:
    table = (ROOT / "docs/api.md").read_text().partition("## Errors")[2]
    columns = re.findall(r"^\| \d{3} \| ([^|]+) \|", table, re.MULTILINE)
    return {code for column in columns for code in re.findall(r"`(\w+)`", column)}


def raised_codes() -> set[str]:
    return {
        each.code
        for module in (errors, conversations_errors, handler)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, errors.ApplicationError)
    }


def test_every_code_that_a_caller_meets_is_documented() -> None:
    assert raised_codes() - ADMINISTRATIVE - GENERAL == named_codes()
