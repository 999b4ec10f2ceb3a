# Made by generate_sync.py from the file of this name in `_async`.
"""End users, and the receipts of erasures."""

from collections.abc import Iterator
from typing import Any, Literal

from tenantry_client._sync.pages import Pages
from tenantry_client._sync.resource import Resource
from tenantry_client._sync.stream import EventStream
from tenantry_client._calls import Call, make_path, without_none
from tenantry_client.models import Erasure


class Users(Resource):
    """End users, by the ids of your own system."""

    def events(self, user_id: str, after: str | None = None) -> EventStream:
        """Follow all of a user's conversations, from now on or after an event's id."""
        call = Call("GET", "/events", query={"user_id": user_id})
        return EventStream(self._transport, call, after)

    def export(self, user_id: str) -> Iterator[dict[str, Any]]:
        """Records, the last one of the type `end`. Raises ConnectionFailed where it is cut."""
        return self._export(make_path("/users/{}/export", user_id))

    def erase(self, user_id: str) -> Erasure:
        """Erase all that there is of a user, and get the receipt."""
        return self._post(Erasure, make_path("/users/{}/erase", user_id))


class Erasures(Resource):
    """Receipts."""

    def list(
        self,
        *,
        kind: Literal["conversation", "user"] | None = None,
        subject: str | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Pages[Erasure]:
        """The newest first. subject: the id of the conversation or the user."""
        query = without_none(kind=kind, subject=subject, limit=limit, after=after)
        return self._list(Erasure, "/erasures", **query)

    def get(self, erasure_id: str) -> Erasure:
        return self._get(Erasure, make_path("/erasures/{}", erasure_id))
