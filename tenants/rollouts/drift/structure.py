"""What is in schemas but rows, in a form that can be compared.

A schema is a set of lines, one for each thing in it, without the names of the schema and of its
role: schemas that are alike have the same lines, and so the same digest. A line is a JSON list of
the thing's kind, the table that it is a part of, its name, its properties, and who has which rights
to it.

Left out is what an operator may choose for a single tenant (tablespaces, fillfactor, autovacuum),
and the order of columns, which nothing may depend on.
"""

import hashlib
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ARRAY, Text, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.rollouts.drift.catalog import FACTS

# What a tenant's role is called in lines.
_ROLE = "the tenant's role"
# Without a search path, names in definitions have their schema before them, whatever the login's
# settings are. Compiling the query would take longer than running it.
_PREPARE = text("SELECT set_config('search_path', '', true), set_config('jit', 'off', true)")
_READ = """
{facts}
SELECT schema, {answer}
FROM (
    SELECT schema, replace(replace(
        json_build_array(kind, "table", name, json_strip_nulls(properties),
            CASE WHEN acl IS NOT NULL THEN (
                SELECT json_object_agg(role, privileges ORDER BY role COLLATE "C")
                FROM (
                    SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END,
                        json_agg(
                            privilege_type
                            || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
                            ORDER BY privilege_type COLLATE "C")
                    FROM aclexplode(acl) GROUP BY grantee
                ) AS grants (role, privileges)
            ) END)::text,
        schema || '.', ''), schema, :role) AS line
    FROM facts
) AS lines
GROUP BY schema
"""
_DIGEST = """
encode(sha256(convert_to(string_agg(line, chr(10) ORDER BY line COLLATE "C"), 'UTF8')), 'hex')
"""


def _statement(answer: str) -> TextClause:
    return text(_READ.format(facts=FACTS, answer=answer)).bindparams(
        bindparam("schemas", type_=ARRAY(Text))
    )


_READ_DIGESTS = _statement(_DIGEST)
_READ_LINES = _statement("array_agg(line)")


async def read_digests(connection: AsyncConnection, schemas: Collection[str]) -> dict[str, str]:
    """The digest of each of these schemas that is there.

    Leaves an empty search path, until the transaction's end.
    """
    return await _read(connection, _READ_DIGESTS, schemas)


async def read_lines(
    connection: AsyncConnection, schemas: Collection[str]
) -> dict[str, frozenset[str]]:
    """The lines of each of these schemas that is there. Leaves an empty search path, too."""
    found = await _read(connection, _READ_LINES, schemas)
    return {schema: frozenset(lines) for schema, lines in found.items()}


def make_digest(lines: Iterable[str]) -> str:
    """The digest of a schema with these lines, as the database makes it."""
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


async def _read(
    connection: AsyncConnection, statement: TextClause, schemas: Collection[str]
) -> dict[str, Any]:
    await connection.execute(_PREPARE)
    rows = await connection.execute(statement, {"schemas": list(schemas), "role": _ROLE})
    return {row.schema: row[1] for row in rows}
