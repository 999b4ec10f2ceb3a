"""What the models of all modules share.

Tenant schemas hold plain types only (no enum, domain or composite type): their meaning must be
the same in every schema, or statements prepared in one tenant break in the next.
"""

from sqlalchemy import DateTime, MetaData

# Explicit names for all constraints: a revision can only change what it can name.
NAMING_CONVENTION = {
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
}

# Points in time are kept with their zone and handed out in UTC.
Timestamp = DateTime(timezone=True)


def create_metadata() -> MetaData:
    """Metadata for one module's tables; without a schema, since the search path names it."""
    return MetaData(naming_convention=NAMING_CONVENTION)
