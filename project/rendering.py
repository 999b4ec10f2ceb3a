"""How an error is answered: as problem details, or as the wire has it whose path was asked."""

from project.problems import render_problem
from tenants.errors import ApplicationError
from tenants.modules import find_wire

Answer = tuple[int, bytes, dict[str, str]]


def render_error(path: str, error: ApplicationError, request_id: str) -> Answer:
    """Status, body and headers."""
    wire = find_wire(path)
    if wire is None:
        return error.status, *render_problem(error, request_id)
    body, headers = wire.render_error(error, request_id)
    return wire.statuses.get(error.status, error.status), body, headers
