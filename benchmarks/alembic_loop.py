"""The peer that loops: Alembic's own upgrade for one schema after another.

It is the cookbook's recipe for schemas of tenants (one connection, `search_path` set to the schema,
an `alembic_version` in each), without what would only cost it: the scripts are read once for all.
"""

from collections.abc import Sequence
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text


def upgrade_schemas(url: str, schemas: Sequence[str], revision: str) -> None:
    """Carry each schema to a revision of the modules that are loaded."""
    _run(url, schemas, revision, down=False)


def downgrade_schemas(url: str, schemas: Sequence[str], revision: str) -> None:
    _run(url, schemas, revision, down=True)


def _run(url: str, schemas: Sequence[str], revision: str, *, down: bool) -> None:
    from tenants.modules import get_modules

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    folders = [str(module.revisions) for module in get_modules()]
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(folders))
    script = ScriptDirectory.from_config(config)

    def list_steps(current: object, _context: MigrationContext) -> object:
        if down:
            return script._downgrade_revs(revision, current)
        return script._upgrade_revs(revision, current)

    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        for schema in schemas:
            connection.execute(text(f'SET search_path TO "{schema}"'))
            connection.commit()
            connection.dialect.default_schema_name = schema
            with EnvironmentContext(config, script, fn=list_steps) as environment:
                environment.configure(connection=connection)
                with environment.begin_transaction():
                    environment.run_migrations()
    engine.dispose()
