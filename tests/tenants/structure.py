"""What a tenant's schema looks like, for comparing two of them."""

from sqlalchemy import text

from tenants.lifecycle import owner_connection

# Everything that makes two schemas differ, as lines without the names of schema and role.
_STRUCTURE = """
SELECT concat_ws(' ', 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
    a.attnotnull, a.attgenerated, a.attidentity, pg_get_expr(d.adbin, d.adrelid))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = :schema::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT concat_ws(' ', 'index', replace(pg_get_indexdef(c.oid), :schema || '.', ''))
FROM pg_class c WHERE c.relnamespace = :schema::regnamespace AND c.relkind = 'i'
UNION ALL
SELECT concat_ws(' ', 'relation', c.relname, c.relkind, c.relpersistence,
    replace(c.relacl::text, :schema, 'ROLE'))
FROM pg_class c WHERE c.relnamespace = :schema::regnamespace AND c.relkind <> 'i'
UNION ALL
SELECT concat_ws(' ', 'constraint', c.conname, c.contype, c.convalidated,
    replace(pg_get_constraintdef(c.oid), :schema || '.', ''))
FROM pg_constraint c WHERE c.connamespace = :schema::regnamespace
UNION ALL
SELECT concat_ws(' ', 'type', t.typname, t.typtype) FROM pg_type t
WHERE t.typnamespace = :schema::regnamespace AND t.typtype <> 'c' AND t.typelem = 0
UNION ALL
SELECT concat_ws(' ', 'function', p.proname) FROM pg_proc p
WHERE p.pronamespace = :schema::regnamespace
ORDER BY 1
"""


async def read_structure(tenant):
    """Columns, indexes, relations and rights, constraints, types and functions, as sorted lines."""
    statement = _STRUCTURE.replace(":schema", f"'{tenant.ref.schema}'")
    async with owner_connection() as connection:
        return list((await connection.execute(text(statement.replace("::", "\\:\\:")))).scalars())
