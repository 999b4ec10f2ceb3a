"""The linter: what it finds in revisions, what it lets pass, and what authors acknowledge."""

import shutil
import sys

import pytest

from tenants.errors import UnknownRevision
from tenants.linting import LintUnavailable, lint_module, lint_revision, squawk
from tenants.linting.advice import INSTEAD, OWN
from tenants.linting.shapes import VOLATILE
from tenants.modules import get_modules
from tests.tenants.throwaway import make_module

# What the revisions of these tests find there: tables that are in use.
FIRST = """
op.execute('CREATE TABLE things (id uuid CONSTRAINT things_pkey PRIMARY KEY, a text, b text)')
op.execute('CREATE TABLE parts (id uuid CONSTRAINT parts_pkey PRIMARY KEY, thing_id uuid)')
""".strip()
OUTSIDE = "transactional = False"
KEY = "id uuid CONSTRAINT t_pkey PRIMARY KEY"


def execute(*statements):
    """The lines of an `upgrade` that runs these."""
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


@pytest.fixture
def lint(tmp_path):
    """Lint a module whose later revisions run these, and return what is found in the last.

    A revision is SQL, a list of it, or a dictionary of arguments for `write_revision`.
    """

    def lint(*revisions, marks=""):
        upgrades = [
            each
            if isinstance(each, dict)
            else execute(each)
            if isinstance(each, str)
            else execute(*each)
            for each in revisions
        ]
        if isinstance(upgrades[-1], str):
            upgrades[-1] = {"upgrade": upgrades[-1], "marks": marks}
        module = make_module(tmp_path, "lint", FIRST, *upgrades)
        return lint_revision(module, f"lint_{len(revisions) + 1:04d}")

    return lint


def rules(findings):
    return {finding.rule for finding in findings}


# Statements by the one rule that they break, on tables that are in use.
WRONG = {
    "own-type": [
        "CREATE TYPE mood AS ENUM ('good', 'bad')",
        "CREATE DOMAIN price AS numeric CONSTRAINT price_check CHECK (value > 0)",
        "CREATE TYPE pair AS (a text, b text)",
        "CREATE TYPE span AS RANGE (subtype = numeric)",
        "ALTER TABLE things ADD COLUMN c mood",
        "ALTER TABLE things ADD COLUMN c mood[]",
        "ALTER TABLE things ADD COLUMN c public.vector(3)",
        "ALTER TABLE things ADD COLUMN c parts",
        "SELECT 'good'::mood",
        f"CREATE TABLE t ({KEY}, c mood)",
    ],
    "database-numbers": [
        f"CREATE TABLE t ({KEY}, c bigserial)",
        f"CREATE TABLE t ({KEY}, c bigint GENERATED ALWAYS AS IDENTITY)",
        "ALTER TABLE things ALTER COLUMN a ADD GENERATED ALWAYS AS IDENTITY",
        "CREATE SEQUENCE numbers",
        "ALTER SEQUENCE numbers RESTART",
    ],
    "missing-primary-key": [
        "CREATE TABLE t (id uuid NOT NULL)",
        "CREATE TABLE t AS SELECT id FROM things",
        "SELECT id INTO t FROM things",
    ],
    "missing-name": [
        "CREATE TABLE t (id uuid PRIMARY KEY)",
        "CREATE TABLE t (id uuid, PRIMARY KEY (id))",
        f"CREATE TABLE t ({KEY}, c text UNIQUE)",
        f"CREATE TABLE t ({KEY}, c text CHECK (c > ''))",
        f"CREATE TABLE t ({KEY}, c uuid REFERENCES things (id))",
        f"CREATE TABLE t ({KEY}, c text, EXCLUDE USING gist (c WITH =))",
        "ALTER TABLE things ADD CHECK (a > '') NOT VALID",
    ],
    "inheritance": [
        f"CREATE TABLE t ({KEY}) INHERITS (things)",
        f"CREATE TABLE t ({KEY}) PARTITION BY HASH (id)",
        "CREATE TABLE t PARTITION OF things (CONSTRAINT t_pkey PRIMARY KEY (id)) DEFAULT",
        "ALTER TABLE things INHERIT parts",
        "ALTER TABLE things ATTACH PARTITION parts DEFAULT",
    ],
    "foreign-key-leaves-module": [
        f"CREATE TABLE t ({KEY}, c uuid CONSTRAINT t_c_fkey REFERENCES others (id))",
        "ALTER TABLE things ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES others (id) NOT VALID",
    ],
    "named-schema": [
        "ALTER TABLE public.things ADD COLUMN c text",
        "ALTER TABLE tenant_schema.things ADD COLUMN c text",
        "SELECT * FROM other.things",
        f"CREATE TABLE public.t ({KEY})",
        f"CREATE TABLE t ({KEY}, c uuid CONSTRAINT t_c_fkey REFERENCES public.things (id))",
        "INSERT INTO things (id) SELECT id FROM public.tenants",
    ],
    "volatile-function": [
        f"CREATE TABLE t ({KEY}, c uuid DEFAULT gen_random_uuid())",
        f"CREATE TABLE t ({KEY}, c timestamptz DEFAULT pg_catalog.clock_timestamp())",
        f"CREATE TABLE t ({KEY}, c text DEFAULT (random() * 10)::text)",
        f"CREATE TABLE t ({KEY}, c uuid DEFAULT public.uuid_generate_v4())",
        "ALTER TABLE things ALTER COLUMN a SET DEFAULT random()::text",
    ],
    "star-in-view": [
        "CREATE VIEW v AS SELECT * FROM things",
        "CREATE VIEW v AS SELECT things.* FROM things",
        "CREATE MATERIALIZED VIEW v AS SELECT * FROM things",
    ],
    "trigger": [
        "CREATE TRIGGER t AFTER INSERT ON things FOR EACH ROW EXECUTE FUNCTION f()",
    ],
    "rewrite-rule": ["CREATE RULE r AS ON DELETE TO things DO INSTEAD NOTHING"],
    "database-code": [
        "DO $$ BEGIN CREATE TABLE t (id uuid); END $$",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'",
        "CALL p()",
    ],
    "rights": [
        "GRANT SELECT ON things TO public",
        "REVOKE ALL ON things FROM public",
        "GRANT a TO b",
        "CREATE ROLE a",
        "ALTER ROLE a LOGIN",
        "ALTER ROLE a SET work_mem = '1GB'",
        "DROP ROLE a",
        "REASSIGN OWNED BY a TO b",
        "ALTER TABLE things OWNER TO a",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO a",
        "ALTER TABLE things ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON things USING (true)",
    ],
    "unfit-statement": [
        "CREATE EXTENSION pg_trgm",
        "CREATE SCHEMA s",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "CREATE DATABASE d",
        "ALTER TABLE things SET SCHEMA s",
        "CREATE PUBLICATION p FOR ALL TABLES",
        "VACUUM things",
        "VACUUM FULL things",
        "LISTEN things",
    ],
    "session-setting": [
        "SET lock_timeout = '3s'",
        "SET LOCAL search_path TO public",
        "SET LOCAL ROLE a",
        "SET SESSION AUTHORIZATION a",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "RESET ALL",
        "DISCARD ALL",
        "SELECT set_config('search_path', 'public', true)",
        "SELECT pg_catalog.set_config('search_path', '', false)",
    ],
    "transaction-control": ["COMMIT", "BEGIN", "ROLLBACK", "SAVEPOINT here"],
    "table-rewrite": [
        "CLUSTER things USING things_pkey",
        "ALTER TABLE things SET UNLOGGED",
        "ALTER TABLE things SET TABLESPACE fast",
        "ALTER TABLE things ALTER COLUMN b SET EXPRESSION AS (a)",
    ],
    "constraint-missing-not-valid": [
        "ALTER TABLE things ADD COLUMN c text CONSTRAINT things_c_check CHECK (c > '')",
        "ALTER TABLE things ADD CONSTRAINT things_a_check CHECK (a > '')",
    ],
    "rows-in-sql": [
        "UPDATE things SET a = now()::text",
        "DELETE FROM things",
        "TRUNCATE things",
        "MERGE INTO things USING parts ON thing_id = things.id WHEN MATCHED THEN DELETE",
        "WITH gone AS (DELETE FROM parts RETURNING id) INSERT INTO things SELECT id FROM gone",
    ],
    "concurrently-in-transaction": [
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS things_a_idx ON things (a)",
        "DROP INDEX CONCURRENTLY IF EXISTS things_a_idx",
        "REINDEX INDEX CONCURRENTLY things_a_idx",
    ],
    "syntax-error": ["ALTER TABLE", "SELECT 'never ends", "UPDATE things SET a = :a"],
    # Squawk's.
    "adding-required-field": ["ALTER TABLE things ADD COLUMN c text NOT NULL"],
    "adding-field-with-default": [
        "ALTER TABLE things ADD COLUMN c text GENERATED ALWAYS AS (lower(a)) STORED",
    ],
    "adding-not-nullable-field": ["ALTER TABLE things ALTER COLUMN a SET NOT NULL"],
    "adding-foreign-key-constraint": [
        "ALTER TABLE parts ADD COLUMN c uuid CONSTRAINT c REFERENCES things (id)"
    ],
    "changing-column-type": ["ALTER TABLE things ALTER COLUMN a TYPE bigint USING a::bigint"],
    "renaming-column": ["ALTER TABLE things RENAME COLUMN a TO c"],
    "renaming-table": ["ALTER TABLE things RENAME TO objects"],
    "renaming-object": ["ALTER TABLE things RENAME CONSTRAINT things_pkey TO things_key"],
    "ban-drop-column": ["ALTER TABLE things DROP COLUMN a"],
    "ban-drop-table": ["DROP TABLE things"],
    "ban-drop-constraint": ["ALTER TABLE things DROP CONSTRAINT things_a_check"],
    "ban-drop-not-null": ["ALTER TABLE things ALTER COLUMN a DROP NOT NULL"],
    "ban-drop-default": ["ALTER TABLE things ALTER COLUMN a DROP DEFAULT"],
    "require-concurrent-index-creation": ["CREATE INDEX things_a_idx ON things (a)"],
    "require-concurrent-index-deletion": ["DROP INDEX things_a_idx"],
    "disallowed-unique-constraint": [
        "ALTER TABLE things ADD COLUMN c text CONSTRAINT things_c_key UNIQUE"
    ],
    "prefer-bigint-over-int": ["ALTER TABLE things ADD COLUMN c integer"],
    "prefer-text-field": [f"CREATE TABLE t ({KEY}, c varchar(30))"],
    "prefer-timestamp-tz": [f"CREATE TABLE t ({KEY}, c timestamp)"],
    "identifier-too-long": [f"ALTER TABLE things ADD COLUMN {'c' * 64} text"],
}
RIGHT = [
    "ALTER TABLE things ADD COLUMN c text",
    "ALTER TABLE things ADD COLUMN c text NOT NULL DEFAULT 'new'",
    "ALTER TABLE things ADD COLUMN c timestamptz DEFAULT now()",
    "ALTER TABLE things ADD COLUMN c jsonb NOT NULL DEFAULT '{}'::jsonb",
    "ALTER TABLE things ADD COLUMN c text[] DEFAULT ARRAY[]::text[], ADD COLUMN d tsvector",
    "ALTER TABLE things ADD COLUMN c numeric(20, 10), ADD COLUMN d double precision",
    "ALTER TABLE things ADD CONSTRAINT things_a_check CHECK (a > '') NOT VALID",
    "ALTER TABLE parts ADD CONSTRAINT c FOREIGN KEY (thing_id) REFERENCES things (id) NOT VALID",
    "ALTER TABLE things ADD CONSTRAINT things_a_key UNIQUE USING INDEX things_a_key",
    "ALTER TABLE things ALTER COLUMN a SET DEFAULT 'new'",
    f"CREATE TABLE t ({KEY}, c smallint, d uuid CONSTRAINT t_d_fkey REFERENCES things (id))",
    f"CREATE TABLE t ({KEY}, c uuid CONSTRAINT t_c_fkey REFERENCES t (id))",
    "CREATE VIEW v AS SELECT a, count(*) FROM things GROUP BY a",
    "CREATE STATISTICS s ON a, b FROM things",
    "COMMENT ON COLUMN things.a IS 'What it is.'",
    "INSERT INTO things (id, a) VALUES ('00000000-0000-0000-0000-000000000001', 'ünï; --')",
    "SELECT relname FROM pg_catalog.pg_class",
    "SET LOCAL lock_timeout = '50ms'",
    "SET LOCAL statement_timeout TO DEFAULT",
    "LOCK TABLE things IN SHARE MODE",
    "DROP TRIGGER old ON things",
]


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """What is found in each of the statements above, in a revision of its own; at one go."""
    statements = [*(each for rule in WRONG for each in WRONG[rule]), *RIGHT]
    upgrades = [execute(each) for each in statements]
    module = make_module(tmp_path_factory.mktemp("tried"), "tried", FIRST, *upgrades)
    found = {f"tried_{number:04d}": [] for number in range(2, len(statements) + 2)}
    for finding in lint_module(module):
        found[finding.revision].append(finding)
    return dict(zip(statements, found.values(), strict=True))


class TestRules:
    @pytest.mark.parametrize(
        ("rule", "statement"), [(rule, each) for rule in WRONG for each in WRONG[rule]]
    )
    def test_what_is_wrong_is_found_and_nothing_else(self, tried, rule, statement):
        assert rules(tried[statement]) == {rule}
        for finding in tried[statement]:
            assert finding.is_open
            assert finding.module == "tried"
            assert finding.statement == statement
            assert finding.message

    @pytest.mark.parametrize("statement", RIGHT)
    def test_what_is_right_is_let_pass(self, tried, statement):
        assert tried[statement] == []

    def test_every_rule_of_ours_is_tried(self):
        outside = {rule for rule in OWN if rule.startswith(("outside-", "validated-"))}
        of_revisions = {"online-revision", "unused-acknowledgement", "empty-acknowledgement"}
        assert set(OWN) == (set(WRONG) & set(OWN)) | outside | of_revisions
        assert set(INSTEAD) <= set(WRONG)

    async def test_what_is_called_volatile_is_so_and_what_gives_uuids_is(self, owner):
        found = await owner.fetch(
            "SELECT proname, provolatile FROM pg_proc"
            " WHERE pronamespace = 'pg_catalog'::regnamespace AND"
            " (proname = ANY($1) OR prorettype = 'uuid'::regtype AND provolatile = 'v')",
            list(VOLATILE),
        )
        assert {row["proname"] for row in found} <= VOLATILE
        assert {row["provolatile"] for row in found} == {b"v"}


class TestNewTables:
    def test_a_table_that_is_made_here_may_be_changed_at_will(self, lint):
        assert (
            lint(
                [
                    "CREATE TABLE t (id uuid NOT NULL, a text, b text)",
                    "ALTER TABLE t ADD CONSTRAINT t_pkey PRIMARY KEY (id)",
                    "ALTER TABLE t ADD COLUMN c text NOT NULL",
                    "ALTER TABLE t ADD CONSTRAINT t_a_fkey FOREIGN KEY (a) REFERENCES things (id)",
                    "ALTER TABLE t ADD CONSTRAINT t_a_key UNIQUE (a)",
                    "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
                    "ALTER TABLE t DROP COLUMN b",
                    "CREATE INDEX t_a_idx ON t (a)",
                    "INSERT INTO t SELECT id, 'a', 'c' FROM things",
                    "UPDATE t SET a = 'b'",
                ]
            )
            == []
        )

    def test_but_not_take_types_and_names_that_are_unwise_for_good(self, lint):
        findings = lint(
            [
                f"CREATE TABLE t ({KEY})",
                "ALTER TABLE t ADD COLUMN c varchar(30)",
                "CREATE INDEX ON t (c)",
            ]
        )
        assert rules(findings) == {"prefer-text-field", "missing-name"}

    def test_from_the_next_revision_on_it_is_in_use(self, lint):
        findings = lint([f"CREATE TABLE t ({KEY}, a text)"], "CREATE INDEX t_a_idx ON t (a)")
        assert rules(findings) == {"require-concurrent-index-creation"}

    def test_the_modules_of_this_project_acknowledge_all_that_is_found_in_them(self):
        findings = [finding for module in get_modules() for finding in lint_module(module)]
        assert [finding for finding in findings if not finding.reason] == []


class TestNotNull:
    ADD = "ALTER TABLE things ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID"
    VALIDATE = "ALTER TABLE things VALIDATE CONSTRAINT c"
    ENFORCE = "ALTER TABLE things ALTER COLUMN a SET NOT NULL"
    ONLINE = {"upgrade": "op.get_bind()", "marks": "online = True"}  # noqa: RUF012

    def test_a_check_that_was_added_before_the_rows_were_filled_is_validated_after_it(self, lint):
        assert lint(self.ADD, self.ONLINE, [self.VALIDATE, self.ENFORCE]) == []

    def test_neighbouring_revisions_are_one_transaction(self, lint):
        findings = lint(self.ADD, "SELECT 1", [self.VALIDATE, self.ENFORCE])
        assert rules(findings) == {"validated-too-soon"}

    def test_so_is_a_revision(self, lint):
        findings = lint([self.ADD, self.VALIDATE])
        assert rules(findings) == {"constraint-missing-not-valid"}

    def test_what_is_validated_outside_a_transaction_is_not(self, lint):
        outside = self.VALIDATE.replace("things", "tenant_schema.things")
        assert lint(self.ADD, outside, marks=OUTSIDE) == []


class TestOutsideTransactions:
    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS things_a_idx ON tenant_schema.things (a)",
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON tenant_schema.things (a)",
            "DROP INDEX CONCURRENTLY IF EXISTS tenant_schema.things_a_idx",
            "REINDEX INDEX CONCURRENTLY tenant_schema.things_a_idx",
            "ALTER TABLE tenant_schema.things VALIDATE CONSTRAINT things_a_check",
        ],
    )
    def test_what_waits_for_others_belongs_there(self, lint, statement):
        assert lint(statement, marks=OUTSIDE) == []

    @pytest.mark.parametrize(
        ("statement", "expected"),
        [
            (
                "CREATE INDEX CONCURRENTLY i ON tenant_schema.things (a)",
                {"outside-not-repeatable"},
            ),
            ("DROP INDEX CONCURRENTLY tenant_schema.i", {"outside-not-repeatable"}),
            (
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON things (a)",
                {"outside-without-schema"},
            ),
            ("DROP INDEX CONCURRENTLY IF EXISTS i", {"outside-without-schema"}),
            (
                "CREATE INDEX IF NOT EXISTS i ON tenant_schema.things (a)",
                {"outside-not-concurrent", "require-concurrent-index-creation"},
            ),
            ("ALTER TABLE tenant_schema.things ADD COLUMN c text", {"outside-not-concurrent"}),
            (
                "REINDEX TABLE CONCURRENTLY tenant_schema.things",
                {"outside-not-concurrent"},
            ),
            ("UPDATE tenant_schema.things SET a = ''", {"outside-not-concurrent"}),
            (
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON other.things (a)",
                {"named-schema"},
            ),
            ("VACUUM tenant_schema.things", {"outside-not-concurrent", "unfit-statement"}),
        ],
    )
    def test_nothing_else_does(self, lint, statement, expected):
        assert rules(lint(statement, marks=OUTSIDE)) == expected

    def test_statements_are_sent_one_by_one(self, lint):
        one, two = (
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name}_idx ON tenant_schema.things ({name})"
            for name in "ab"
        )
        assert lint([one, two], marks=OUTSIDE) == []
        findings = lint(f"{one};\n{two}", marks=OUTSIDE)
        assert [each.rule for each in findings] == ["outside-several-statements"] * 2


class TestFindings:
    def test_each_is_about_its_own_statement(self, lint):
        findings = lint(
            [
                "ALTER TABLE things\n  ADD COLUMN c text,\n  ADD COLUMN d text",
                "ALTER TABLE things DROP COLUMN a; ALTER TABLE parts\nDROP COLUMN thing_id",
                "CREATE INDEX i ON things (b)",
            ]
        )
        assert [(each.rule, each.statement) for each in findings] == [
            ("ban-drop-column", "ALTER TABLE things DROP COLUMN a"),
            ("ban-drop-column", "ALTER TABLE parts DROP COLUMN thing_id"),
            ("require-concurrent-index-creation", "CREATE INDEX i ON things (b)"),
        ]

    def test_comments_give_no_orders_to_squawk(self, lint):
        findings = lint(
            "-- squawk-ignore-file\nALTER TABLE things /* squawk-ignore */ DROP COLUMN a -- ü"
        )
        assert [(each.rule, each.statement) for each in findings] == [
            ("ban-drop-column", "ALTER TABLE things DROP COLUMN a")
        ]

    def test_what_cannot_be_read_does_not_hide_what_follows(self, lint):
        findings = lint(["SELECT 'never ends", "ALTER TABLE things DROP COLUMN a"])
        assert [each.rule for each in findings] == ["syntax-error", "ban-drop-column"]
        assert "unterminated quoted string" in findings[0].message

    def test_alembics_operations_are_read_as_they_are_rendered(self, tmp_path):
        module = make_module(
            tmp_path,
            "ops",
            FIRST,
            "op.alter_column('things', 'a', type_=sa.BigInteger())\n"
            "op.drop_column('things', 'b')\n"
            "op.create_index('things_b_idx', 'things', ['b'])\n"
            "op.add_column('things', sa.Column('c', sa.Enum('x', 'y', name='letters')))",
        )
        assert rules(lint_module(module)) == {
            *("changing-column-type", "ban-drop-column", "require-concurrent-index-creation"),
            "own-type",
        }

    def test_a_long_statement_is_cut_short(self, lint):
        (finding,) = lint(f"COMMENT ON TABLE public.things IS '{'word ' * 100}'; DROP TABLE things")
        assert finding.statement == "DROP TABLE things"
        (finding,) = lint(f"DELETE FROM things WHERE a = '{'word ' * 100}'")
        assert len(finding.statement) <= 160
        assert finding.statement.endswith(" …")

    def test_the_way_down_is_its_authors_affair(self, lint):
        assert lint({"upgrade": "pass", "downgrade": "op.drop_table('things')"}) == []

    def test_python_is_a_note_and_nothing_to_mend(self, lint):
        (finding,) = lint({"upgrade": "raise LookupError", "marks": "online = True"})
        assert (finding.rule, finding.is_note, finding.is_open) == ("online-revision", True, False)
        assert finding.statement == ""

    def test_a_revision_that_is_not_there(self, tmp_path):
        with pytest.raises(UnknownRevision):
            lint_revision(make_module(tmp_path, "none", "pass"), "none_0007")


class TestAcknowledgements:
    DROP = "ALTER TABLE things DROP COLUMN a"

    def test_a_finding_stays_on_record_with_its_reason(self, lint):
        reason = "Nothing reads it since release 1.4."
        (finding,) = lint(self.DROP, marks=f"acknowledged = {{'ban-drop-column': {reason!r}}}")
        assert (finding.rule, finding.reason, finding.is_open) == ("ban-drop-column", reason, False)

    def test_one_that_is_of_no_use_is_a_finding(self, lint):
        findings = lint("SELECT 1", marks="acknowledged = {'ban-drop-colum': 'It is not used.'}")
        assert [each.rule for each in findings] == ["unused-acknowledgement"]
        assert findings[0].message.startswith("ban-drop-colum: ")
        assert findings[0].is_open

    @pytest.mark.parametrize("reason", ["", "   ", "ok", "not used", None, 7])
    def test_one_without_a_reason_is_a_finding_and_acknowledges_nothing(self, lint, reason):
        findings = lint(self.DROP, marks=f"acknowledged = {{'ban-drop-column': {reason!r}}}")
        assert [each.rule for each in findings] == ["ban-drop-column", "empty-acknowledgement"]
        assert all(each.is_open for each in findings)

    def test_a_list_of_rules_is_not_one(self, lint):
        findings = lint(self.DROP, marks="acknowledged = ['ban-drop-column']")
        assert rules(findings) == {"ban-drop-column", "empty-acknowledgement"}


class TestUnavailable:
    """A machine that only serves hasn't the extra."""

    def test_without_the_parser(self, tmp_path, monkeypatch):
        for name in [name for name in sys.modules if name.startswith("tenants.linting.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "pglast", None)
        with pytest.raises(LintUnavailable, match=r"pip install 'tenantry\[lint\]'"):
            lint_module(make_module(tmp_path, "bare", "pass"))

    def test_without_squawk(self, tmp_path, monkeypatch):
        monkeypatch.setattr(shutil, "which", lambda *_args, **_options: None)
        with pytest.raises(LintUnavailable, match=r"pip install 'tenantry\[lint\]'"):
            lint_module(make_module(tmp_path, "bare", "pass"))

    def test_a_squawk_that_fails_is_not_taken_for_content(self, tmp_path, monkeypatch):
        monkeypatch.setattr(squawk, "_POSTGRESQL", "none")
        with pytest.raises(LintUnavailable, match=r"squawk can't be run: .+"):
            lint_module(make_module(tmp_path, "bare", "pass"))
