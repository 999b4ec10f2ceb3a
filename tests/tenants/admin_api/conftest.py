"""Fixtures that these tests share with others."""

import pytest

from tests.tenants.rollouts.conftest import load, make_fleet

__all__ = ["load", "make_fleet", "tenant"]


@pytest.fixture
def tenant(bare_tenant):
    return bare_tenant
