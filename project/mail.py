"""How mail leaves the service: its two settings, Django's made from them, and what stands in for
a mail server where there is none."""

from collections.abc import Sequence
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ValidationError
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage
from django.core.validators import validate_email
from pydantic import BaseModel, Field, SecretStr, field_validator

_EXAMPLE = "smtp://user:password@mail.example.com:587"
_PORTS = {"smtp": 587, "smtps": 465}
# In the clear, which is for a mail server on the same machine.
_WITHOUT_TLS = "tls=off"
# A mail server that doesn't answer holds up a request for no longer.
_TIMEOUT_SECONDS = 10


class MailSettings(BaseModel):
    """Where mails go out, and from whom they come."""

    email_url: SecretStr | None = Field(
        default=None,
        description="Mail server: `smtp://user:password@host:587` (STARTTLS; with `?tls=off` in "
        "the clear) or `smtps://…` (TLS). Without it mails are written to `<data_dir>/mail/` in "
        "development; in production none is sent, so passwords can't be reset, and invitations "
        "say so.",
    )
    email_from: str | None = Field(
        default=None,
        description="Sender of mails, such as `Acme <acme@example.com>`; by default "
        "`tenantry@<base domain>`.",
    )

    @field_validator("email_url")
    @classmethod
    def _is_mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _check_url(value.get_secret_value())
        return value

    @field_validator("email_from")
    @classmethod
    def _is_sender(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                validate_email(parseaddr(value)[1] if value.isprintable() else "")
            except ValidationError:
                raise ValueError("must be an address such as Acme <acme@example.com>") from None
        return value


class NoServer(BaseEmailBackend):
    """Sends nothing, and says so with the error that a mail server out of reach would give."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        raise OSError("no mail server is configured: set TENANTRY_EMAIL_URL")


def django_mail(settings: MailSettings, data_dir: Path, *, in_production: bool) -> dict[str, Any]:
    """Django's own settings. In development without a server, mails become files to look at."""
    if settings.email_url is not None:
        return _django_server(settings.email_url.get_secret_value())
    if in_production:
        return {"EMAIL_BACKEND": "project.mail.NoServer"}
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend",
        "EMAIL_FILE_PATH": data_dir / "mail",
    }


def _django_server(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or _PORTS[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp" and parts.query != _WITHOUT_TLS,
        "EMAIL_TIMEOUT": _TIMEOUT_SECONDS,
    }


def _check_url(url: str) -> None:
    """Raises ValueError, saying what is wrong with a mail server's URL and not what it was."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # A port that is no number, or brackets that don't match.
        raise ValueError(f"is not a URL such as {_EXAMPLE}") from None
    if parts.scheme not in _PORTS:
        raise ValueError(f"must begin with smtp:// (STARTTLS) or smtps:// (TLS), as in {_EXAMPLE}")
    if not parts.hostname or port == 0 or parts.path not in {"", "/"} or parts.fragment:
        raise ValueError(f"must name a host, a port if need be and nothing else, as in {_EXAMPLE}")
    if bool(parts.username) != bool(parts.password):
        raise ValueError("must have both user and password, or neither")
    if parts.query and (parts.query != _WITHOUT_TLS or parts.scheme != "smtp"):
        raise ValueError(f"may end with ?{_WITHOUT_TLS} after smtp:// alone, and with nothing else")
