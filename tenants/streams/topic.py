"""What a stream can wait for."""

from typing import NamedTuple


class Topic(NamedTuple):
    """A thing in a tenant. kind: one that a module has registered with `Hub.looks`."""

    kind: str
    name: str
