"""The query that states what is in schemas: a row for each thing, whatever it is.

What belongs to a schema is found by what depends on it, since that has an index, and
`pg_class.relnamespace` has none: so a batch takes as long in a large database as in a small one.
PostgreSQL's own functions write the definitions down; of what has just been dropped they give null.
"""

# `:schemas` stands for the schemas' names. Where a thing isn't a table's part, table is null, and
# acl where it has no privileges of its own.
FACTS = """
WITH schemas AS MATERIALIZED (
    SELECT oid, nspname::text AS schema, nspowner, nspacl, to_regrole(nspname::text)::oid AS role
    FROM pg_namespace WHERE nspname = ANY (:schemas)
), members AS MATERIALIZED (
    SELECT schema, classid, objid
    FROM schemas JOIN pg_depend ON refclassid = 'pg_namespace'::regclass AND refobjid = schemas.oid
    WHERE deptype = 'n'
), relations AS MATERIALIZED (
    SELECT schema, pg_class.*
    FROM members JOIN pg_class ON pg_class.oid = objid
    WHERE classid = 'pg_class'::regclass
), facts (schema, kind, "table", name, properties, acl) AS (
    SELECT schema, 'schema', NULL, NULL,
        json_build_object('owner', pg_get_userbyid(nspowner)),
        coalesce(nspacl, acldefault('n', nspowner))
    FROM schemas

    UNION ALL
    SELECT schema,
        CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table'
            WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
            WHEN 'f' THEN 'foreign table' ELSE 'relation' END,
        NULL, relname,
        json_build_object(
            'owner', pg_get_userbyid(relowner),
            'persistence', CASE relpersistence WHEN 'u' THEN 'UNLOGGED' ELSE 'LOGGED' END,
            'row security', CASE WHEN relforcerowsecurity THEN 'forced'
                WHEN relrowsecurity THEN 'enabled' END,
            'parents', (SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno)
                FROM pg_inherits WHERE inhrelid = relations.oid),
            'definition', CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END),
        coalesce(
            relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
    FROM relations

    UNION ALL
    SELECT schema, 'column', relname, attname,
        json_build_object(
            'type', format_type(atttypid, atttypmod),
            'nullability', CASE WHEN attnotnull THEN 'NOT NULL' ELSE 'NULL' END,
            'default', CASE attgenerated WHEN '' THEN pg_get_expr(adbin, adrelid) END,
            'expression', CASE WHEN attgenerated <> '' THEN pg_get_expr(adbin, adrelid)
                || CASE attgenerated WHEN 's' THEN ' STORED' ELSE ' VIRTUAL' END END,
            'identity', CASE attidentity WHEN '' THEN NULL WHEN 'a' THEN 'ALWAYS'
                ELSE 'BY DEFAULT' END,
            'collation', CASE WHEN attcollation <> 0 THEN attcollation::regcollation END),
        attacl
    FROM relations JOIN pg_attribute ON attrelid = relations.oid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind IN ('r', 'p', 'f') AND attnum > 0 AND NOT attisdropped

    -- From version 18 on, a column that is NOT NULL has a constraint too, whose name depends on how
    -- the column came to be so; it tells something new only while it isn't valid. Foreign keys are
    -- enforced by triggers, which can be disabled.
    UNION ALL
    SELECT schema, 'constraint', relname, conname,
        json_build_object(
            'definition', pg_get_constraintdef(pg_constraint.oid),
            'state', CASE WHEN contype <> 'f' THEN NULL
                WHEN EXISTS (SELECT FROM pg_trigger
                    WHERE tgconstraint = pg_constraint.oid AND tgenabled <> 'O') THEN 'disabled'
                ELSE 'enabled' END),
        NULL
    FROM relations JOIN pg_constraint ON conrelid = relations.oid
    WHERE contype <> 'n' OR NOT convalidated

    UNION ALL
    SELECT schema, 'index', relations.relname, indexes.relname,
        json_build_object(
            'definition', pg_get_indexdef(indexrelid),
            'state', CASE WHEN indisvalid AND indisready THEN 'valid' ELSE 'invalid' END),
        NULL
    FROM relations JOIN pg_index ON indrelid = relations.oid
    JOIN pg_class AS indexes ON indexes.oid = indexrelid

    UNION ALL
    SELECT schema, 'trigger', relname, tgname,
        json_build_object(
            'definition', pg_get_triggerdef(pg_trigger.oid),
            'state', CASE tgenabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled'
                WHEN 'A' THEN 'always enabled' ELSE 'enabled on replicas' END),
        NULL
    FROM relations JOIN pg_trigger ON tgrelid = relations.oid
    WHERE NOT tgisinternal

    UNION ALL
    SELECT schema, 'rule', relname, rulename,
        json_build_object(
            'definition', pg_get_ruledef(pg_rewrite.oid),
            'state', CASE ev_enabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled'
                WHEN 'A' THEN 'always enabled' ELSE 'enabled on replicas' END),
        NULL
    FROM relations JOIN pg_rewrite ON ev_class = relations.oid
    WHERE rulename <> '_RETURN'

    UNION ALL
    SELECT schema, 'policy', relname, polname,
        json_build_object(
            'command', CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT'
                WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            'kind', CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
            'roles', array_to_string(
                array_replace(polroles::regrole[]::text[], '-', 'PUBLIC'), ', '),
            'condition', pg_get_expr(polqual, polrelid),
            'check', pg_get_expr(polwithcheck, polrelid)),
        NULL
    FROM relations JOIN pg_policy ON polrelid = relations.oid

    UNION ALL
    SELECT schema, 'function', NULL, pg_proc.oid::regprocedure::text,
        json_build_object(
            'owner', pg_get_userbyid(proowner),
            'definition', CASE WHEN prokind <> 'a' THEN pg_get_functiondef(pg_proc.oid) END),
        coalesce(proacl, acldefault('f', proowner))
    FROM members JOIN pg_proc ON pg_proc.oid = objid
    WHERE classid = 'pg_proc'::regclass

    -- Types, collations, operators, statistics, extensions, and whatever else there may be.
    UNION ALL
    SELECT members.schema, object.type, NULL, object.identity, json_build_object(), NULL
    FROM members CROSS JOIN LATERAL pg_identify_object(classid, objid, 0) AS object
    WHERE classid NOT IN ('pg_class'::regclass, 'pg_proc'::regclass)

    UNION ALL
    SELECT schema, 'entry of default privileges', NULL,
        'for ' || CASE defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences'
            WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' ELSE 'others' END
        || ' of ' || pg_get_userbyid(defaclrole),
        json_build_object(), defaclacl
    FROM schemas JOIN pg_default_acl ON defaclnamespace = schemas.oid

    UNION ALL
    SELECT schema, 'role', NULL, NULL,
        json_build_object('attributes', concat_ws(' ',
            CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
            CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
            CASE WHEN rolsuper THEN 'SUPERUSER' END,
            CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
            CASE WHEN rolcreatedb THEN 'CREATEDB' END,
            CASE WHEN rolreplication THEN 'REPLICATION' END,
            CASE WHEN rolbypassrls THEN 'BYPASSRLS' END)),
        NULL
    FROM schemas JOIN pg_roles ON pg_roles.oid = role

    -- Before version 16 a membership has fewer options.
    UNION ALL
    SELECT schema, 'membership', NULL,
        'of ' || pg_get_userbyid(member) || ' in ' || pg_get_userbyid(roleid),
        (to_jsonb(memberships) - '{oid,roleid,member,grantor}'::text[])::json, NULL
    FROM schemas CROSS JOIN LATERAL (
        SELECT * FROM pg_auth_members WHERE roleid = role
        UNION ALL SELECT * FROM pg_auth_members WHERE member = role
    ) AS memberships

    -- What depends on the role, and neither is the schema nor in it. The OFFSET keeps the planner
    -- from looking at what depends on all roles.
    UNION ALL
    SELECT schemas.schema, 'right outside the schema', NULL,
        'to ' || object.type || ' ' || object.identity, json_build_object(), NULL
    FROM schemas CROSS JOIN LATERAL (
        SELECT * FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = role
        OFFSET 0
    ) AS dependents
    LEFT JOIN members USING (schema, classid, objid)
    LEFT JOIN pg_default_acl ON classid = 'pg_default_acl'::regclass
        AND pg_default_acl.oid = objid AND defaclnamespace = schemas.oid
    CROSS JOIN LATERAL pg_identify_object(classid, objid, objsubid) AS object
    WHERE deptype IN ('a', 'o')
        AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND members.schema IS NULL AND pg_default_acl.oid IS NULL
        AND (classid, objid) <> ('pg_namespace'::regclass, schemas.oid)
)
"""
