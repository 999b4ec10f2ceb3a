"""The API against a simple model of conversations: whatever is done to them, both agree.

Messages and items are appended on both wires, calls go their way or expire, items are deleted and
their ids used again, branches live on. After each step: positions are contiguous, pages in both
directions with any limit show what the model holds, on this wire and the other, counts and sums are
right, the check finds nothing but what is overdue, and what a model would read pairs each call with
its output, and is the end of the log whatever the budget, with a summary for what is before it.
What is refused has changed nothing, and neither has any other conversation, though some are
branches of each other.
"""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conversations.life import Life

# All that is drawn comes from one generator: hypothesis's own draws repeat each other too much for
# a life of many steps to get anywhere.
RANDOMS = st.randoms(use_true_random=True)


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file, since a sweep is for all conversations that a tenant has."""
    return await make_tenant()


# Making an example that failed smaller would take minutes.
_RULES = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
}


@settings(max_examples=4, derandomize=True, **_RULES)
@given(random=RANDOMS)
async def test_conversations_are_as_their_models_say(api, tenant, random):
    await Life(api, tenant, random).live(steps=20)


@pytest.mark.slow
@settings(max_examples=40, print_blob=True, **_RULES)
@given(random=RANDOMS)
async def test_many_conversations_are_as_their_models_say(api, tenant, random):
    await Life(api, tenant, random).live(steps=30)
