"""Server-sent events as bytes.

Source: WHATWG HTML, section 9.2, "Server-sent events".
"""

# A comment: readers pass over it, and a connection that has died shows itself.
KEEP_ALIVE = b":\n\n"


def encode_event(name: str, data: bytes, event_id: str | None = None) -> bytes:
    """One event. data: JSON. event_id: what a reader sends as `Last-Event-ID` to go on from here.

    Neither name nor id has a line break.
    """
    head = f"event: {name}\n"
    if event_id is not None:
        head += f"id: {event_id}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data.replace(b"\n", b"\ndata: "))


def encode_retry(seconds: float) -> bytes:
    """How long a reader waits before it connects again."""
    return b"retry: %d\n\n" % (seconds * 1000)
