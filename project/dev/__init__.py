"""Tools for development and tests: the embedded PostgreSQL server and demo data."""
