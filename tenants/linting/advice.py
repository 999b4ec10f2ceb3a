"""What each finding says: what is wrong, and what to do instead.

Rules that are not here are squawk's, and speak for themselves.
"""

_CONTRACT = (
    "The previous release runs beside this revision. Let a release go out first that does without "
    "it, then acknowledge this with that release."
)

# Our own rules. docs/revisions.md lists them.
OWN = {
    # What a tenant's schema may not have.
    "own-type": (
        "Only PostgreSQL's own types: an enum, domain or composite type is another one in every "
        "schema, and breaks statements that were prepared in one tenant and run in the next. Use "
        "text and a CHECK."
    ),
    "database-numbers": (
        "No identity, serial or sequence: they order nothing across nodes. Make UUIDs in Python, "
        "and number within a parent row."
    ),
    "missing-primary-key": "Every table needs a primary key: without one it can't be moved.",
    "missing-name": "Name every constraint and index: a later revision can only change what it "
    "can name.",
    "inheritance": "No INHERITS and no partitions: a tenant's schema is the partition.",
    "foreign-key-leaves-module": (
        "A foreign key may lead only to tables of its own module: others can be missing in a "
        "tenant's schema."
    ),
    "named-schema": (
        "Name no schema: the search path holds the tenant's, and a name would lead out of it."
    ),
    "volatile-function": (
        "No volatile function in UPDATE, DELETE, MERGE or a default: nodes would disagree on its "
        "value. Make UUIDs and read clocks in Python; now() is fine."
    ),
    "star-in-view": (
        "Name the view's columns: what * stands for differs between schemas in mid-rollout."
    ),
    "trigger": "No triggers: do in the module's service what the trigger would do.",
    "rewrite-rule": "No rules: do in the module's service what the rule would do.",
    "database-code": (
        "No functions, procedures or DO: the linter can't look into them, and tables made inside "
        "them stay on one node. Write plain statements, or a revision with `online = True`."
    ),
    "rights": (
        "Roles, owners, grants and policies are the engine's: every table gets its rights by "
        "default privileges."
    ),
    "unfit-statement": (
        "This kind of statement has no place in a tenant's schema: what belongs to the whole "
        "database is set up once, and upkeep is not a revision's."
    ),
    # How a revision has to go about it.
    "session-setting": (
        "Set nothing for the session, whose connection is used for other tenants afterwards, and "
        "neither role nor search path, which are the engine's. SET LOCAL may set the rest."
    ),
    "transaction-control": "The transaction is the engine's: it holds the stamps, too.",
    "table-rewrite": (
        "This rewrites the table, while nobody can read it. Add a new column or table instead, and "
        "fill it in batches."
    ),
    "constraint-missing-not-valid": (
        "A CHECK of a new column reads the whole table, while nobody else can. Add the column "
        "first, then the constraint as NOT VALID, and validate it later."
    ),
    "validated-too-soon": (
        "Neighbouring revisions are carried in one transaction, and the one that added this "
        "constraint locks out every reader until its end. Give this revision "
        "`transactional = False`, or put the one that fills in the rows between the two."
    ),
    "rows-in-sql": (
        "Neighbouring revisions are carried in one transaction, so that locks of the others last "
        "as long as this takes. Change rows in a revision with `online = True`, in batches."
    ),
    "concurrently-in-transaction": (
        "CONCURRENTLY can't run in a transaction. Give it a revision of its own, with "
        "`transactional = False`."
    ),
    "outside-not-concurrent": (
        "A revision with `transactional = False` has no lock_timeout and is not undone when it "
        "fails. Only what can wait for others belongs there: CREATE, DROP and REINDEX INDEX "
        "CONCURRENTLY, and VALIDATE CONSTRAINT."
    ),
    "outside-not-repeatable": (
        "Outside a transaction a statement may have happened and be sent again: say IF NOT EXISTS "
        "or IF EXISTS."
    ),
    "outside-several-statements": (
        "Statements sent together are one transaction. Give each an `op.execute` of its own."
    ),
    "outside-without-schema": (
        "Outside a transaction there is no search path. Write `tenant_schema.` before the table, "
        "or before the index that is dropped or rebuilt."
    ),
    # The revision itself.
    "syntax-error": "PostgreSQL can't read this, or it takes parameters, which a rollout has not.",
    "online-revision": (
        "It runs Python, so that only its author can say what it does. It is one transaction for "
        "each tenant: keep it short, and repeatable."
    ),
    "unused-acknowledgement": "It acknowledges a rule that finds nothing here. Take it out.",
    "empty-acknowledgement": (
        "`acknowledged` gives a reason for each rule, of at least three words: who checked what?"
    ),
}
# What squawk finds, where its own words would lead elsewhere than we want to go.
INSTEAD = {
    "ban-drop-column": f"The column is dropped. {_CONTRACT}",
    "ban-drop-table": f"The table is dropped. {_CONTRACT}",
    "ban-drop-constraint": f"The constraint is dropped. {_CONTRACT}",
    "ban-drop-default": f"The default is dropped. {_CONTRACT}",
    "ban-drop-not-null": f"The column may now be empty. {_CONTRACT}",
    "renaming-column": (
        "The column is renamed, and the previous release asks for the old name. Add a column, fill "
        "it, and drop the old one two releases later."
    ),
    "renaming-table": (
        "The table is renamed, and the previous release asks for the old name. Add a table, fill "
        "it, and drop the old one two releases later."
    ),
    "renaming-object": f"The name is changed. {_CONTRACT}",
    "changing-column-type": (
        "Statements that select the column break wherever schemas still differ in its type, and "
        "the table may be rewritten. Add a column of the new type, fill it, and drop the old one "
        "two releases later."
    ),
    "adding-field-with-default": (
        "A generated column, or a default that is no constant, rewrites the table while nobody can "
        "read it. Add the column without, and fill it in batches."
    ),
    "adding-not-nullable-field": (
        "This reads the whole table while nobody else can. Add CHECK (… IS NOT NULL) as NOT VALID, "
        "fill in the rows, then VALIDATE it and SET NOT NULL in one later revision."
    ),
    "require-concurrent-index-creation": (
        "Nothing can be written to the table while the index is built. Build it CONCURRENTLY, in a "
        "revision with `transactional = False`."
    ),
    "require-concurrent-index-deletion": (
        "Dropping an index waits for all who use the table, and lets nobody else in. Drop it "
        "CONCURRENTLY, in a revision with `transactional = False`."
    ),
}
