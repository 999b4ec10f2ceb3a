"""The usage report."""

import csv
import io

from django.http import HttpResponse
from ninja import Query

from conversations import schemas, service
from conversations.router.base import router
from tenants.auth import TenantRequest
from tenants.db.unit_of_work import read_session
from tenants.responses import json_response

# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@router.get(
    "/usage",
    response=schemas.UsageReport,
    openapi_extra={
        "responses": {
            200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
        }
    },
)
async def report_usage(request: TenantRequest, query: Query[schemas.UsageQuery]) -> HttpResponse:
    """Sum up tokens, cost, messages and tool calls by day, model, agent or user.

    Deleted conversations and messages count until they are erased. With `format=csv`, or the
    header `Accept: text/csv`, the rows come as CSV.
    """
    async with read_session(request.auth.tenant) as session:
        usage = await service.report_usage(session, query)
    if query.format == "csv" or (query.format is None and _prefers_csv(request)):
        response = HttpResponse(write_csv(usage, query), content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = 'attachment; filename="usage.csv"'
    else:
        response = json_response(usage)
    response.headers["Vary"] = "Accept"
    return response


def write_csv(usage: schemas.UsageReport, query: schemas.UsageQuery) -> str:
    """The rows under the names of their columns; without the totals, which are a sum away."""
    file = io.StringIO()
    columns = [*query.columns, *schemas.UsageSums.__annotations__]
    writer = csv.writer(file)
    writer.writerow(columns)
    for row in usage["data"]:
        cells = dict(row)
        writer.writerow(_guard(cells[name]) for name in columns)
    return file.getvalue()


def _guard(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: a text that looks like one gets a `'`."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _prefers_csv(request: TenantRequest) -> bool:
    return request.get_preferred_type(["application/json", "text/csv"]) == "text/csv"
