"""Makes the synchronous client from the asynchronous one.

`python clients/python/generate_sync.py`
"""

import re
from pathlib import Path

PACKAGE = Path(__file__).parent / "src" / "tenantry_client"
_WORDS = {
    "AsyncTenantry": "Tenantry",
    "AsyncTransport": "Transport",
    "AsyncClient": "Client",
    "AsyncGenerator": "Generator",
    "AsyncIterator": "Iterator",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "aclose": "close",
    "aclosing": "closing",
    "aread": "read",
    "aiter_bytes": "iter_bytes",
    "_async": "_sync",
    "asyncio": "time",
}
_PATTERN = re.compile(r"\b(?:async|await) |\b(?:" + "|".join(map(re.escape, _WORDS)) + r")\b")


def make_sync(source: str) -> str:
    made = _PATTERN.sub(lambda found: _WORDS.get(found[0], ""), source)
    made = made.replace("asynchronous: what `_sync` is made from", "made from `_async`")
    head = "# Made by generate_sync.py from the file of this name in `_async`.\n"
    return head + made


def make_files() -> dict[Path, str]:
    """What each file of `_sync` should hold."""
    return {
        PACKAGE / "_sync" / source.name: make_sync(source.read_text())
        for source in sorted((PACKAGE / "_async").glob("*.py"))
    }


if __name__ == "__main__":
    (PACKAGE / "_sync").mkdir(exist_ok=True)
    made = make_files()
    for path in set((PACKAGE / "_sync").glob("*.py")) - set(made):
        path.unlink()
    for path, content in made.items():
        path.write_text(content)
