"""With ten thousand tenants, every list is as many queries as with ten, each on an index."""

import pytest
from asgiref.sync import sync_to_async

from tests.tenants.crowd import MARK, ROLLOUT, find_sequential_scans, gathered, recorded

pytestmark = pytest.mark.slow

SLUG = f"{MARK}-05000"
RUN = f"/rollouts/roll_{ROLLOUT.replace('-', '')}"
API_PAGES = [
    "/tenants",
    "/tenants?limit=100",
    "/tenants?status=suspended",
    "/tenants?plan=pro",
    "/tenants?status=suspended&plan=pro",
    "/tenants?search=0500",
    "/tenants?search=company+number+77",
    f"/tenants?search={MARK}",
    f"/tenants?search={MARK}&status=suspended",
    f"/tenants/{SLUG}",
    f"/tenants/{SLUG}/keys",
    f"/tenants/{SLUG}/domains",
    f"/tenants/{SLUG}/members",
    "/audit",
    "/audit?limit=100",
    f"/audit?tenant={SLUG}",
    f"/audit?actor={MARK}",
    "/audit?action=tenant.created",
    "/audit?action=tenant.suspended",
    "/rollouts",
    "/rollouts?limit=100",
    RUN,
    f"{RUN}/attempts",
    f"{RUN}/attempts?succeeded=true&limit=100",
    f"{RUN}/attempts?succeeded=false",
]
# Those whose tenant or rollout is looked up first, or for which dead runners are.
TWO = (f"/{SLUG}/", "tenant=", "/rollouts")


async def measure(ask, pages):
    """The queries of each page, once what is cached has been."""
    queries = {}
    for page in pages:
        await ask(page)
        with recorded() as queries[page]:
            await ask(page)
    return queries


@pytest.fixture
async def ask_api(operator):
    async def ask(page):
        answer = await operator.get(page)
        assert answer.status_code in {200, 404}, (page, answer.text)

    return ask


async def test_every_page_of_the_management_api(ask_api):
    few = await measure(
        ask_api, [page for page in API_PAGES if SLUG not in page and RUN not in page]
    )
    with gathered():
        many = await measure(ask_api, API_PAGES)
        scans = {
            page: found
            for page, queries in many.items()
            if (found := await sync_to_async(find_sequential_scans)(queries))
        }

        unindexed = [("SELECT id FROM tenants_tenant WHERE name LIKE %s", ["%77%"])]
        assert await sync_to_async(find_sequential_scans)(unindexed)

    assert scans == {}
    assert {page: len(queries) for page, queries in many.items()} == {
        page: 2 if any(part in page for part in TWO) else 1 for page in API_PAGES
    }
    assert {page: len(few[page]) for page in few} == {page: len(many[page]) for page in few}
