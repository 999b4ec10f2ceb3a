"""The usage report: what was used, by day, model, agent and user."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Any, cast
from zoneinfo import ZoneInfo, available_timezones

from conversations import errors, repository, schemas
from conversations.settings import get_settings
from tenants.db.unit_of_work import ReadSession
from tenants.errors import InvalidInput

_DEFAULT_DAYS = 30


async def report_usage(session: ReadSession, query: schemas.UsageQuery) -> schemas.UsageReport:
    """Sum up what was used from day to day, deleted conversations included until they are erased.

    Raises InvalidInput (422) for an unknown time zone or a range that is empty or too long, and
    ReportTooLarge (422) where there would be too many rows.
    """
    zone = _find_zone(query.timezone)
    days = _list_days(query, zone)
    settings = get_settings()
    totals, rows = await repository.sum_usage(
        session,
        [_midnight(day, zone) for day in days],
        query.columns,
        query.model_dump(include={"user_id", "agent_id", "model"}),
        settings.max_usage_rows + 1,
    )
    if len(rows) > settings.max_usage_rows:
        raise errors.ReportTooLarge(settings.max_usage_rows)
    for row in rows:
        if "day" in row:
            row["day"] = days[row["day"] - 1]
    return {
        "from": days[0],
        "to": days[-1],
        "timezone": query.timezone,
        "data": [cast(schemas.UsageRow, _show(row)) for row in rows],
        "totals": cast(schemas.UsageSums, _show(totals)),
    }


def _list_days(query: schemas.UsageQuery, zone: tzinfo) -> list[date]:
    """The days of the report, and the one after the last."""
    end = query.to or datetime.now(zone).date() + timedelta(days=1)
    longest = get_settings().max_usage_days
    try:
        start = query.from_ or end - timedelta(days=min(_DEFAULT_DAYS, longest))
    except OverflowError:  # Before the year 1.
        start = end
    if not 0 < (end - start).days <= longest:
        raise InvalidInput(errors=[("to", f"must be after `from`, by no more than {longest} days")])
    return [start + timedelta(days=number) for number in range((end - start).days + 1)]


def _midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins. Where the clock skips midnight, that is when it is put forward."""
    try:
        return datetime.combine(day, time(), zone).astimezone(UTC)
    except OverflowError:  # The calendar ends a few hours away from the first and the last day.
        return datetime.combine(day, time(), UTC)


def _find_zone(name: str) -> tzinfo:
    """Raises InvalidInput (422) for a name that the IANA time zone database doesn't have."""
    if name == "UTC":  # Whether or not this machine has that database.
        return UTC
    if name not in _known_zones():
        raise InvalidInput(errors=[("timezone", "is not a name of the IANA time zone database")])
    return ZoneInfo(name)


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _show(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "cost": schemas.show_cost_sum(row["cost"])}
