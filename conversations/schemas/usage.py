"""What a message took: tokens and money."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema
from typing_extensions import TypedDict

from conversations.schemas.base import Input

TOKEN_KINDS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
_NO_COUNTS = [None] * len(TOKEN_KINDS)
# The column has 20 digits, 10 of them behind the point.
_COST = re.compile(r"\d{1,10}(\.\d{1,10})?", re.ASCII)
_MAX_COST, _COST_PLACES = 10**10, 10
# A double gives back every decimal of so many digits as it was written; more may be rounded.
_EXACT_DIGITS = 15

TokenCount = Annotated[int, Field(ge=0, le=2**31 - 1)]


def _read_cost(value: Any) -> Decimal:
    """The decimal as it was written, or ValueError; never through a float's arithmetic."""
    if isinstance(value, str):
        if not _COST.fullmatch(value):
            raise ValueError("write it as 0.0021, with up to 10 digits on each side of the point")
        return Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("should be a number, or a decimal in a string")
    cost = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not 0 <= cost < _MAX_COST:
        raise ValueError("should be from 0 to less than 10 ** 10")
    cost = abs(cost.normalize())  # The zero of a double has a sign.
    _, digits, exponent = cost.as_tuple()
    if isinstance(value, float) and len(digits) > _EXACT_DIGITS:
        raise ValueError(f"a number of more than {_EXACT_DIGITS} digits: send it as a string")
    if not isinstance(exponent, int) or exponent < -_COST_PLACES:
        raise ValueError(f"may have {_COST_PLACES} digits behind the point")
    return cost


Cost = Annotated[
    Decimal,
    BeforeValidator(_read_cost),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d{1,10}(\.\d{1,10})?$"},
                {"type": "number", "minimum": 0},
            ],
            "examples": ["0.00215"],
        }
    ),
]
ShownCost = Annotated[str, Field(examples=["0.00215"], description="A decimal, exact.")]


class NewUsage(Input):
    """Tokens, as the model's provider counts them."""

    input_tokens: TokenCount | None = None
    output_tokens: TokenCount | None = None
    cached_tokens: TokenCount | None = None
    reasoning_tokens: TokenCount | None = None


class Usage(TypedDict):
    """Tokens of one message, null where they weren't given."""

    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None


class UsageTotals(TypedDict):
    """Tokens of a conversation: what its messages gave, added up."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int


def show_usage(row: Mapping[str, Any]) -> Usage | None:
    """The tokens in a row that has a column for each kind, or None where it has none."""
    counts = [row[kind] for kind in TOKEN_KINDS]
    if counts == _NO_COUNTS:
        return None
    usage: Any = dict(zip(TOKEN_KINDS, counts, strict=True))
    return usage  # type: ignore[no-any-return]


def show_cost(cost: Decimal | None) -> str | None:
    """What a message cost, or None where it isn't known."""
    return None if cost is None else show_cost_sum(cost)


def show_cost_sum(cost: Decimal) -> str:
    """A decimal without exponent and trailing zeros."""
    return format(cost.normalize(), "f")
