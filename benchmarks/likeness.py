"""Whether all services do the same job: they are asked the same, and must answer alike."""

import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import orjson

from benchmarks.messages import PAGE_MESSAGES, message_body, word
from benchmarks.scenarios import LIST_LIMIT, SEARCH_LIMIT
from benchmarks.stage import Stage

# Above those of all runs.
_NUMBER = 10**11
# The appends that a service has done when it has been asked.
APPENDS = 2
# What differs from one append to the next.
_OF_THE_MOMENT = {"conversation_id", "created_at", "updated_at"}
# Those that have no search.
_SEARCHLESS = {"fastapi-core", "fastapi-orm", "django-orm"}


def check_likeness(stage: Stage, ports: dict[str, int]) -> None:
    """Raises RuntimeError unless each service answers as ours does.

    Each appends two messages to its first conversation; ids, times and cursors are its own.
    """
    for what, ask in _QUESTIONS.items():
        answers = {
            name: ask(stage, name, port)
            for name, port in ports.items()
            if not (what == "search" and name in _SEARCHLESS)
        }
        for name, answer in answers.items():
            if answer != answers["ours"]:
                raise RuntimeError(
                    f"{name} answers {what} with something else than ours: {_shorten(answer)}, "
                    f"but {_shorten(answers['ours'])}"
                )


def _append(stage: Stage, name: str, port: int) -> Any:
    path = f"conversations/{stage.logs[name][0]}/messages"
    return _without_moment(_ask(port, path, stage.api_key, message_body(_NUMBER)))


def _append_twice(stage: Stage, name: str, port: int) -> Any:
    """What a request with a key is answered, and what its repetition and another under it are."""
    path = f"conversations/{stage.logs[name][0]}/messages"
    key = f"likeness-{name}"
    first = _ask(port, path, stage.api_key, message_body(_NUMBER + 1), key)
    again = _ask(port, path, stage.api_key, message_body(_NUMBER + 1), key)
    status, _, _ = _ask(port, path, stage.api_key, message_body(_NUMBER + 2), key)
    return _without_moment(first), again[0], again[1] == first[1], again[2], status


def _read(stage: Stage, _name: str, port: int) -> Any:
    path = f"conversations/{stage.page}/messages?limit={PAGE_MESSAGES}"
    return _parse(_ask(port, path, stage.api_key))


def _list(stage: Stage, _name: str, port: int) -> Any:
    return _parse(_ask(port, f"conversations?limit={LIST_LIMIT}", stage.library_key))


def _search(stage: Stage, _name: str, port: int) -> Any:
    path = f"search?q={word(7)}+{word(123)}&limit={SEARCH_LIMIT}"
    answer = _parse(_ask(port, path, stage.library_key))
    if not answer[1]["data"]:
        raise RuntimeError("nothing is found by the search")
    return answer


_QUESTIONS: dict[str, Callable[[Stage, str, int], Any]] = {
    "an append": _append,
    "an append with a key": _append_twice,
    "a page of messages": _read,
    "a list of conversations": _list,
    "search": _search,
}


def _parse(answer: tuple[int, bytes, bool]) -> Any:
    status, body, _ = answer
    if status != 200:
        return status, body
    page = orjson.loads(body)
    if page["next_cursor"] is not None:
        page["next_cursor"] = "…"
    return status, page


def _without_moment(answer: tuple[int, bytes, bool]) -> Any:
    status, body, _ = answer
    if status != 201:
        return status, body
    message = orjson.loads(body)
    for part in (message, *message["tool_calls"]):
        part["id"] = part["id"][:4]
        part |= dict.fromkeys(_OF_THE_MOMENT & part.keys())
    return status, message


def _ask(
    port: int, path: str, api_key: str, body: bytes | None = None, idempotency_key: str = ""
) -> tuple[int, bytes, bool]:
    """The status, the body, and whether it says that it is a repetition."""
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    if idempotency_key:
        headers["Idempotency-Key"] = idempotency_key
    request = urllib.request.Request(  # A loopback address of our own.
        f"http://127.0.0.1:{port}/api/v1/{path}", data=body, headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            replayed = response.headers["Idempotent-Replayed"] == "true"
            return response.status, response.read(), replayed
    except urllib.error.HTTPError as error:
        return error.code, error.read(), False


def _shorten(answer: Any) -> str:
    return repr(answer)[:1500]
