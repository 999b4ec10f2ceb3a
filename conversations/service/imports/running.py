"""Runs an import: each draft in a transaction of its own, past those that can't be kept."""

from collections.abc import Iterable

from conversations.schemas import ImportQuery, ImportReport
from conversations.service.imports.carry import carry, link_branches
from conversations.service.imports.drafts import Refused
from conversations.service.imports.reading import read_drafts
from conversations.service.imports.report import Report
from tenants.db.unit_of_work import write_session
from tenants.errors import InvalidInput
from tenants.tenant import TenantRef

# A file may have conversations of any length; no more of one are held and written at once.
_MOST_MESSAGES = 1000


async def import_records(
    tenant: TenantRef,
    records: Iterable[bytes],
    query: ImportQuery,
    most_messages: int | None = None,
) -> ImportReport:
    """Import what isn't there yet; what can't be read or kept is skipped and reported.

    most_messages: as `read_drafts` takes it. Raises as `read_drafts` does.
    """
    report, branches = Report(), []
    for draft in read_drafts(records, query, report, most_messages):
        try:
            async with write_session(tenant) as session:
                outcome = await carry(session, draft)
        except Refused as reason:
            report.skip(draft.line, str(reason))
        except InvalidInput as error:
            report.skip(draft.line, error.detail)
        else:
            report.add(outcome)
        if draft.branch is not None:
            branches.append(draft.branch)
    if branches:
        async with write_session(tenant) as session:
            await link_branches(session, branches)
    return report.show(query.format)


async def import_file(tenant: TenantRef, lines: Iterable[bytes]) -> ImportReport:
    """Import the lines of an export, however many there are. Raises InvalidInput (422)."""
    return await import_records(tenant, lines, ImportQuery(), _MOST_MESSAGES)
