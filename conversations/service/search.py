"""Search over titles and messages."""

from uuid import UUID

from conversations import repository, schemas
from tenants.db.pagination import Page, decode_cursor, make_page
from tenants.db.unit_of_work import ReadSession


async def search(session: ReadSession, query: schemas.SearchQuery) -> Page[schemas.SearchHit]:
    """A page of hits, best first. A query without a word that must be there finds nothing.

    Raises InvalidCursor (400).
    """
    filters = query.model_dump(include={"user_id", "agent_id", "status", "language"})
    listing = ["search", query.q, filters]
    after = None
    if query.after is not None:
        rank, key = decode_cursor(session.tenant, listing, query.after, [float, UUID])
        after = (rank, key)
    found = await repository.search(
        session, filters, query=query.q, after=after, limit=query.limit + 1
    )
    hits, positions = [hit for hit, _ in found], [position for _, position in found]
    return make_page(session.tenant, listing, hits, positions, query.limit)
