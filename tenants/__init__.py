"""The tenancy engine: one PostgreSQL schema and role per tenant. No business noun in it."""

__version__ = "0.1.0"
