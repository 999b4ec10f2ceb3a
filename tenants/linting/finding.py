"""What the linter says of a revision, and what it says where it can't be run."""

from dataclasses import dataclass
from typing import ClassVar

from tenants.errors import ApplicationError


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a revision that is not safe, or that can't be known.

    statement: the SQL on one line, cut short; empty where the finding is about the revision.
    reason: why its author keeps it, by the revision's `acknowledged`.
    is_note: it is only to be known; there is nothing to mend.
    """

    module: str
    revision: str
    rule: str
    message: str
    statement: str = ""
    reason: str | None = None
    is_note: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the revision must be mended, or the finding acknowledged."""
        return self.reason is None and not self.is_note


class LintUnavailable(ApplicationError):
    """What the linter is made of isn't installed: whoever only serves doesn't need it."""

    status: ClassVar[int] = 503
    code: ClassVar[str] = "lint_unavailable"
    message: ClassVar[str] = (
        "Revisions can't be checked here: squawk or pglast is missing. "
        "Install the extra that has both: pip install 'tenantry[lint]'."
    )
