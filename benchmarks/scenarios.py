"""The scenarios: what is sent, and how the answer must begin.

Each is a function that yields the requests of one connection, without end. The load driver runs
them in a process of its own, so nothing here may take long to import or to make.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, cycle, islice
from random import Random

from benchmarks.messages import PAGE_MESSAGES, SHORT_PAGE_MESSAGES, message_body, word

LIST_LIMIT = 50
SEARCH_LIMIT = 20
# Of ten requests, in an order in which they are spread.
_MIX = (*("read", "append", "read", "read", "append"), *("read", "list", "read", "append", "read"))
_OK, _CREATED = b"HTTP/1.1 200", b"HTTP/1.1 201"

# An API key and a conversation; of a scenario that isn't about one, "".
Target = tuple[str, str]
Request = tuple[bytes, bytes]


@dataclass(frozen=True)
class Run:
    """One measurement: a scenario on one service.

    targets: by role: `log` is appended to, `page` read, `library` listed and searched. Those of a
    role are shared out among the connections, or drawn at random by the scenarios that say so.
    first_number: of the appends in this run; it makes their ids differ from those of other runs.
    query: what follows the limit in the URL of a page, such as `&order=desc`.
    Ends after `seconds` or `max_requests`.
    """

    port: int
    scenario: str
    targets: dict[str, list[Target]]
    first_number: int
    connections: int
    seconds: float
    query: str = ""
    max_requests: int = 200_000

    def target(self, role: str, client: int) -> Target:
        key, conversation = self.targets[role][client % len(self.targets[role])]
        return key, conversation


def list_requests(run: Run, client: int) -> Iterator[Request]:
    """The requests of one of a run's connections, which are counted from 0."""
    return SCENARIOS[run.scenario](run, client)


def is_append(request: Request) -> bool:
    return request[1] == _CREATED


def _append(run: Run, client: int) -> Iterator[Request]:
    target = run.target("log", client)
    for number in _numbers(run, client):
        yield append_to(target, number)


def _append_keyed(run: Run, client: int) -> Iterator[Request]:
    target = run.target("log", client)
    for number in _numbers(run, client):
        # All services keep them in one table, and each has a port of its own.
        yield append_to(target, number, f"idempotency-key: {run.port}-{number}\r\n")


def _append_anywhere(run: Run, client: int) -> Iterator[Request]:
    drawn = Random(run.first_number + client)
    for number in _numbers(run, client):
        yield append_to(drawn.choice(run.targets["log"]), number)


def _read(run: Run, client: int) -> Iterator[Request]:
    while True:
        yield read_page(run.target("page", client), run.query)


def _read_anywhere(run: Run, client: int) -> Iterator[Request]:
    drawn = Random(run.first_number + client)
    while True:
        yield read_page(drawn.choice(run.targets["page"]), limit=SHORT_PAGE_MESSAGES)


def _list(run: Run, client: int) -> Iterator[Request]:
    key, _ = run.target("library", client)
    while True:
        yield _get(key, f"conversations?limit={LIST_LIMIT}")


def _search(run: Run, client: int) -> Iterator[Request]:
    key, _ = run.target("library", client)
    drawn = Random(run.first_number + client)
    while True:
        words = f"{word(drawn.randrange(400))}+{word(drawn.randrange(400))}"
        yield _get(key, f"search?q={words}&limit={SEARCH_LIMIT}")


def _mixed(run: Run, client: int) -> Iterator[Request]:
    parts = {name: SCENARIOS[name](run, client) for name in set(_MIX)}
    for name in islice(cycle(_MIX), client % len(_MIX), None):
        yield next(parts[name])


SCENARIOS: dict[str, Callable[[Run, int], Iterator[Request]]] = {
    "append": _append,
    "append-keyed": _append_keyed,
    "read": _read,
    "list": _list,
    "search": _search,
    "mixed": _mixed,
    "append-anywhere": _append_anywhere,
    "read-anywhere": _read_anywhere,
}


def append_to(target: Target, number: int, headers: str = "") -> Request:
    key, conversation = target
    body = message_body(number)
    head = (
        f"POST /api/v1/conversations/{conversation}/messages HTTP/1.1\r\nhost: localhost\r\n"
        f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n{headers}"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body, _CREATED


def read_page(target: Target, query: str = "", limit: int = PAGE_MESSAGES) -> Request:
    key, conversation = target
    return _get(key, f"conversations/{conversation}/messages?limit={limit}{query}")


def _get(key: str, path: str) -> Request:
    head = f"GET /api/v1/{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n"
    return head.encode(), _OK


def _numbers(run: Run, client: int) -> Iterator[int]:
    return count(run.first_number + client, run.connections)
