"""The data layer: entering a tenant, units of work, and what models and lists share."""
