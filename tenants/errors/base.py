"""What all errors have in common, and the kinds that others refine."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar


class ApplicationError(Exception):
    """An expected outcome that isn't success.

    status: the HTTP status. code: a stable word that programs may match on.
    headers: what the answer carries besides the usual. members: what its body does.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    message: ClassVar[str] = "Something went wrong on our side."
    headers: ClassVar[Mapping[str, str]] = {}
    members: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)

    @property
    def detail(self) -> str:
        """What the caller is told."""
        return str(self.args[0])


class InvalidInput(ApplicationError):
    """A well-formed request with a value that isn't acceptable.

    errors: the fields at fault, as pairs of field path and reason.
    """

    status = 422
    code = "invalid_input"
    message = "The request has invalid values."

    def __init__(
        self, message: str | None = None, *, errors: list[tuple[str, str]] | None = None
    ) -> None:
        super().__init__(message)
        self.errors = errors or []


class NotFound(ApplicationError):
    status = 404
    code = "not_found"
    message = "There is no such resource."


class Conflict(ApplicationError):
    status = 409
    code = "conflict"
    message = "The request conflicts with the state of the resource."
