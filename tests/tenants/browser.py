"""A browser as these tests need one: it keeps cookies, follows redirects and fills in forms."""

import html
import re
from typing import Any

import httpx

_FORM = re.compile(r"<form(?P<attributes>[^>]*)>(?P<content>.*?)</form>", re.DOTALL)
_INPUT = re.compile(r"<input[^>]*>")


class Browser(httpx.AsyncClient):
    """One host's pages, as they are served."""

    def __init__(self, application: Any, host: str = "localhost") -> None:
        super().__init__(
            transport=httpx.ASGITransport(application),
            base_url=f"http://{host}",
            follow_redirects=True,
        )

    async def submit(self, page: httpx.Response, button: str, /, **fields: str) -> httpx.Response:
        """Send the page's form that has this button, with its hidden fields."""
        for form in _FORM.finditer(page.text):
            if f">{button}</button>" in form["content"]:
                hidden = {
                    _attribute(tag, "name"): _attribute(tag, "value")
                    for tag in _INPUT.findall(form["content"])
                    if _attribute(tag, "type") == "hidden"
                }
                action = _attribute(form["attributes"], "action") or str(page.url)
                return await self.post(page.url.join(action), data={**hidden, **fields})
        raise AssertionError(f"there is no button {button!r}: {page.status_code} {page.text}")

    async def sign_in(self, name: str, password: str, path: str = "/accounts/") -> httpx.Response:
        page = await self.get(path)
        return await self.submit(page, "Sign in", username=name, password=password)

    @property
    def csrf_token(self) -> str:
        """What the page's own script would read."""
        return self.cookies["csrftoken"]


def _attribute(tag: str, name: str) -> str:
    match = re.search(rf'\b{name}="([^"]*)"', tag)
    return html.unescape(match[1]) if match else ""
