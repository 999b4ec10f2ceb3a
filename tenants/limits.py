"""How much of the service a tenant may take, by its plan and by what was agreed beyond it."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tenants.errors import InvalidInput

_Count = Annotated[int, Field(ge=0, le=1_000_000)] | None


class Limits(BaseModel):
    """Bounds of a tenant; None where there is no bound.

    concurrent_requests: requests of its that one process answers at the same time; one more gets
    429, and the other tenants notice nothing. concurrent_streams: its event streams that are open
    in one process; they don't count among the requests. api_keys: those that are neither revoked
    nor expired. members: those who were invited included. domains: verified or not.
    retention_days: a default instead: after so many days a module erases what nothing is said of.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    concurrent_requests: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    concurrent_streams: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    api_keys: _Count = None
    members: _Count = None
    domains: _Count = None
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = None


def parse_limits(values: Mapping[str, Any]) -> dict[str, int]:
    """What is set of a tenant's own limits. Raises InvalidInput (422), naming each wrong one."""
    try:
        return Limits(**values).model_dump(exclude_none=True)
    except ValidationError as error:
        wrong = [
            (".".join(("limits", *map(str, problem["loc"]))), problem["msg"])
            for problem in error.errors()
        ]
        known = ", ".join(Limits.model_fields)
        raise InvalidInput(
            f"These limits can't be set: {'; '.join(f'{name}: {why}' for name, why in wrong)}. "
            f"There are: {known}.",
            errors=wrong,
        ) from error


def merge_limits(plan: Limits | None, own: Mapping[str, int]) -> Limits:
    """The limits that hold: a tenant's own where set, else its plan's (None: a plan without)."""
    return (plan or Limits()).model_copy(update=dict(own))
