"""The settings: one typed model read from the environment, and Django's made from it.

Every setting is an environment variable with the prefix `TENANTRY_`, or a line of a `.env` file
in the working directory. All mistakes are reported at once. `docs/settings.md` lists them.
"""

import importlib
import os
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Literal
from urllib.parse import unquote

from django.core.exceptions import ImproperlyConfigured
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource
from sqlalchemy.engine import make_url

from project import admin_theme
from project.dev.settings import ENV_PREFIX, EmbeddedSettings
from project.mail import MailSettings, django_mail
from tenants.settings import EngineSettings, JsonList, JsonObject


class Settings(EmbeddedSettings, MailSettings, EngineSettings):
    """Everything that an installation can choose."""

    environment: Literal["development", "production"] = Field(
        default="development",
        description="`production` demands a secret key and refuses the debug flag.",
    )
    debug: bool = Field(
        default=False, description="Django's debug pages in the admin; never in production."
    )
    secret_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        validate_default=True,
        description="Signs sessions; at least 32 random characters. Required in production; "
        "`manage.py dev` makes its own.",
    )
    trust_proxy_headers: bool = Field(
        default=False,
        description="Take host, scheme and client address from `X-Forwarded-*`. Only behind a "
        "proxy that sets them itself.",
    )
    max_body_bytes: int = Field(
        default=4 * 1024 * 1024, ge=1024, description="Largest request body that is accepted."
    )
    head_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        description="How long a request's line and headers may take to arrive, and a new "
        "connection to begin one.",
    )
    body_timeout_seconds: float = Field(
        default=30.0, gt=0, description="How long a request body may take to arrive."
    )
    max_upload_bytes: int = Field(
        default=26 * 1024 * 1024,
        ge=1024,
        description="Largest body of an upload (multipart/form-data), the form's own lines "
        "included. What is beyond 1 MiB is written to a temporary file meanwhile, in `TMPDIR`.",
    )
    upload_timeout_seconds: float = Field(
        default=120.0, gt=0, description="How long an upload may take to arrive."
    )
    file_storage: str = Field(
        default="tenants.storage.DiskStorage",
        description="The Django storage that keeps the tenants' files, by its dotted path, such as "
        "`storages.backends.s3.S3Storage` (`pip install 'tenantry[s3]'`). By default a folder.",
    )
    file_storage_options: JsonObject = Field(
        default={},
        description="What that storage is made with, as a JSON object such as "
        '`{"bucket_name": "files"}`; for the folder, `location` names another than '
        "`<data_dir>/attachments`.",
    )
    drain_delay_seconds: float = Field(
        default=5.0,
        ge=0,
        description="After SIGTERM, how long `/readyz` fails while requests are still accepted, "
        "for load balancers to notice.",
    )
    shutdown_timeout_seconds: float = Field(
        default=20.0, gt=0, description="After the drain, how long running requests may take."
    )
    log_format: Literal["json", "console"] | None = Field(
        default=None,
        description="Shape of log lines; by default `json` in production, else `console`.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severity that is logged."
    )

    @field_validator("debug", "secret_key")
    @classmethod
    def _is_safe_in_production(cls, value: Any, info: ValidationInfo) -> Any:
        # By field, since a check of the whole model would wait until all else is right.
        if info.data.get("environment") == "production":
            if info.field_name == "debug" and value:
                raise ValueError("must be off in production")
            if info.field_name == "secret_key" and value is None:
                raise ValueError("is required in production")
        return value


def load_settings() -> Settings:
    """Read the settings. Raises ImproperlyConfigured that lists every mistake, a line each."""
    models: list[type[BaseSettings]] = [Settings]
    models += find_module_settings(_read_module_packages())
    problems = [problem for model in models for problem in _find_mistakes(model)]
    problems += [f"{name}: there is no such setting" for name in _find_unknown(models)]
    if problems:
        raise ImproperlyConfigured("\n".join(problems))
    return Settings()


def find_module_settings(packages: Iterable[str]) -> list[type[BaseSettings]]:
    """The settings models of modules, from the `settings.py` of each, which needs no Django."""
    found = []
    for package in packages:
        try:
            source = importlib.import_module(f"{package}.settings")
        except (ImportError, TypeError):  # It has none; a package that isn't there shows later.
            continue
        found += [
            value
            for value in vars(source).values()
            if isinstance(value, type)
            and issubclass(value, BaseSettings)
            and value.__module__ == source.__name__
        ]
    return found


def _read_module_packages() -> list[str]:
    class Named(BaseSettings):
        model_config = Settings.model_config
        modules: JsonList = Settings.model_fields["modules"].default

    try:
        return Named().modules
    except ValidationError:
        default: list[str] = Settings.model_fields["modules"].default
        return default


def _find_mistakes(model: type[BaseSettings]) -> list[str]:
    try:
        model()
    except ValidationError as error:
        return [
            f"{name_variable(model, str(problem['loc'][0]))}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
    return []


def _find_unknown(models: Sequence[type[BaseSettings]]) -> list[str]:
    """Names with our prefix that no setting has: misspelt, they would silently do nothing."""
    known = {name_variable(model, field) for model in models for field in model.model_fields}
    given = {name.upper() for name in (*os.environ, *DotEnvSettingsSource(Settings).env_vars)}
    return sorted(name for name in given - known if name.startswith(ENV_PREFIX))


def name_variable(model: type[BaseSettings], field: str) -> str:
    """The environment variable of a setting."""
    return f"{model.model_config['env_prefix']}{field}".upper()


def _django_database(url: SecretStr) -> dict[str, Any]:
    parts = make_url(url.get_secret_value())
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.database,
        "USER": parts.username,
        "PASSWORD": parts.password or "",
        # A socket folder stands in the query, or percent-encoded in the host's place.
        "HOST": unquote(parts.host or "") or parts.query.get("host", ""),
        "PORT": str(parts.port or parts.query.get("port", "")),
        "OPTIONS": {
            key: value for key, value in parts.query.items() if key not in {"host", "port"}
        },
    }


TENANTRY = load_settings()

# Django's settings, made from the above.

SECRET_KEY = (
    # Without one, sessions end with the process; production refuses to start.
    TENANTRY.secret_key.get_secret_value() if TENANTRY.secret_key else secrets.token_urlsafe(48)
)
DEBUG = TENANTRY.debug
_IN_PRODUCTION = TENANTRY.environment == "production"
# The gateway (`project/asgi.py`) has compared the host with the base domain and the Domain rows
# before any view runs; Django's own list can't know those rows.
ALLOWED_HOSTS = ["*"]
USE_X_FORWARDED_HOST = False

INSTALLED_APPS = [
    "unfold",  # Before the admin, whose templates it replaces.
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "ninja",  # Brings the API docs' scripts, so that they work offline.
    "tenants",
    "project",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
DATABASES = {"default": _django_database(TENANTRY.registry_url)}
ROOT_URLCONF = "project.urls"
AUTH_USER_MODEL = "tenants.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = LOGOUT_REDIRECT_URL = "accounts:login"
LOGIN_REDIRECT_URL = "accounts:home"
PASSWORD_RESET_TIMEOUT = 3 * 60 * 60
CSRF_FAILURE_VIEW = "tenants.accounts.pages.refuse_form"
# Which ones there are depends on the mail server.
globals().update(django_mail(TENANTRY, TENANTRY.data_dir, in_production=_IN_PRODUCTION))
DEFAULT_FROM_EMAIL = TENANTRY.email_from or f"Tenantry <tenantry@{TENANTRY.base_domain}>"
STATIC_URL = "/static/"
# Files are served from the packages that bring them; there is no collection step to forget.
SERVESTATIC_USE_FINDERS = True
# Readable by the service's account alone.
_DISK = {
    "location": TENANTRY.data_dir / "attachments",
    "directory_permissions_mode": 0o700,
    "file_permissions_mode": 0o600,
}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "tenants": {
        "BACKEND": TENANTRY.file_storage,
        "OPTIONS": (_DISK if TENANTRY.file_storage == "tenants.storage.DiskStorage" else {})
        | TENANTRY.file_storage_options,
    },
}
TIME_ZONE = "UTC"
USE_TZ = True
# Where `tenants/sessions.py` reads them.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _IN_PRODUCTION
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
# A page's own script reads it, to send it back in the header `X-CSRFToken`.
CSRF_COOKIE_HTTPONLY = False
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if TENANTRY.trust_proxy_headers else None
)
SECURE_CONTENT_TYPE_NOSNIFF = True
UNFOLD = admin_theme.UNFOLD
# Commands log what goes wrong; a server sets its own level when it starts.
LOGGING_CONFIG = "project.logging.set_up_logging"
LOGGING = {"log_format": "console", "level": "WARNING"}
