"""What Tenantry's commands share: help that teaches, verbs, and the two ways to answer.

A command with verbs is a class with a method for each, whose docstring is its help:

    class Command(VerbCommand):
        help = "Look after tenants."

        @verb(SLUG, examples=["tenants show acme"])
        async def show(self, slug: str) -> None:
            \"\"\"Show a tenant.\"\"\"
            self.show_facts(show_tenant(await lifecycle.get_tenant(slug)))

What a method takes is named as its arguments are.
"""

import inspect
import shutil
import sys
import textwrap
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from django.core.management.base import BaseCommand, CommandParser

from tenants.actor import acting_command
from tenants.management.output import (
    USAGE,
    print_facts,
    print_json,
    print_json_list,
    print_table,
    run,
)
from tenants.shapes import ShownIssuedKey

RowT = TypeVar("RowT")
Method = Callable[..., Coroutine[Any, Any, None]]
ONE_LINE, EVENTS = "one line of JSON", "each event as a line of JSON, the end as the last"
_PAGE = 1000


class TenantryCommand(BaseCommand):
    """A command that explains itself with examples, and takes `--json`.

    examples: lines to type, without `manage.py`.
    """

    examples: ClassVar[Sequence[str]] = ()
    # They check the code, which tests and `serve` do; here they would double the waiting.
    requires_system_checks = ()
    # Django's own options, which work as ever.
    suppressed_base_arguments = {  # noqa: RUF012  # The stubs don't call it a class variable.
        *("--version", "--verbosity", "--settings", "--pythonpath"),
        *("--traceback", "--no-color", "--force-color"),
    }

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.setdefault("formatter_class", RawDescriptionHelpFormatter)
        parser = super().create_parser(
            prog_name, subcommand, epilog=_list_examples(self.examples), **kwargs
        )
        parser.description = _fill(self.help)
        return parser


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a verb: what argparse's `add_argument` takes."""

    names: Sequence[str]
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that a command can do.

    answer: what it prints under `--json`. name: the word to type, where it isn't the method's name.
    """

    method: Method
    arguments: Sequence[Argument]
    examples: Sequence[str]
    answer: str
    name: str

    @property
    def parameters(self) -> list[str]:
        """Names of what the method takes."""
        return list(inspect.signature(self.method).parameters)[1:]


def argument(*names: str, **options: Any) -> Argument:
    return Argument(names, options)


def verb(
    *arguments: Argument, examples: Sequence[str] = (), answer: str = ONE_LINE, name: str = ""
) -> Callable[[Method], Verb]:
    """Make a method a verb of its command. The first line of its docstring is its help."""

    def make(method: Method) -> Verb:
        return Verb(method, arguments, examples, answer, name)

    return make


class VerbCommand(TenantryCommand):
    """A command with verbs, each with arguments and help of its own."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        self._parser = parser
        verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
        for name, each in self._verbs().items():
            text = inspect.getdoc(each.method) or ""
            subparser = verbs.add_parser(
                name,
                help=text.partition("\n")[0],
                description=_fill(text),
                epilog=_list_examples(each.examples),
                formatter_class=RawDescriptionHelpFormatter,
            )
            for given in each.arguments:
                subparser.add_argument(*given.names, **given.options)
            add_json(subparser, each.answer)

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["verb"] is None:
            self._parser.print_help(sys.stderr)
            sys.exit(USAGE)
        chosen = self._verbs()[options["verb"]]
        self.json = options["json"]
        self.by = acting_command()
        run(chosen.method(self, **{name: options[name] for name in chosen.parameters}))

    def show_facts(self, facts: Any) -> None:
        """Answer with one thing, a shape of `tenants.shapes`."""
        (print_json if self.json else print_facts)(facts)

    async def show_list(
        self, columns: Sequence[str], rows: AsyncIterable[Any] | Iterable[Any], nothing: str
    ) -> None:
        """Answer with many. columns, nothing: what people see of each, and if there are none."""
        each = rows if isinstance(rows, AsyncIterable) else _iterate(rows)
        if self.json:
            await print_json_list(each)
        elif not await print_table(columns, each):
            self.say(nothing)

    def show_done(self, facts: Mapping[str, object], sentence: str) -> None:
        """Answer that something is done."""
        if self.json:
            print_json(facts)
        else:
            self.stdout.write(sentence)

    def show_new_key(self, issued: ShownIssuedKey, hint: str = "") -> None:
        """Answer with a new key, for people alone on standard output: `KEY=$(…)` is then enough."""
        if self.json:
            print_json(issued)
        else:
            self.stdout.write(issued["key"])
            self.say(f"The key is shown only now. {hint}".rstrip())

    def say(self, sentence: str) -> None:
        """Tell people what else there is to know; standard output is for the answer."""
        if not self.json:
            self.stderr.write(sentence, style_func=str)  # Else it is red, as errors are.

    def _verbs(self) -> dict[str, Verb]:
        attributes = vars(type(self)).items()
        return {each.name or name: each for name, each in attributes if isinstance(each, Verb)}


def add_json(parser: ArgumentParser, answer: str = ONE_LINE) -> None:
    parser.add_argument("--json", action="store_true", help=f"print {answer}")


def scopes(known: Iterable[str], otherwise: str) -> Argument:
    """What a key may do. otherwise: in words, what it may if nothing is said."""
    return argument(
        "--scope",
        action="append",
        dest="scopes",
        metavar="SCOPE",  # Which are good is for the lifecycle to say, as everywhere.
        help=f"{', '.join(known)}; repeatable; {otherwise} if not given",
    )


async def walk(
    list_page: Callable[..., Awaitable[Sequence[RowT]]],
    position: Callable[[RowT], object],
    count: int | None = None,
) -> AsyncIterator[RowT]:
    """The rows of a list that comes in pages, of which one at a time is held.

    position: what of a page's last row the next is asked for with. count: how many at the most.
    """
    after: object = None
    while count is None or count > 0:
        size = _PAGE if count is None else min(count, _PAGE)
        page = await list_page(after=after, limit=size)
        for row in page:
            yield row
        if len(page) < size:
            return
        after = position(page[-1])
        count = count and count - size


def moment(value: str) -> datetime:
    """A time in ISO 8601; without a zone it is UTC."""
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise ArgumentTypeError(f"{value!r} is not a time such as 2030-01-31T12:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def at_least_one(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ArgumentTypeError(f"{value!r} is not a whole number of at least 1")
    return int(value)


SLUG = argument("slug", metavar="SLUG", help="the tenant's slug")
PUBLIC_ID = argument("public_id", metavar="PUBLIC_ID", help="the key's id, as `list` shows it")
EXPIRES = argument(
    "--expires", type=moment, metavar="TIME", help="when it ends, such as 2030-01-31T12:00Z"
)
KEY_COLUMNS = (
    *("public_id", "name", "scopes", "created_at"),
    *("expires_at", "revoked_at", "last_used_at"),
)
COUNT = argument("--count", type=at_least_one, metavar="N", help="show this many at the most")


async def _iterate(rows: Iterable[RowT]) -> AsyncIterator[RowT]:
    for row in rows:
        yield row


def _fill(text: str) -> str:
    width = min(shutil.get_terminal_size().columns, 100) - 2
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(textwrap.fill(paragraph, width) for paragraph in paragraphs)


def _list_examples(examples: Sequence[str]) -> str | None:
    lines = [f"  manage.py {example}" for example in examples]
    return "\n".join(["examples:", *lines]) if examples else None
