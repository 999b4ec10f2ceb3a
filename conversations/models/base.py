"""The base of the tables, and the values that their columns may have."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import BigInteger, MetaData, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

from tenants.db.base import Timestamp, create_metadata

CONVERSATION_STATUSES = ("active", "archived", "deleted")
ROLES = ("system", "developer", "user", "assistant", "tool")
MESSAGE_STATUSES = ("in_progress", "completed", "incomplete")
OPEN_CALL_STATUSES = ("requested", "awaiting_approval", "running")
CLOSED_CALL_STATUSES = ("succeeded", "failed", "denied", "cancelled", "expired")
CALL_STATUSES = (*OPEN_CALL_STATUSES, *CLOSED_CALL_STATUSES)
# Open calls that may be begun or answered.
READY_CALL_STATUSES = ("requested", "running")
RATINGS = ("up", "down")


def one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class Base(DeclarativeBase):
    metadata: ClassVar[MetaData] = create_metadata()
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        int: BigInteger,
        datetime: Timestamp,
        Decimal: Numeric(20, 10),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }
