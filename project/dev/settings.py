"""The few settings that are needed before there is a database to name in the others."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "TENANTRY_"
ROOT = Path(__file__).resolve().parent.parent.parent


class EmbeddedSettings(BaseSettings):
    """Where the embedded PostgreSQL lives."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_file=".env", extra="ignore", hide_input_in_errors=True
    )

    data_dir: Path = Field(
        default=ROOT / ".tenantry",
        description="Folder of the embedded PostgreSQL, of what `manage.py dev` generates, and of "
        "the tenants' files, unless they are kept elsewhere.",
    )
    postgres_bin_dir: Path | None = Field(
        default=None,
        description="Folder with PostgreSQL's programs: `pg_dump` and `pg_restore` for backups, "
        "`postgres` and `initdb` for the embedded server. By default the latter's own, and for "
        "backups those on the PATH if they are new enough.",
    )
