"""Arithmetic on the figures of several rounds."""

from collections.abc import Sequence
from statistics import median
from typing import Any


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "least": min(values), "most": max(values)}


def ratio(own: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Round by round: what disturbs a round disturbs both its sides."""
    return spread([one / another for one, another in zip(own, other, strict=True)])


def show(figure: float) -> str:
    """With as many digits as say something."""
    return (
        f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"
    )


def show_spread(figures: dict[str, Any]) -> str:
    return f"{show(figures['least'])} to {show(figures['most'])}"
