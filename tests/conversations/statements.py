"""The statements that are sent for tenants."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import event

from tenants.db.engine import get_pool
from tenants.db.pool import Pool

Note = Callable[[str, Sequence[Any]], None]


@contextmanager
def noted_statements(note: Note) -> Iterator[None]:
    """Call `note` with each statement and its arguments, but for BEGIN and COMMIT.

    Those that SQLAlchemy executes, and those that the driver does by itself.
    """
    take, give_back = Pool.take, Pool.give_back

    def note_executed(_connection, _cursor, statement, parameters, *_rest):
        note(statement, parameters)

    def note_sent(sent):
        if not sent.query.startswith(("BEGIN", "COMMIT")):
            note(sent.query, sent.args or ())

    async def take_listening(pool, schema=None):
        connection = await take(pool, schema)
        connection.driver.add_query_logger(note_sent)
        return connection

    def give_back_quiet(pool, connection):
        connection.driver.remove_query_logger(note_sent)
        give_back(pool, connection)

    engine = get_pool().engine.sync_engine
    event.listen(engine, "before_cursor_execute", note_executed)
    try:
        with (
            patch.object(Pool, "take", take_listening),
            patch.object(Pool, "give_back", give_back_quiet),
        ):
            yield
    finally:
        event.remove(engine, "before_cursor_execute", note_executed)


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """The statements that are sent for tenants meanwhile, but for BEGIN and COMMIT."""
    statements: list[str] = []
    with noted_statements(lambda statement, _arguments: statements.append(statement)):
        yield statements
