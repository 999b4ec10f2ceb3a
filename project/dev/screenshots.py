"""Takes the pictures of the admin in `docs/screenshots/`: `make screenshots`.

Starts the service on a data folder of its own, fills it with what is made up, and looks at it with
a real browser. Nothing of it is left but the pictures.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from project.dev.browser import BrowserMissing, find_chromium, open_browser
from project.dev.settings import ENV_PREFIX, ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = ROOT / "docs" / "screenshots"
_PASSWORD = secrets.token_urlsafe(12)
_PLANS = {
    "starter": {"concurrent_requests": 5, "api_keys": 3, "members": 5, "domains": 1},
    "team": {"concurrent_requests": 20, "api_keys": 10, "members": 25, "domains": 3},
    "enterprise": {},
}
_SETTINGS = {
    "PLANS": orjson.dumps(_PLANS).decode(),
    "BASE_DOMAIN": "tenantry.example.com",
    "PUBLIC_URL": "https://tenantry.example.com",
    "LOG_LEVEL": "WARNING",
}


def main() -> None:
    try:
        find_chromium()
        with _scratch_folder() as folder, _serve(folder / "data") as facts:
            _fill(facts)  # Before there is a browser, with whose event loop Django's ORM can't be.
            with open_browser() as browser:
                take_pictures(browser, facts["base_url"])
    except BrowserMissing as error:
        sys.exit(f"error: {error}")


def take_pictures(browser: "Browser", base_url: str) -> None:
    from project.dev.showcase import SHOWN_SLUG, STAFF_NAME

    FOLDER.mkdir(parents=True, exist_ok=True)
    page = _open(browser, base_url, "light")
    page.goto("/admin/")
    _picture(page, "sign-in")
    page.get_by_label("Username").fill(STAFF_NAME)
    page.get_by_label("Password").fill(_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Recent changes").wait_for()
    _picture(page, "dashboard")
    page.goto("/admin/tenants/tenant/")
    _picture(page, "tenants")
    page.goto("/admin/tenants/auditentry/")
    _picture(page, "audit-log")
    page.goto("/admin/tenants/rollout/")
    page.get_by_role("row").filter(has_text="running").get_by_role("link").first.click()
    page.locator("#failures").wait_for()
    _picture(page, "rollout")
    page.goto(f"/admin/tenants/tenant/?q={SHOWN_SLUG}")
    page.get_by_role("link", name=SHOWN_SLUG, exact=True).click()
    page.locator("#keys").wait_for()
    _picture(page, "tenant-page")
    dark = _open(browser, base_url, "dark", page.context.storage_state())
    dark.goto(page.url)
    _picture(dark, "tenant-page-dark")
    page.goto("/admin/tenants/tenant/add/")
    page.get_by_label("Name").fill("Kestrel Yard Bicycles")
    page.get_by_label("Slug").press_sequentially("Kestrel Yard")
    page.locator(".tn-answer--bad").wait_for()
    _picture(page, "onboarding")
    page.get_by_label("Slug").fill("kestrel-yard")
    page.get_by_label("First owner").fill("owner@kestrel-yard.example.com")
    page.get_by_role("button", name="Onboard").click()
    page.locator(".tn-secret").first.wait_for()
    _picture(page, "key-shown-once")


def _open(browser: "Browser", base_url: str, scheme: Any, state: Any = None) -> "Page":
    context = browser.new_context(
        base_url=base_url,
        viewport={"width": 1440, "height": 900},
        color_scheme=scheme,
        reduced_motion="reduce",
        storage_state=state,
    )
    return context.new_page()


def _picture(page: "Page", name: str) -> None:
    page.wait_for_load_state("networkidle")
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path, animations="disabled", caret="hide")
    sys.stdout.write(f"{path.relative_to(ROOT)}\n")


@contextlib.contextmanager
def _scratch_folder() -> Iterator[Path]:
    """Where no `.env` names a database that is in use; left, with all settings, afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tenantry-screenshots-"))
    # Under root the embedded server runs as an account that must be able to pass through here.
    folder.chmod(0o711)
    kept = f"{ENV_PREFIX}POSTGRES_BIN_DIR"
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX) and name != kept]:
        del os.environ[name]
    os.environ.update({f"{ENV_PREFIX}{name}": value for name, value in _SETTINGS.items()})
    try:
        with contextlib.chdir(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _serve(data_dir: Path) -> Iterator[dict[str, Any]]:
    """`manage.py dev` on a free port, with what it says of itself; ended with the block."""
    command = [sys.executable, str(ROOT / "manage.py"), "dev", "--json", "--no-demo", "--port=0"]
    with subprocess.Popen(
        [*command, "--data-dir", str(data_dir)], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                sys.exit("error: the service did not start")
            yield orjson.loads(line)
        finally:
            process.terminate()


def _fill(facts: dict[str, Any]) -> None:
    """Fill the registry of the running service, as another process of it."""
    import django

    for login in ("registry", "runtime", "owner"):
        os.environ[f"{ENV_PREFIX}{login.upper()}_URL"] = facts[f"{login}_url"]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    from project.dev.showcase import fill_showcase

    fill_showcase(_PASSWORD)


if __name__ == "__main__":
    main()
