"""The cursor of the peers' lists: the last item's position, and nothing else."""

import base64
from typing import Any

import orjson


def encode_cursor(first: Any, key: Any) -> str:
    """key: a UUID; the driver's is a subclass, which orjson doesn't take for one."""
    return base64.urlsafe_b64encode(orjson.dumps([first, str(key)])).rstrip(b"=").decode()
