"""Who does something to a tenant, and from where. Passed along, never fetched from a global."""

import getpass
import socket
from dataclasses import dataclass
from enum import StrEnum

from tenants.ids import new_id


class ActorKind(StrEnum):
    """The ways in: a key of the management API, the admin, a tenant's own member, a command."""

    OPERATOR = "operator"
    STAFF = "staff"
    MEMBER = "member"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Actor:
    """What the audit log keeps of whoever acts.

    id: an operator key's public id, a user's id, or the name of an account on the machine where
    a command runs. name: for people. role: a member's role in the tenant at hand, else None.
    address: the client's network address, or the name of that machine.
    """

    kind: ActorKind
    id: str
    name: str
    role: str | None = None
    address: str = ""
    request_id: str = ""


def acting_command() -> Actor:
    """Whoever runs this process's command."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # An account without a name, as containers have.
        account = "unknown"
    return Actor(
        ActorKind.COMMAND, account, account, address=socket.gethostname(), request_id=new_id().hex
    )
