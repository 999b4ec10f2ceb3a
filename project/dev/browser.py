"""A real browser for looking at the admin: Debian's Chromium, driven by Playwright.

Both are there for development only. Playwright's own browsers are never downloaded.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Without a sandbox, for containers; and asking nobody for anything by itself.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The same letters on every machine.
    "--font-render-hinting=none",
]


class BrowserMissing(Exception):
    """Playwright or Chromium is not installed; the message says what to do."""


def find_chromium() -> str:
    """Where Chromium is, if all that a browser takes is here. Raises BrowserMissing."""
    if find_spec("playwright") is None:
        raise BrowserMissing("Playwright is not installed; `make test` installs it.")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise BrowserMissing("Chromium is not installed; on Debian: apt install chromium.")
    return chromium


@contextmanager
def open_browser() -> Iterator["Browser"]:
    """A browser for as long as the block runs; this thread has an event loop meanwhile.

    Raises BrowserMissing.
    """
    chromium = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
