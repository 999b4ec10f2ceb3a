"""Full-text search over titles and messages.

A message's words were reduced to stems by its language, or kept as they are without one, so the
query is understood once for each language. All of these together look into the index; what they
find must then fit the query of its own language.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Double,
    Select,
    Text,
    Uuid,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    null,
    select,
    tuple_,
    union_all,
    values,
)
from sqlalchemy.dialects.postgresql import REGCONFIG, TSQUERY, TSVECTOR

from conversations.models import LANGUAGES, SEARCHED_CHARACTERS
from conversations.statements.tables import CONVERSATIONS, IS_KEPT, MESSAGE_IS_KEPT, MESSAGES
from tenants.db.statement import CompiledStatement

# In how much of a text a snippet is looked for. It takes time with the square of what is found:
# for a hundred texts of 100,000 characters full of the words it took eight seconds.
SNIPPET_CHARACTERS = 20_000
# Neighbouring pieces of a text share as many characters, so that no words that stand together
# are parted.
_SHARED = 1000
# A text without a known language.
_PLAIN = ""
# Ranks divided by 1 plus the logarithm of the length, so that long texts don't win by that alone.
_BY_LENGTH: Any = literal_column("1")
_TITLE_WORDS = func.to_tsvector(literal_column("'simple'::regconfig"), CONVERSATIONS.c.title)


@cache
def search_statement(given: frozenset[str], *, goes_on: bool) -> CompiledStatement:
    """Up to `limit` hits for `q`, in the syntax of `websearch_to_tsquery`, best first.

    given: which of the filters `user_id`, `agent_id`, `status` and `language` are set; their
    values are bound by their names. goes_on: whether the list begins behind the position
    `after_rank`, `after_id`. `marks`: options for `ts_headline` that say what surrounds a word.
    """
    queries = _queries()
    hits = union_all(_messages(queries, given), _titles(queries, given)).subquery("hits")
    position = tuple_(hits.c.rank, hits.c.id)
    page = select(*hits.c)
    if goes_on:
        after = bindparam("after_rank", type_=Double), bindparam("after_id", type_=Uuid)
        page = page.where(position < tuple_(*after))
    limit = bindparam("limit", type_=BigInteger)
    best = page.order_by(*(part.desc() for part in position.clauses)).limit(limit).subquery("best")
    # Out here, so that it is made for the hits of the page alone.
    piece = _piece(best.c.text, best.c.config, best.c.query)
    marks = bindparam("marks", type_=Text)
    snippet = func.ts_headline(best.c.config, piece, best.c.query, marks, type_=Text)
    shown = ("id", "rank", "conversation_id", "title", "message_id", "seq", "role")
    return CompiledStatement(
        select(*(best.c[name] for name in shown), snippet.label("snippet")).order_by(
            best.c.rank.desc(), best.c.id.desc()
        )
    )


def _piece(text: Any, config: Any, query: Any) -> Any:
    """The first piece of a long text that fits the query by itself, else its beginning."""
    searched = func.left(text, SEARCHED_CHARACTERS)
    starts = range(1, SEARCHED_CHARACTERS + 1, SNIPPET_CHARACTERS - _SHARED)
    pieces = [func.substr(searched, start, SNIPPET_CHARACTERS, type_=Text) for start in starts]
    # CASE looks at one after the other, and at no more than it needs.
    fitting = case(
        *[
            (func.to_tsvector(config, piece, type_=TSVECTOR).bool_op("@@")(query), piece)
            for piece in pieces
        ],
        else_=pieces[0],
    )
    return case((func.length(text) <= SNIPPET_CHARACTERS, text), else_=fitting)


def _queries() -> Any:
    """The query in every language: `language`, `config`, `query`.

    Without those in which it has no word that must be there: they would have to read every text.
    """
    configurations = values(
        column("language", Text), column("config", REGCONFIG), name="configurations"
    ).data(
        [
            (literal_column(f"'{language}'"), literal_column(f"'{name}'::regconfig"))
            for language, name in {_PLAIN: "simple", **LANGUAGES}.items()
        ]
    )
    words = func.websearch_to_tsquery(
        configurations.c.config, bindparam("q", type_=Text), type_=TSQUERY
    )
    every = select(configurations.c.language, configurations.c.config, words.label("query"))
    read = every.subquery("read")
    tree = func.querytree(read.c.query, type_=Text)
    return select(*read.c).where(tree != "", tree != "T").cte("queries").prefix_with("MATERIALIZED")


def _messages(queries: Any, given: frozenset[str]) -> Select[Any]:
    in_parentheses = literal("(").op("||")(cast(queries.c.query, Text)).op("||")(literal(")"))
    # Most languages read most queries alike.
    together = select(
        cast(func.string_agg(in_parentheses.distinct(), literal(" | ")), TSQUERY)
    ).scalar_subquery()
    search = MESSAGES.c.search
    rank = func.ts_rank(search, queries.c.query, _BY_LENGTH)
    found = (
        select(
            MESSAGES.c.id,
            cast(rank, Double).label("rank"),
            MESSAGES.c.conversation_id,
            CONVERSATIONS.c.title,
            MESSAGES.c.id.label("message_id"),
            MESSAGES.c.seq,
            MESSAGES.c.role,
            MESSAGES.c.text,
            queries.c.config,
            queries.c.query,
        )
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .join(queries, queries.c.language == func.coalesce(MESSAGES.c.language, _PLAIN))
        .where(
            search.bool_op("@@")(together),
            search.bool_op("@@")(queries.c.query),
            MESSAGE_IS_KEPT,
            *_conditions(given),
        )
    )
    if "language" in given:
        found = found.where(MESSAGES.c.language == bindparam("language", type_=Text))
    return found


def _titles(queries: Any, given: frozenset[str]) -> Select[Any]:
    plain = queries.alias("plain")
    only = select(plain.c.query).where(plain.c.language == _PLAIN).scalar_subquery()
    weighed = func.setweight(_TITLE_WORDS, literal_column("'A'"), type_=TSVECTOR)
    found = (
        select(
            CONVERSATIONS.c.id,
            cast(func.ts_rank(weighed, queries.c.query, _BY_LENGTH), Double).label("rank"),
            CONVERSATIONS.c.id.label("conversation_id"),
            CONVERSATIONS.c.title,
            cast(null(), MESSAGES.c.id.type).label("message_id"),
            cast(null(), MESSAGES.c.seq.type).label("seq"),
            cast(null(), Text).label("role"),
            CONVERSATIONS.c.title.label("text"),
            queries.c.config,
            queries.c.query,
        )
        .join(queries, queries.c.language == _PLAIN)
        .where(_TITLE_WORDS.bool_op("@@")(only), *_conditions(given))
    )
    if "language" in given:
        found = found.where(CONVERSATIONS.c.language == bindparam("language", type_=Text))
    return found


def _conditions(given: frozenset[str]) -> list[Any]:
    names = sorted(given - {"language"})
    return [IS_KEPT, *(CONVERSATIONS.c[name] == bindparam(name, type_=Text) for name in names)]
