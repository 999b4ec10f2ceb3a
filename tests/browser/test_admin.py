"""The admin in a real browser, on the service as it is run: what HTTP alone can't show."""

import re
from collections.abc import Iterator
from uuid import uuid4

import httpx
import orjson
import psycopg
import pytest

from project.dev.browser import BrowserMissing, find_chromium, open_browser
from tenants.rollouts import Options
from tests.project.processes import data_folder, running_dev

pytestmark = pytest.mark.slow

ONBOARD = "/admin/tenants/tenant/add/"


@pytest.fixture(scope="module")
def service() -> Iterator[object]:
    try:
        find_chromium()
    except BrowserMissing as error:
        pytest.skip(str(error))
    with data_folder() as folder, running_dev(folder, "--no-demo") as running:
        yield running


@pytest.fixture(scope="module")
def browser(service):
    with open_browser() as chromium:
        yield chromium


@pytest.fixture
def open_page(service, browser):
    """Open a page of a new browser, signed in; fails if it ever asks another host."""
    contexts, strangers = [], []

    def watch(request):
        if not request.url.startswith((service.base_url, "data:", "blob:")):
            strangers.append(request.url)

    def open_signed_in(**options):
        context = browser.new_context(base_url=service.base_url, **options)
        context.on("request", watch)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.goto("/admin/")
        page.get_by_label("Username").fill(service.facts["admin_user"])
        page.get_by_label("Password").fill(service.facts["admin_password"])
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Recent changes").wait_for()
        return page

    yield open_signed_in
    for context in contexts:
        context.close()
    assert strangers == []


@pytest.fixture
def page(open_page):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    mistakes = []
    page.on("pageerror", lambda mistake: mistakes.append(mistake))
    yield page
    assert mistakes == []


def call_api(service, key):
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{service.base_url}/api/v1/conversations", headers=headers).status_code


def onboard(page, slug):
    page.goto(ONBOARD)
    page.get_by_label("Name").fill(f"The {slug} company")
    page.get_by_label("Slug").fill(slug)
    page.get_by_role("button", name="Onboard").click()
    return page.locator(".tn-secret code").inner_text()


def test_a_tenant_from_its_onboarding_to_its_erasure(service, page):
    page.get_by_role("link", name="Onboard a tenant").click()
    page.get_by_label("Name").fill("Kestrel Yard Bicycles")
    slug, answer = page.get_by_label("Slug"), page.locator("[data-answer]")
    slug.press_sequentially("Kestrel Yard")
    answer.get_by_text("The slug may have lower-case letters, digits and single hyphens").wait_for()
    slug.fill("kestrel-yard")
    answer.get_by_text("The slug `kestrel-yard` is free.").wait_for()
    assert "kestrel-yard.localhost" in page.locator(".tn-steps").inner_text()
    page.get_by_role("button", name="Onboard").click()

    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    key = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(r"tnt_\w+", key)
    assert call_api(service, key) == 200

    page.reload()  # Leads on to the tenant, without asking whether to send the form again.
    page.get_by_role("heading", name="Kestrel Yard Bicycles").wait_for()
    assert key not in page.content()
    assert page.get_by_role("row").filter(has_text="First key").count() == 1

    page.get_by_role("button", name="Suspend").click()
    page.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    page.get_by_text("kestrel-yard: Suspended.").wait_for()
    page.wait_for_timeout(1100)  # Every process refuses it within a second.
    assert call_api(service, key) == 403

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_label("Type the slug").fill("kestrel")
    page.get_by_role("button", name="Erase kestrel-yard for good").click()
    page.get_by_text("The confirmation is not the tenant's slug; nothing was erased.").wait_for()
    page.get_by_label("Type the slug").fill("kestrel-yard")
    page.get_by_role("button", name="Erase kestrel-yard for good").click()
    page.get_by_text("kestrel-yard: Erased for good.").wait_for()
    assert call_api(service, key) == 401


def test_a_dialog_opens_with_the_keyboard_and_closes_with_escape(page):
    onboard(page, "keyboard")
    page.get_by_role("link", name="I have it").click()
    button = page.get_by_role("button", name="Issue a key")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Issue a key")
    dialog.wait_for()
    page.keyboard.press("Tab")
    assert dialog.get_by_label("Name").evaluate("it => it === document.activeElement")

    page.keyboard.press("Escape")

    dialog.wait_for(state="hidden")
    assert button.evaluate("it => it === document.activeElement")


def test_a_form_that_is_refused_is_shown_with_what_is_wrong(page):
    onboard(page, "refused")
    page.get_by_role("link", name="I have it").click()
    page.get_by_role("button", name="Add a domain").click()
    page.get_by_role("textbox", name="Host").fill("refused.localhost")
    page.get_by_role("dialog").get_by_role("button", name="Add").click()

    page.get_by_text("The host must not be under localhost").wait_for()
    assert page.get_by_role("textbox", name="Host").input_value() == "refused.localhost"
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("textbox", name="Host").wait_for(state="hidden")


def test_a_second_click_onboards_no_second_time(service, page):
    page.goto(ONBOARD)
    page.get_by_label("Name").fill("Impatience")
    page.get_by_label("Slug").fill("impatience")
    page.get_by_role("button", name="Onboard").dblclick()

    key = page.locator(".tn-secret code").inner_text()
    assert call_api(service, key) == 200


def test_everything_works_without_scripts(service, open_page):
    page = open_page(java_script_enabled=False)

    key = onboard(page, "plain-html")

    assert call_api(service, key) == 200
    page.get_by_role("link", name="I have it").click()
    page.get_by_role("button", name="Issue a key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Another")
    dialog.get_by_role("button", name="Issue").click()
    assert call_api(service, page.locator(".tn-secret code").inner_text()) == 200


def test_a_rollouts_page_follows_it_to_its_end(service, page):
    rollout = start_a_rollout(service)
    page.goto(f"/admin/tenants/rollout/{rollout}/change/")
    page.get_by_text("1 of 9 migrated").wait_for()

    change(service, "UPDATE tenants_rollout SET migrated = 7 WHERE id = %s", rollout)
    page.get_by_text("7 of 9 migrated").wait_for()
    assert page.get_by_role("button", name="Cancel").first.is_visible()

    change(
        service, "UPDATE tenants_rollout SET status = 'failed', failed = 2 WHERE id = %s", rollout
    )
    page.get_by_role("button", name="Retry those that failed").wait_for()
    assert page.get_by_role("button", name="Cancel").count() == 0


def start_a_rollout(service):
    """A row that says so; nobody carries it out."""
    rollout = str(uuid4())
    change(
        service,
        """
        INSERT INTO tenants_rollout (id, targets, scope, options, status, started_by, note, planned,
            migrated, failed, cancel_requested, runner, lease_ends_at, started_at)
        VALUES (%s, '{"notes": "notes_0002"}', '{"tenants": null}', %s, 'running', 'command deploy',
            '', 9, 1, 0, false, 'ops-1:812:x', now() + interval '1 hour', now())
        """,
        rollout,
        orjson.dumps(Options().as_json()).decode(),
    )
    return rollout


def change(service, statement, *values):
    with psycopg.connect(service.facts["registry_url"]) as registry:
        registry.execute(statement, values)


def test_our_own_pages_follow_the_colour_scheme(open_page):
    card = "getComputedStyle(document.querySelector('.tn-card')).backgroundColor"
    seen = {open_page(color_scheme=scheme).evaluate(card) for scheme in ("light", "dark")}

    assert len(seen) == 2


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_window(service, open_page, width):
    page = open_page(viewport={"width": width, "height": 900})
    onboard(page, f"width-{width}")
    for leave in ("I have it", None):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if leave:
            page.get_by_role("link", name=leave).click()
    rollout = start_a_rollout(service)
    change(service, "UPDATE tenants_rollout SET status = 'paused' WHERE id = %s", rollout)
    lists = [f"/admin/tenants/{model}/" for model in ("tenant", "auditentry", "rollout")]
    for path in ("/admin/", ONBOARD, *lists, f"{lists[-1]}add/", f"{lists[-1]}{rollout}/change/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
