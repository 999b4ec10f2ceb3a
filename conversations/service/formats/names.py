"""Ids and names as providers accept them.

Ours allow more. What a provider would refuse is replaced by something that is always the same for
the same id, so that calls and outputs still find each other.
"""

import re
from hashlib import blake2b

_REFUSED = re.compile(r"[^a-zA-Z0-9_-]")


def fit_call_id(call_id: str, *, longest: int, any_character: bool) -> str:
    """The id itself, or one of 37 letters and digits in its place.

    longest: in characters, 37 or more. any_character: whether more than letters, digits, `_` and
    `-` may stand in it.
    """
    if len(call_id) <= longest and (any_character or not _REFUSED.search(call_id)):
        return call_id
    return f"call_{blake2b(call_id.encode(), digest_size=16).hexdigest()}"


def fit_name(name: str, *, longest: int) -> str:
    """The name of a tool, of letters, digits, `_` and `-`, as each provider wants it."""
    return _REFUSED.sub("_", name)[:longest]
