"""What can be said on the command line of whom a rollout is for, and of how it goes.

Values are only taken apart here; which are good is for `tenants.rollouts.Options` to say.
"""

from argparse import ArgumentTypeError
from collections.abc import Sequence

from tenants.management.command import argument
from tenants.rollouts import Options, Scope

Target = tuple[str, str | None]


def target(value: str) -> Target:
    """A module and its revision to come, from `MODULE@REVISION`."""
    module, _, revision = value.partition("@")
    if not module or not revision:
        raise ArgumentTypeError(
            f"{value!r} is not a module and a revision such as notes@notes_0002 or notes@base"
        )
    return module, None if revision == "base" else revision


def canary(value: str) -> int | str:
    """A number of tenants, or the name of a group."""
    return int(value) if value.isdecimal() else value


_USUAL = Options()
TENANT = argument(
    "--tenant", action="append", dest="slugs", metavar="SLUG", help="only this one; repeatable"
)
MODULE = argument(
    "--module", action="append", dest="modules", metavar="MODULE", help="only this; repeatable"
)
TO = argument(
    "--to",
    action="append",
    dest="targets",
    type=target,
    metavar="MODULE@REVISION",
    help="there and not to its head, up or down; `base` is the empty schema; repeatable",
)
RUN = argument("reference", metavar="RUN", help="a rollout's id, or `last`")
WAIT = argument(
    "--wait",
    type=float,
    metavar="SECONDS",
    help="wait so long if another rollout runs; if not given, as long as one that has died can "
    "seem to run",
)
RUN_OPTIONS = (
    argument(
        "--canary",
        type=canary,
        default=_USUAL.canary,
        metavar="N|GROUP",
        help="so many go first, or those of this group of the setting `canary_groups`",
    ),
    argument("--pause", action="store_true", help="stop after them; `resume` carries on"),
    argument(
        "--check-command",
        metavar="COMMAND",
        help="run this after them and after each batch; stop unless it exits with 0",
    ),
    argument(
        "--batch",
        type=int,
        default=_USUAL.batch,
        metavar="N",
        help="schemas between two checks; all at once if not given",
    ),
    argument(
        "--concurrency",
        type=int,
        default=_USUAL.concurrency,
        metavar="N",
        help=f"schemas at the same time; {_USUAL.concurrency} if not given",
    ),
    argument(
        "--max-failures",
        default=_USUAL.max_failures,
        metavar="N|N%",
        help=f"stop when so many have failed; {_USUAL.max_failures} if not given",
    ),
    argument(
        "--lock-timeout-ms",
        type=int,
        default=_USUAL.lock_timeout_ms,
        metavar="N",
        help="how long a change waits for a lock, and whoever comes after it waits too; "
        f"{_USUAL.lock_timeout_ms} if not given",
    ),
    argument(
        "--retries",
        type=int,
        default=_USUAL.retries,
        metavar="N",
        help="how often a schema is tried again where a lock, or the server, was in the way; "
        f"{_USUAL.retries} if not given",
    ),
)


def make_scope(
    slugs: Sequence[str] | None, modules: Sequence[str] | None, targets: Sequence[Target] | None
) -> Scope:
    return Scope(slugs, modules, dict(targets) if targets else None)
