"""Structured logs on standard error: JSON lines in production, readable ones in development.

Ours and the libraries' records take the same way. No record holds a secret or the content of a
message: access lines name the path, not the query, and anything shaped like an API key is
blotted out, whoever logged it.
"""

import logging
import re
import sys
from typing import Any

import orjson
import structlog

from tenants.keys import KEY_IN_TEXT

_KEY = re.compile(KEY_IN_TEXT.pattern.decode())
# Whoever has such a link is let in by it, until it is used.
_LINK = re.compile(r"(?P<page>/accounts/(?:invitations|reset)/)[^\s\"']+")


def set_up_logging(config: dict[str, str]) -> None:
    """Send everything that is logged from now on to standard error.

    config: `log_format`, `json` or `console`, and `level`; a mapping, as Django passes it.
    """
    log_format, level = config["log_format"], config["level"]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderers: list[Any]
    if log_format == "json":
        renderers = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(
                serializer=lambda value, **_options: orjson.dumps(value, default=str).decode()
            ),
        ]
    else:
        # Plain, since the richer tracebacks show local variables, and with them what users said.
        renderers = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *renderers,
                _blot_secrets,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Each names a request's failure once more than the access log does.
    for noisy in ("uvicorn.error", "uvicorn.access", "django.request", "asyncio"):
        logging.getLogger(noisy).setLevel("WARNING" if noisy != "django.request" else "ERROR")


def _blot_secrets(_logger: Any, _method: str, rendered: Any) -> str:
    without_links = _LINK.sub(r"\g<page>[redacted]", rendered)
    return _KEY.sub(lambda match: f"{match[0][:4]}[redacted]", without_links)
