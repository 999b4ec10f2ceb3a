"""Structured logs on standard error: JSON lines in production, readable ones in development.

Ours and the libraries' records end up in the same lines. No line holds a secret or the content of
a message: access lines name the path, not the query, and anything shaped like an API key is
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

_LEVELS = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}

# Where all lines go, and what makes ours: loggers keep hold of both from their first use on.
_handler = logging.StreamHandler()
_processors: list[Any] = []


class LineLogger:
    """What structlog hands our lines to: it has the name and the level of Python's logger, and
    writes past it, since a record of it that nobody reads costs more than the line."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self.is_enabled_for = logging.getLogger(name).isEnabledFor

    def write(self, line: str) -> None:
        try:
            with _handler.lock:  # type: ignore[union-attr]  # It has one from the beginning.
                _handler.stream.write(line + "\n")
        except (OSError, ValueError):
            pass  # Standard error is closed; a request does not fail for that.

    debug = info = warning = error = critical = write


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
    ]
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
    _processors[:] = [_filter_by_level, *shared, *renderers, _blot_secrets]
    structlog.configure(
        processors=_processors, logger_factory=LineLogger, cache_logger_on_first_use=True
    )
    _handler.setStream(sys.stderr)
    _handler.setFormatter(
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
    root.handlers[:] = [_handler]
    root.setLevel(level)
    # Each names a request's failure once more than the access log does.
    for noisy in ("uvicorn.error", "uvicorn.access", "django.request", "asyncio"):
        logging.getLogger(noisy).setLevel("WARNING" if noisy != "django.request" else "ERROR")


def _filter_by_level(logger: LineLogger, method: str, event: Any) -> Any:
    if not logger.is_enabled_for(_LEVELS[method]):
        raise structlog.DropEvent
    return event


def _blot_secrets(_logger: Any, _method: str, rendered: Any) -> str:
    without_links = _LINK.sub(r"\g<page>[redacted]", rendered)
    return _KEY.sub(lambda match: f"{match[0][:4]}[redacted]", without_links)
