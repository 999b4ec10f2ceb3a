"""Full-text search: what is found, in which order, and how it is shown."""

import pytest

from tests.conversations.statements import counted_statements
from tests.conversations.test_repeats import hide
from tests.conversations.test_router import append, ids, read, start, user, walk


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file: its tests search for words of their own."""
    return await make_tenant()


async def find(api, q, **query):
    return (await read(api, "/search", q=q, **query))["data"]


def words(hit):
    return [part["text"] for part in hit["snippet"] if part["highlighted"]]


def whole(hit):
    return "".join(part["text"] for part in hit["snippet"])


async def test_a_message_is_found_with_where_it_stands(api):
    conversation = await start(
        api, title="Norway", messages=[user("Hello"), user("Will it drizzle in Tromso today?")]
    )

    (hit,) = await find(api, "DRIZZLE")

    message = conversation["messages"][1]
    assert hit["conversation_id"] == conversation["id"]
    assert (hit["message_id"], hit["seq"], hit["role"]) == (message["id"], 2, "user")
    assert hit["title"] == "Norway"
    assert whole(hit) == "Will it drizzle in Tromso today?"
    assert words(hit) == ["drizzle"]
    assert hit["rank"] > 0


async def test_a_title_is_found_and_ranks_above_a_message(api):
    conversation = await start(api, title="About quokkas", messages=[user("I saw two quokkas.")])

    title, message = await find(api, "quokkas")

    assert title["conversation_id"] == message["conversation_id"] == conversation["id"]
    assert (title["message_id"], title["seq"], title["role"]) == (None, None, None)
    assert (whole(title), words(title)) == ("About quokkas", ["quokkas"])
    assert title["rank"] > message["rank"]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("amber", ["one", "two"]),
        ("amber beryl", ["one"]),
        ("beryl amber", ["one"]),
        ('"amber beryl"', ["one"]),
        ('"beryl amber"', []),
        ("beryl or citrine", ["one", "two"]),
        ("amber -beryl", ["two"]),
        ('amber -"amber beryl"', ["two"]),
        ("amb", []),
        ("AMBER Citrine", ["two"]),
        ("amber & | ! ( citrine", ["two"]),
        ("-amber", []),
        ("amber or -beryl", []),
        ("!!! ...", []),
        ('"', []),
        ('""" -', []),
    ],
)
async def test_the_words_of_a_query_are_understood_as_on_the_web(api, q, found):
    if not await find(api, "amber"):
        await start(api, title="one", messages=[user("amber beryl")])
        await start(api, title="two", messages=[user("amber and citrine")])

    assert sorted(hit["title"] for hit in await find(api, q)) == found


async def test_stems_are_found_where_the_language_is_known(api):
    english = await start(api, language="en", messages=[user("The gazelles were running")])
    german = await start(api, language="de", messages=[user("Zwei Gazellen rannten, drei Häuser")])
    unknown = await start(api, messages=[user("gazelles running")])

    def of(hits):
        return sorted(hit["conversation_id"] for hit in hits)

    assert of(await find(api, "gazelle run")) == [english["id"]]
    assert of(await find(api, "gazelles running")) == sorted([english["id"], unknown["id"]])
    assert of(await find(api, "Haus")) == [german["id"]]
    assert of(await find(api, "gazelles", language="en")) == [english["id"]]
    assert of(await find(api, "gazelles", language="fr")) == []
    (hit,) = await find(api, "the run gazelle")
    assert words(hit) == ["gazelles", "running"]


async def test_another_language_holds_for_the_messages_of_before(api):
    conversation = await start(api, messages=[user("the pangolins were hiding")])
    path = f"/conversations/{conversation['id']}"
    assert await find(api, "pangolin hide") == []

    await api.patch(path, json={"language": "en"})
    (hit,) = await find(api, "pangolin hide", language="en")
    assert words(hit) == ["pangolins", "hiding"]

    await api.patch(path, json={"language": None})
    assert await find(api, "pangolin hide") == []
    assert len(await find(api, "pangolins hiding")) == 1


async def test_words_of_every_script_are_found(api):
    for content in ("Привет, дорогой мир", "שלום עולם", "今日は 雨です", "cafe\u0301 Ångström"):
        await start(api, title=content[:3], messages=[user(content)])

    assert [words(hit) for hit in await find(api, "дорогой")] == [["дорогой"]]
    assert len(await find(api, "שלום")) == 1
    assert len(await find(api, "雨です")) == 1
    assert len(await find(api, "ångström")) == 1


async def test_filters_hold_for_the_conversation_of_a_hit(api):
    ann = await start(api, user_id="ann", agent_id="x", title="zebra", messages=[user("zebra")])
    bob = await start(api, user_id="bob", title="zebra", messages=[user("zebra")])
    await api.post(f"/conversations/{bob['id']}/archive")

    for query, wanted in [
        ({"user_id": "ann"}, ann),
        ({"agent_id": "x"}, ann),
        ({"status": "active"}, ann),
        ({"status": "archived"}, bob),
        ({"user_id": "bob", "status": "archived"}, bob),
    ]:
        hits = await find(api, "zebra", **query)
        assert [hit["conversation_id"] for hit in hits] == [wanted["id"]] * 2
    assert await find(api, "zebra", user_id="bob", agent_id="x") == []


async def test_what_is_deleted_is_not_found(api, tenant):
    gone = await start(api, title="walrus", messages=[user("walrus")])
    kept = await start(api, title="walrus", messages=[user("a walrus"), user("this walrus")])
    await api.delete(f"/conversations/{gone['id']}")
    await hide(tenant, "messages", kept["messages"][0])

    hits = await find(api, "walrus")

    assert [(hit["conversation_id"], hit["seq"]) for hit in hits] == [
        (kept["id"], None),
        (kept["id"], 2),
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_a_walk_shows_every_hit_once_the_best_first(api, limit):
    name = f"okapi{limit}"
    texts = [name, f"{name} {name}", *[f"{name} and more words around it"] * 5]
    conversation = await start(api, messages=[user(each) for each in texts])

    hits = await walk(api, "/search", q=name, limit=limit)

    assert sorted(hit["message_id"] for hit in hits) == sorted(ids(conversation["messages"]))
    ranks = [hit["rank"] for hit in hits]
    assert ranks == sorted(ranks, reverse=True)
    # Among equals the newest is first.
    assert [hit["seq"] for hit in hits][-5:] == [7, 6, 5, 4, 3]


async def test_a_cursor_belongs_to_its_query(api):
    await start(api, messages=[user("lynx"), user("lynx")])
    page = await read(api, "/search", q="lynx", limit=1)

    for query in ({"q": "lynx "}, {"q": "lynx", "user_id": "ann"}, {"q": "lynx", "language": "en"}):
        answer = await api.get("/search", params={**query, "after": page["next_cursor"]})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
    for cursor in ("x", "W10", "bnVsbA"):
        answer = await api.get("/search", params={"q": "lynx", "after": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_highlights_are_no_marks_in_the_text(api):
    text = "**ibex** [[ibex]] \x02ibex\x03 StartSel=ibex, {ibex} end"
    await start(api, messages=[user(text)])

    (hit,) = await find(api, "ibex")

    assert words(hit) == ["ibex"] * 5
    assert whole(hit) in text


async def test_a_snippet_is_short_and_about_the_words(api):
    text = "before " * 2000 + "the platypus swims " + "after " * 5000
    await start(api, messages=[user(text)])

    (hit,) = await find(api, "platypus")

    assert words(hit) == ["platypus"]
    assert len(whole(hit)) < 400


@pytest.mark.parametrize("before", [0, 18_980, 19_990, 20_010, 37_990, 60_000, 98_000])
async def test_wherever_a_word_stands_in_a_long_text_the_snippet_shows_it(api, before):
    name = f"wombat{before}"
    text = ("before " * 20_000)[:before] + f" the {name} digs " + "after " * 10_000
    await start(api, messages=[user(text)])

    (hit,) = await find(api, f'"the {name} digs"')

    assert name in words(hit)
    assert f"the {name} digs" in whole(hit)
    assert len(whole(hit)) < 400


async def test_of_words_that_stand_far_apart_in_a_long_text_the_snippet_is_its_beginning(api):
    await start(api, messages=[user("numbat " + "between " * 5000 + "bandicoot")])

    (hit,) = await find(api, "numbat bandicoot")

    assert whole(hit).startswith("numbat between")
    assert "bandicoot" not in whole(hit)


async def test_the_readable_text_of_parts_is_found(api):
    parts = [
        {"type": "text", "text": "a narwhal"},
        {"type": "json", "value": {"animal": "dugong"}},
        {"type": "image", "url": "https://example.com/manatee.png"},
    ]
    await start(api, messages=[user(parts)])

    assert len(await find(api, "narwhal")) == 1
    assert await find(api, "dugong or manatee") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "q"),
        ({"q": ""}, "q"),
        ({"q": " \t\u3000"}, "q"),
        ({"q": "x" * 257}, "q"),
        ({"q": "x", "limit": 0}, "limit"),
        ({"q": "x", "limit": 101}, "limit"),
        ({"q": "x", "language": "xx"}, "language"),
        ({"q": "x", "status": "deleted"}, "status"),
        ({"q": "x", "user_id": ""}, "user_id"),
        ({"q": "x", "order": "asc"}, "order"),
    ],
)
async def test_a_wrong_query_is_refused_and_named(api, query, field):
    answer = await api.get("/search", params=query)

    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


WEIRD = [
    "'; DROP TABLE messages; --",
    "\\",
    "\\' & ''",
    "a:*b & :A <-> <0> <-1>",
    "((((((",
    ")",
    "- - - -",
    "or or or",
    "-or",
    '"unclosed',
    '"" ""',
    "%s %(q)s :q $1",
    "http://example.com/a?b=c#d e@example.com -3.14e10",
    "well-known-hyphenated-word",
    "\u202e\u200b\ufeff",
    "👩🏽‍💻 \U0010ffff \ufffe",
    "x" * 256,
    "ж" * 256,
    "\U00020000" * 256,
    "a " * 128,
    "a-" * 128,
    '"a" ' * 64,
    "or -x " * 42,
    " ".join(chr(0x4E00 + number) for number in range(128)),
]


@pytest.mark.parametrize("q", WEIRD)
async def test_a_weird_query_is_only_a_query(api, q):
    await start(api, title=q, messages=[user(q)])

    answer = await api.get("/search", params={"q": q})

    assert answer.status_code == 200, answer.text


async def test_a_nul_in_a_query_is_refused(api):
    answer = await api.get("/search?q=a%00b")

    assert answer.status_code == 422


async def test_a_search_finds_what_was_just_appended_in_one_statement(api):
    conversation = await start(api)
    await append(api, conversation, user("a capybara"))

    with counted_statements() as statements:
        hits = await find(api, "capybara")

    assert len(hits) == 1
    assert len(statements) == 1, statements
