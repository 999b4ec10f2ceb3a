"""Statements that are compiled once and handed to the driver as they are.

SQLAlchemy spends several times as much processor time on executing a statement and on making
its rows as asyncpg does. The few statements that carry most of the traffic go past that: written
in Core like all others, run by `ReadSession.fetch`.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql import asyncpg as dialects
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine


def dump_json(value: Any) -> str:
    return orjson.dumps(value).decode()


_DIALECT = cast(Any, dialects.PGDialect_asyncpg)(json_serializer=dump_json)


class CompiledStatement:
    """A Core statement with what it takes to run it.

    Its parameters are bound by name, `bindparam("limit", type_=BigInteger)`, and get their values
    at each run; only plain values, such as a status, may stand in it as constants.
    is_shared: whether tenants share one prepared statement on a connection, for what is seldom
    asked of each. A tenant's own is planned once, and takes memory.
    """

    def __init__(self, statement: ClauseElement, *, is_shared: bool = False) -> None:
        self.is_shared = is_shared
        compiled = statement.compile(dialect=_DIALECT)
        assert isinstance(compiled, SQLCompiler)
        assert not compiled.post_compile_params  # `IN` with a list of values: write it out.
        self.sql = compiled.string
        names = compiled.positiontup or ()
        required = {name for name, bind in compiled.binds.items() if bind.required}
        # The arguments with their constants in place, and where the values go.
        constants = compiled.construct_params(dict.fromkeys(required))
        self._arguments = [constants[name] for name in names]
        self._places = [
            (place, name, _processor(compiled.binds[name].type))
            for place, name in enumerate(names)
            if name in required
        ]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of `$1, $2, …`. Raises KeyError if one is missing."""
        arguments = self._arguments.copy()
        for place, name, process in self._places:
            arguments[place] = values[name] if process is None else process(values[name])
        return arguments


def _processor(kind: TypeEngine[Any]) -> Callable[[Any], Any] | None:
    """What makes a value of this type into one that the driver takes, if anything has to."""
    return kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)
