"""Fills a tenant's schema with rows by SQL, many at a time, as its owner.

Ids look as the service's do: they begin with a time, so that new rows are neighbours in an index.
The same call gives the same ids in every schema.
"""

from uuid import UUID

import asyncpg

from benchmarks.messages import SYLLABLES

# In front of what is counted; more than any conversation has messages.
_STEP = 10_000_000
_BATCH = 50_000


async def fill(
    owner: asyncpg.Connection,
    schema: str,
    *,
    conversations: int,
    messages: int,
    calls: int = 0,
    first: int = 1,
    words: int = 40,
) -> list[UUID]:
    """Add so many conversations with so many messages each, and so many calls in each of these.

    first: the number of the first conversation; other calls for this schema must use others.
    words: in a message.
    Returns the conversations' ids, in their order.
    """
    numbers = (first, first + conversations - 1)
    rows = await owner.fetch(_conversations(schema), *numbers, messages, calls)
    for begin in range(1, messages + 1, _BATCH):
        await owner.execute(
            _messages(schema, words),
            *numbers,
            begin,
            min(begin + _BATCH - 1, messages),
            timeout=600,
        )
    if calls:
        await owner.execute(_calls(schema), *numbers, messages, calls, timeout=600)
    return sorted(UUID(int=row["id"].int) for row in rows)


async def settle(owner: asyncpg.Connection, schema: str) -> None:
    """Leave no work of this for later: what autovacuum would do amid the measuring."""
    for table in ("conversations", "messages", "tool_calls"):
        await owner.execute(f"VACUUM (ANALYZE) {schema}.{table}", timeout=600)


def _id(number: str) -> str:
    """A UUIDv7 made of a number in SQL."""
    time, rest = f"lpad(to_hex(1700000000000 + {number}), 12, '0')", f"md5(({number})::text)"
    return f"({time} || '7' || left({rest}, 3) || '8' || right({rest}, 15))::uuid"


def _words(count: int, number: str) -> str:
    """Words that seem to be drawn at random, and are the same for the same number."""
    syllables = ", ".join(f"'{each}'" for each in SYLLABLES)
    drawn = f"hashint8({number} * 64 + w) & 2147483647"
    size = len(SYLLABLES)
    return f"""(
        SELECT string_agg(s[1 + ({drawn}) / {size} % {size}] || s[1 + ({drawn}) % {size}], ' ')
        FROM generate_series(1, {count}) w, (VALUES (ARRAY[{syllables}])) AS syllables (s))"""


def _conversations(schema: str) -> str:
    return f"""
    INSERT INTO {schema}.conversations
        (id, user_id, title, metadata, preview, last_seq, message_count, tool_call_count,
         created_at, updated_at, last_activity_at)
    SELECT {_id(f"n * {_STEP}")}, 'user-' || n % 100, {_words(3, f"(n * {_STEP})")},
        '{{"channel": "web"}}', {_words(20, "n")}, $3::bigint, $3, $3 * $4::bigint,
        now(), now(), now() - n * interval '1 second'
    FROM generate_series($1::bigint, $2::bigint) n
    RETURNING id"""


def _messages(schema: str, words: int) -> str:
    number = f"(n * {_STEP} + m)"
    return f"""
    INSERT INTO {schema}.messages (id, conversation_id, seq, role, text, created_at)
    SELECT {_id(number)}, {_id(f"n * {_STEP}")}, m,
        CASE m % 2 WHEN 1 THEN 'user' ELSE 'assistant' END, {_words(words, number)}, now()
    FROM generate_series($1::bigint, $2::bigint) n, generate_series($3::bigint, $4::bigint) m"""


def _calls(schema: str) -> str:
    number = f"(n * {_STEP} + m)"
    return f"""
    INSERT INTO {schema}.tool_calls (id, conversation_id, message_id, index, call_id, name,
                                     arguments, created_at, updated_at)
    SELECT {_id(f"({number} * 64 + i)")}, {_id(f"n * {_STEP}")}, {_id(number)}, i,
        'call_' || m || '_' || i, 'get_forecast', '{{"city": "Oslo", "days": 2}}', now(), now()
    FROM generate_series($1::bigint, $2::bigint) n, generate_series(1, $3::bigint) m,
        generate_series(0, $4::bigint - 1) i"""
