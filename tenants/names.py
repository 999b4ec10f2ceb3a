"""What tenants and hosts may be called."""

import re

from tenants.errors import InvalidInput

# `\Z`, since `$` also matches before a final newline.
SLUG_PATTERN = r"\A[a-z0-9](?:[a-z0-9]|-(?!-))*[a-z0-9]\Z"
HOST_PATTERN = r"\A(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}\Z"
SLUG_LENGTH = range(3, 41)
NAME_LENGTH = range(1, 201)

# Host labels that the installation wants for itself, and PostgreSQL's own names.
RESERVED_SLUGS = frozenset(
    {
        "admin",
        "api",
        "app",
        "assets",
        "auth",
        "blog",
        "cdn",
        "console",
        "dashboard",
        "dev",
        "docs",
        "ftp",
        "help",
        "internal",
        "localhost",
        "login",
        "mail",
        "metrics",
        "mx",
        "new",
        "null",
        "openai",
        "operator",
        "operators",
        "postgres",
        "postgresql",
        "private",
        "public",
        "registry",
        "root",
        "signup",
        "smtp",
        "static",
        "status",
        "support",
        "system",
        "tenant",
        "tenantry",
        "tenants",
        "test",
        "undefined",
        "web",
        "webmail",
        "www",
    }
)


def validate_slug(slug: str) -> str:
    """The slug as given. Raises InvalidInput (422), saying what is wrong with it."""
    if len(slug) not in SLUG_LENGTH:
        raise _invalid("slug", "must have 3 to 40 characters")
    if not re.match(SLUG_PATTERN, slug):
        raise _invalid(
            "slug", "may have lower-case letters, digits and single hyphens between them"
        )
    if slug in RESERVED_SLUGS or slug.startswith("pg-"):
        raise _invalid("slug", "is reserved")
    return slug


def validate_name(name: str) -> str:
    """The display name without outer white space. Raises InvalidInput (422)."""
    name = name.strip()
    if len(name) not in NAME_LENGTH:
        raise _invalid("name", "must have 1 to 200 characters")
    if not name.isprintable():
        raise _invalid("name", "has characters that can't be shown")
    return name


def _invalid(field: str, reason: str) -> InvalidInput:
    return InvalidInput(f"The {field} {reason}.", errors=[(field, reason)])
