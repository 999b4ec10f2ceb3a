"""Fixtures that these tests share with others."""

from tests.tenants.rollouts.conftest import load, make_fleet

__all__ = ["load", "make_fleet"]
