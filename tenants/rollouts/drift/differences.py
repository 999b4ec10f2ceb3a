"""Says in sentences what differs between the lines of two schemas."""

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

# Kind, table, name; and then properties and rights. See `tenants.rollouts.drift.structure`.
_Key = tuple[str, str | None, str | None]
_Content = tuple[dict[str, Any], dict[str, list[str]]]


def describe_differences(found: frozenset[str], expected: frozenset[str]) -> tuple[str, ...]:
    """What is missing, what should not be there, and what is otherwise than it should be.

    Of a table that is missing, or that should not be there, the parts aren't named; nor is the
    index of such a constraint.
    """
    actual, wanted = _parse(found - expected), _parse(expected - found)
    sentences = []
    for keys, verdict in (
        (wanted.keys() - actual.keys(), "is missing"),
        (actual.keys() - wanted.keys(), "should not be there"),
    ):
        sentences += [f"{_name(key)} {verdict}" for key in keys if not _is_a_part(key, keys)]
    for key in wanted.keys() & actual.keys():
        sentences += _compare(_name(key), actual[key], wanted[key])
    return tuple(sorted(sentences))


def _parse(lines: Iterable[str]) -> dict[_Key, _Content]:
    things = (json.loads(line) for line in lines)
    return {
        (kind, table, name): (properties, rights or {})
        for kind, table, name, properties, rights in things
    }


def _name(key: _Key) -> str:
    kind, table, name = key
    return f"{f'table {table}: ' if table else ''}{kind}{f' {name}' if name else ''}"


def _is_a_part(key: _Key, others: Collection[_Key]) -> bool:
    kind, table, name = key
    if kind == "index" and ("constraint", table, name) in others:
        return True
    return table is not None and any(other[1:] == (None, table) for other in others)


def _compare(name: str, found: _Content, wanted: _Content) -> Iterator[str]:
    (properties, rights), (right_properties, right_rights) = found, wanted
    for title in {*properties, *right_properties}:
        is_, should_be = properties.get(title, "none"), right_properties.get(title, "none")
        if is_ != should_be:
            yield f"{name} has {title} {_show(is_)}, should be {_show(should_be)}"
    for role in {*rights, *right_rights}:
        has, should_have = set(rights.get(role, ())), set(right_rights.get(role, ()))
        if has - should_have:
            yield f"{name}: {role} should not have {', '.join(sorted(has - should_have))}"
        if should_have - has:
            yield f"{name}: {role} lacks {', '.join(sorted(should_have - has))}"


def _show(value: Any) -> str:
    """On one line, whatever it is."""
    return " ".join(value.split()) if isinstance(value, str) else json.dumps(value)
