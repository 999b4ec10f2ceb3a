"""The log as it is written."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

from django.conf import settings

from project.logging import set_up_logging


@contextmanager
def log_as_production(level: str) -> Iterator[StringIO]:
    """What is logged while the block runs, in JSON lines."""
    root = logging.getLogger()
    handlers, root_level = root.handlers[:], root.level
    set_up_logging({"log_format": "json", "level": level})
    written = StringIO()
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    try:
        yield written
    finally:
        set_up_logging(settings.LOGGING)
        root.handlers[:] = handlers
        root.setLevel(root_level)
