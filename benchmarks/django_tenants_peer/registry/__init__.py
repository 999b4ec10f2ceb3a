"""The peer's shared tables: tenants and their host names."""
