"""The ways in which a schema can drift, and what is to be said of each."""

# A module that has one of everything that a module may have, and whose revisions are of each kind.
FIRST = '''
op.execute("""
    CREATE TABLE drift_authors (id uuid CONSTRAINT drift_authors_pkey PRIMARY KEY, "größe" int);
    CREATE TABLE drift_things (
        id uuid CONSTRAINT drift_things_pkey PRIMARY KEY,
        author_id uuid CONSTRAINT drift_things_author_id_fkey REFERENCES drift_authors,
        kind text NOT NULL DEFAULT 'plain',
        body text,
        share numeric(10, 2),
        number bigint NOT NULL,
        size int GENERATED ALWAYS AS (length(body)) STORED,
        CONSTRAINT drift_things_number_check CHECK (number > 0),
        CONSTRAINT drift_things_number_key UNIQUE (number)
    );
    CREATE INDEX drift_things_body_idx ON drift_things (body) WHERE body IS NOT NULL;
    CREATE VIEW drift_names AS SELECT 1 AS one;
    CREATE FUNCTION drift_count() RETURNS bigint LANGUAGE sql AS 'SELECT 1';
    CREATE TRIGGER drift_trigger BEFORE UPDATE ON drift_authors FOR EACH ROW
        EXECUTE FUNCTION suppress_redundant_updates_trigger();
    CREATE RULE drift_rule AS ON DELETE TO drift_authors DO ALSO SELECT 1;
    CREATE POLICY drift_policy ON drift_authors USING (id IS NOT NULL);
""")
'''.strip()
SECOND = {
    "upgrade": "op.execute('CREATE INDEX CONCURRENTLY drift_things_share_idx "
    "ON tenant_schema.drift_things (share)')",
    "marks": "transactional = False",
}
THIRD = {
    "upgrade": "op.add_column('drift_things', sa.Column('note', sa.Text()))",
    "marks": "online = True",
}
VERSION = "INSERT INTO alembic_version VALUES"
STAMPS = "tenantry.tenant_stamps"
A_CHECK = "CHECK (number > 0)"

# What a superuser does, with the search path at the schema, and what is said of it. `{me}` is the
# schema and its role, `{id}` the tenant's id, `{all}` what an owner may do with a table, and
# `{more}` what a tenant's role may not.
HARMS = {
    # Columns.
    "a missing column": (
        "ALTER TABLE drift_things DROP COLUMN note",
        ["table drift_things: column note is missing"],
    ),
    "an extra column": (
        "ALTER TABLE drift_things ADD COLUMN extra int",
        ["table drift_things: column extra should not be there"],
    ),
    "a changed type": (
        "ALTER TABLE drift_things ALTER COLUMN number TYPE int",
        ["table drift_things: column number has type integer, should be bigint"],
    ),
    "a changed precision": (
        "ALTER TABLE drift_things ALTER COLUMN share TYPE numeric(12, 2)",
        ["table drift_things: column share has type numeric(12,2), should be numeric(10,2)"],
    ),
    "a column that may be null": (
        "ALTER TABLE drift_things ALTER COLUMN kind DROP NOT NULL",
        ["table drift_things: column kind has nullability NULL, should be NOT NULL"],
    ),
    "a missing default": (
        "ALTER TABLE drift_things ALTER COLUMN kind DROP DEFAULT",
        ["table drift_things: column kind has default none, should be 'plain'::text"],
    ),
    "a changed default": (
        "ALTER TABLE drift_things ALTER COLUMN kind SET DEFAULT 'fancy'",
        ["table drift_things: column kind has default 'fancy'::text, should be 'plain'::text"],
    ),
    "a column that isn't generated any more": (
        "ALTER TABLE drift_things ALTER COLUMN size DROP EXPRESSION",
        ["table drift_things: column size has expression none, should be length(body) STORED"],
    ),
    "an identity": (
        "ALTER TABLE drift_things ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY",
        [
            "sequence drift_things_number_seq should not be there",
            "table drift_things: column number has identity ALWAYS, should be none",
        ],
    ),
    "a changed collation": (
        'ALTER TABLE drift_things ALTER COLUMN note TYPE text COLLATE "C"',
        ['table drift_things: column note has collation "C", should be "default"'],
    ),
    # Constraints.
    "a missing check": (
        "ALTER TABLE drift_things DROP CONSTRAINT drift_things_number_check",
        ["table drift_things: constraint drift_things_number_check is missing"],
    ),
    "a changed check": (
        "ALTER TABLE drift_things DROP CONSTRAINT drift_things_number_check, "
        "ADD CONSTRAINT drift_things_number_check CHECK (number > 1)",
        [
            "table drift_things: constraint drift_things_number_check has definition "
            "CHECK ((number > 1)), should be CHECK ((number > 0))"
        ],
    ),
    "a check that isn't valid": (
        "ALTER TABLE drift_things DROP CONSTRAINT drift_things_number_check, "
        f"ADD CONSTRAINT drift_things_number_check {A_CHECK} NOT VALID",
        [
            "table drift_things: constraint drift_things_number_check has definition "
            "CHECK ((number > 0)) NOT VALID, should be CHECK ((number > 0))"
        ],
    ),
    "an extra check": (
        "ALTER TABLE drift_authors ADD CONSTRAINT extra_check CHECK (id IS NOT NULL)",
        ["table drift_authors: constraint extra_check should not be there"],
    ),
    "a NOT NULL that isn't valid": (
        "ALTER TABLE drift_things ADD CONSTRAINT extra NOT NULL body NOT VALID",
        [
            "table drift_things: column body has nullability NOT NULL, should be NULL",
            "table drift_things: constraint extra should not be there",
        ],
    ),
    "a missing primary key": (
        "ALTER TABLE drift_things DROP CONSTRAINT drift_things_pkey",
        ["table drift_things: constraint drift_things_pkey is missing"],
    ),
    "a foreign key into another schema": (
        "ALTER TABLE drift_things DROP CONSTRAINT drift_things_author_id_fkey, "
        "ADD CONSTRAINT drift_things_author_id_fkey FOREIGN KEY (author_id) "
        "REFERENCES drift_elsewhere.drift_authors(id)",
        [
            "table drift_things: constraint drift_things_author_id_fkey has definition FOREIGN "
            "KEY (author_id) REFERENCES drift_elsewhere.drift_authors(id), should be FOREIGN KEY "
            "(author_id) REFERENCES drift_authors(id)"
        ],
    ),
    "a foreign key that isn't enforced": (
        "ALTER TABLE drift_things DISABLE TRIGGER ALL",
        [
            "table drift_things: constraint drift_things_author_id_fkey has state disabled, "
            "should be enabled"
        ],
    ),
    # Indexes.
    "a missing index": (
        "DROP INDEX drift_things_body_idx",
        ["table drift_things: index drift_things_body_idx is missing"],
    ),
    "an extra index": (
        "CREATE INDEX extra_idx ON drift_things (kind)",
        ["table drift_things: index extra_idx should not be there"],
    ),
    "a changed index": (
        "DROP INDEX drift_things_share_idx;"
        "CREATE INDEX drift_things_share_idx ON drift_things (share, kind)",
        [
            "table drift_things: index drift_things_share_idx has definition CREATE INDEX "
            "drift_things_share_idx ON drift_things USING btree (share, kind), should be CREATE "
            "INDEX drift_things_share_idx ON drift_things USING btree (share)"
        ],
    ),
    "an index that isn't valid": (
        "UPDATE pg_index SET indisvalid = false "
        "WHERE indexrelid = 'drift_things_body_idx'::regclass",
        [
            "table drift_things: index drift_things_body_idx has state invalid, should be valid",
        ],
    ),
    # Tables, and what hangs on them.
    "a missing table": (
        "DROP TABLE drift_things",
        ["table drift_things is missing"],
    ),
    "an extra table": (
        "CREATE TABLE extra (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), body text UNIQUE)",
        ["table extra should not be there"],
    ),
    "a view in a table's place": (
        "DROP TABLE drift_things; CREATE VIEW drift_things AS SELECT 1 AS one",
        ["table drift_things is missing", "view drift_things should not be there"],
    ),
    "an unlogged table": (
        "ALTER TABLE drift_things SET UNLOGGED",
        ["table drift_things has persistence UNLOGGED, should be LOGGED"],
    ),
    "row security": (
        "ALTER TABLE drift_things ENABLE ROW LEVEL SECURITY",
        ["table drift_things has row security enabled, should be none"],
    ),
    "row security for the owner too": (
        "ALTER TABLE drift_things FORCE ROW LEVEL SECURITY",
        ["table drift_things has row security forced, should be none"],
    ),
    "a parent": (
        "ALTER TABLE drift_authors INHERIT drift_elsewhere.drift_authors",
        ["table drift_authors has parents drift_elsewhere.drift_authors, should be none"],
    ),
    "an extra trigger": (
        "CREATE TRIGGER extra BEFORE UPDATE ON drift_things FOR EACH ROW "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        ["table drift_things: trigger extra should not be there"],
    ),
    "a trigger that doesn't fire": (
        "ALTER TABLE drift_authors DISABLE TRIGGER drift_trigger",
        ["table drift_authors: trigger drift_trigger has state disabled, should be enabled"],
    ),
    "a changed trigger": (
        "DROP TRIGGER drift_trigger ON drift_authors;"
        "CREATE TRIGGER drift_trigger BEFORE UPDATE ON drift_authors FOR EACH ROW WHEN (true) "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        [
            "table drift_authors: trigger drift_trigger has definition CREATE TRIGGER "
            "drift_trigger BEFORE UPDATE ON drift_authors FOR EACH ROW WHEN (true) EXECUTE "
            "FUNCTION suppress_redundant_updates_trigger(), should be CREATE TRIGGER "
            "drift_trigger BEFORE UPDATE ON drift_authors FOR EACH ROW EXECUTE FUNCTION "
            "suppress_redundant_updates_trigger()"
        ],
    ),
    "an extra rule": (
        "CREATE RULE extra AS ON DELETE TO drift_things DO INSTEAD NOTHING",
        ["table drift_things: rule extra should not be there"],
    ),
    "a changed rule": (
        "CREATE OR REPLACE RULE drift_rule AS ON DELETE TO drift_authors DO INSTEAD NOTHING",
        [
            "table drift_authors: rule drift_rule has definition CREATE RULE drift_rule AS ON "
            "DELETE TO drift_authors DO INSTEAD NOTHING;, should be CREATE RULE drift_rule AS ON "
            'DELETE TO drift_authors DO SELECT 1 AS "?column?";'
        ],
    ),
    "a rule that isn't applied": (
        "ALTER TABLE drift_authors DISABLE RULE drift_rule",
        ["table drift_authors: rule drift_rule has state disabled, should be enabled"],
    ),
    "a changed policy": (
        "DROP POLICY drift_policy ON drift_authors;"
        "CREATE POLICY drift_policy ON drift_authors AS RESTRICTIVE FOR UPDATE "
        'TO "{me}" USING (true) WITH CHECK (true)',
        [
            "table drift_authors: policy drift_policy has check true, should be none",
            "table drift_authors: policy drift_policy has command UPDATE, should be ALL",
            "table drift_authors: policy drift_policy has condition true, should be "
            "(id IS NOT NULL)",
            "table drift_authors: policy drift_policy has kind RESTRICTIVE, should be PERMISSIVE",
            "table drift_authors: policy drift_policy has roles the tenant's role, should be "
            "PUBLIC",
        ],
    ),
    "an extra policy": (
        "CREATE POLICY extra ON drift_things USING (true)",
        ["table drift_things: policy extra should not be there"],
    ),
    # What else a schema can hold.
    "an extra sequence": ("CREATE SEQUENCE extra", ["sequence extra should not be there"]),
    "an extra view": (
        "CREATE VIEW extra AS SELECT 1 AS one",
        ["view extra should not be there"],
    ),
    "a changed view": (
        "CREATE OR REPLACE VIEW drift_names AS SELECT 2 AS one",
        ["view drift_names has definition SELECT 2 AS one;, should be SELECT 1 AS one;"],
    ),
    "an extra materialized view": (
        "CREATE MATERIALIZED VIEW extra AS SELECT 1 AS one",
        ["materialized view extra should not be there"],
    ),
    "an extra function": (
        "CREATE FUNCTION extra(number int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ["function extra(integer) should not be there"],
    ),
    "a changed function": (
        'ALTER FUNCTION drift_count() STRICT; GRANT EXECUTE ON FUNCTION drift_count() TO "{me}"',
        [
            "function drift_count() has definition CREATE OR REPLACE FUNCTION drift_count() "
            "RETURNS bigint LANGUAGE sql STRICT AS $function$SELECT 1$function$, should be CREATE "
            "OR REPLACE FUNCTION drift_count() RETURNS bigint LANGUAGE sql AS $function$SELECT "
            "1$function$",
            "function drift_count(): the tenant's role should not have EXECUTE",
        ],
    ),
    "a wrong owner of a function": (
        "ALTER FUNCTION drift_count() OWNER TO postgres",
        [
            "function drift_count() has owner postgres, should be tenantry_owner",
            "function drift_count(): postgres should not have EXECUTE",
            "function drift_count(): tenantry_owner lacks EXECUTE",
        ],
    ),
    "an extra type": (
        "CREATE TYPE extra AS ENUM ('one', 'two')",
        ["type extra should not be there"],
    ),
    "an extra collation": (
        'CREATE COLLATION extra FROM "C"',
        ["collation extra should not be there"],
    ),
    "extra statistics": (
        "CREATE STATISTICS extra ON kind, body FROM drift_things",
        ["statistics object extra should not be there"],
    ),
    # Rights.
    "a missing right": (
        'REVOKE INSERT, DELETE ON drift_things FROM "{me}"',
        ["table drift_things: the tenant's role lacks DELETE, INSERT"],
    ),
    "a right too many": (
        'GRANT TRUNCATE ON drift_things TO "{me}"',
        ["table drift_things: the tenant's role should not have TRUNCATE"],
    ),
    "a right to the version table": (
        'GRANT SELECT, UPDATE ON alembic_version TO "{me}"',
        ["table alembic_version: the tenant's role should not have SELECT, UPDATE"],
    ),
    "a right of everybody": (
        "GRANT SELECT ON drift_things TO PUBLIC",
        ["table drift_things: PUBLIC should not have SELECT"],
    ),
    "a right to a column": (
        "GRANT SELECT (id) ON drift_things TO PUBLIC",
        ["table drift_things: column id: PUBLIC should not have SELECT"],
    ),
    "a right that can be passed on": (
        'GRANT SELECT ON drift_things TO "{me}" WITH GRANT OPTION',
        [
            "table drift_things: the tenant's role lacks SELECT",
            "table drift_things: the tenant's role should not have SELECT WITH GRANT OPTION",
        ],
    ),
    "a right to make things": (
        'GRANT CREATE ON SCHEMA "{me}" TO "{me}"',
        ["schema: the tenant's role should not have CREATE"],
    ),
    "a schema that can't be used": (
        'REVOKE USAGE ON SCHEMA "{me}" FROM "{me}"',
        ["schema: the tenant's role lacks USAGE"],
    ),
    "a right elsewhere": (
        'GRANT SELECT ON drift_elsewhere.drift_authors TO "{me}"',
        [
            "right outside the schema to table drift_elsewhere.drift_authors should not be there",
        ],
    ),
    "a wrong owner": (
        'ALTER TABLE drift_authors OWNER TO "{me}"',
        [
            "table drift_authors has owner the tenant's role, should be tenantry_owner",
            "table drift_authors: tenantry_owner lacks {all}",
            "table drift_authors: the tenant's role should not have {more}",
        ],
    ),
    "a wrong owner of the schema": (
        'ALTER SCHEMA "{me}" OWNER TO postgres',
        [
            "alembic_version can't be read: permission denied for schema {me}",
            "schema has owner postgres, should be tenantry_owner",
            "schema: postgres should not have CREATE, USAGE",
            "schema: tenantry_owner lacks CREATE, USAGE",
        ],
    ),
    "missing default privileges": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE tenantry_owner IN SCHEMA {me} "
        "REVOKE ALL ON TABLES FROM {me}",
        ["entry of default privileges for tables of tenantry_owner is missing"],
    ),
    "default privileges too many": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE tenantry_owner IN SCHEMA {me} "
        "GRANT TRUNCATE ON TABLES TO {me}",
        [
            "entry of default privileges for tables of tenantry_owner: the tenant's role should "
            "not have TRUNCATE"
        ],
    ),
    "default privileges of somebody else": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA {me} "
        "GRANT USAGE ON SEQUENCES TO PUBLIC",
        ["entry of default privileges for sequences of postgres should not be there"],
    ),
    "a role that can do more": (
        'ALTER ROLE "{me}" LOGIN BYPASSRLS',
        ["role has attributes LOGIN NOINHERIT BYPASSRLS, should be NOLOGIN NOINHERIT"],
    ),
    "no role": (
        'DROP OWNED BY "{me}"; DROP ROLE "{me}"',
        [
            "entry of default privileges for tables of tenantry_owner is missing",
            "membership of tenantry_owner in the tenant's role is missing",
            "membership of tenantry_runtime in the tenant's role is missing",
            "role is missing",
            "schema: the tenant's role lacks USAGE",
            "table drift_authors: the tenant's role lacks DELETE, INSERT, SELECT, UPDATE",
            "table drift_things: the tenant's role lacks DELETE, INSERT, SELECT, UPDATE",
            "view drift_names: the tenant's role lacks DELETE, INSERT, SELECT, UPDATE",
        ],
    ),
    "a role that is in another": (
        'GRANT tenantry_registry TO "{me}"',
        ["membership of the tenant's role in tenantry_registry should not be there"],
    ),
    "a role that can be passed on": (
        'GRANT "{me}" TO tenantry_runtime WITH ADMIN OPTION GRANTED BY tenantry_owner',
        [
            "membership of tenantry_runtime in the tenant's role has admin_option true, should be "
            "false"
        ],
    ),
    "a role that nobody can enter": (
        'REVOKE "{me}" FROM tenantry_runtime GRANTED BY tenantry_owner',
        ["membership of tenantry_runtime in the tenant's role is missing"],
    ),
    # Stamps.
    "a stamp that lies": (
        "ALTER TABLE drift_things DROP COLUMN note; DROP INDEX drift_things_share_idx",
        [
            "table drift_things: column note is missing",
            "table drift_things: index drift_things_share_idx is missing",
        ],
    ),
    "a stamp that is too old": (
        "UPDATE alembic_version SET version_num = 'drift_0002' WHERE version_num = 'drift_0003';"
        f"UPDATE {STAMPS} SET revision = 'drift_0002' WHERE tenant_id = '{{id}}'",
        ["table drift_things: column note should not be there"],
    ),
    "a version table that is too old": (
        "UPDATE alembic_version SET version_num = 'drift_0002'",
        ["alembic_version has ['drift_0002'], tenant_stamps has ['drift_0003']"],
    ),
    "a version too many": (
        f"{VERSION} ('drift_0001')",
        ["alembic_version has ['drift_0001', 'drift_0003'], tenant_stamps has ['drift_0003']"],
    ),
    "no stamp": (
        f"DELETE FROM {STAMPS} WHERE tenant_id = '{{id}}'",
        [
            "alembic_version has ['drift_0003'], tenant_stamps has []",
            "function drift_count() should not be there",
            "table drift_authors should not be there",
            "table drift_things should not be there",
            "view drift_names should not be there",
        ],
    ),
    "a revision that nobody knows": (
        "UPDATE alembic_version SET version_num = 'drift_0009';"
        f"UPDATE {STAMPS} SET revision = 'drift_0009' WHERE tenant_id = '{{id}}'",
        ["The module `drift` has no revision `drift_0009` in this release"],
    ),
    "a module that nobody knows": (
        f"{VERSION} ('gone_0001'); INSERT INTO {STAMPS} VALUES ('{{id}}', 'gone', 'gone_0001')",
        ["There is no module `gone`. There are: {modules}"],
    ),
    "a version table that can't be read": (
        "ALTER TABLE alembic_version OWNER TO postgres;"
        "REVOKE ALL ON alembic_version FROM tenantry_owner",
        [
            "alembic_version can't be read: permission denied for table alembic_version",
            "table alembic_version has owner postgres, should be tenantry_owner",
            "table alembic_version: postgres should not have {all}",
            "table alembic_version: tenantry_owner lacks {all}",
        ],
    ),
    "no version table": (
        "DROP TABLE alembic_version",
        [
            'alembic_version can\'t be read: relation "{me}.alembic_version" does not exist',
            "table alembic_version is missing",
        ],
    ),
    "no schema": ('DROP SCHEMA "{me}" CASCADE', ["schema is missing"]),
}
# Harms that can be done only from this version on, and what is said only from version 16 on.
SINCE = {"a NOT NULL that isn't valid": 18}
NEWER = {"membership of tenantry_owner in the tenant's role is missing"}
# What may be different, or is so by a way that a schema may have gone.
HARMLESS = {
    "nothing": "SELECT 1",
    "rows": "INSERT INTO drift_authors VALUES (gen_random_uuid(), 1)",
    "a comment": "COMMENT ON TABLE drift_things IS 'Ours'",
    "storage": "ALTER TABLE drift_things SET (fillfactor = 70, autovacuum_enabled = false)",
    "another order of columns": "ALTER TABLE drift_things DROP COLUMN share;"
    "ALTER TABLE drift_things DROP COLUMN note, ADD COLUMN note text,"
    "ADD COLUMN share numeric(10, 2);"
    "CREATE INDEX drift_things_share_idx ON drift_things (share)",
    "rights that were said once more": "GRANT ALL ON alembic_version TO tenantry_owner;"
    'REVOKE ALL ON drift_things FROM "{me}";'
    'SET LOCAL ROLE tenantry_owner; GRANT SELECT, INSERT ON drift_things TO "{me}";'
    'GRANT DELETE, UPDATE ON drift_things TO "{me}"',
    "what has been NOT NULL in another way": "ALTER TABLE drift_things ADD COLUMN other bigint;"
    "ALTER TABLE drift_things ALTER COLUMN other SET NOT NULL;"
    "ALTER TABLE drift_things DROP COLUMN number;"
    "ALTER TABLE drift_things RENAME COLUMN other TO number;"
    f"ALTER TABLE drift_things ADD CONSTRAINT drift_things_number_check {A_CHECK},"
    "ADD CONSTRAINT drift_things_number_key UNIQUE (number)",
}
