"""Tables as text and as Markdown, and the page that holds them."""

import pytest

from benchmarks import goals
from benchmarks.own.startup import read_import_times
from benchmarks.tables import BEGIN, END, Table, put_into

TABLE = Table("read", ["", "a second"], [["ours", "510"], ["bare", "1,020"]], ["A note."])


def test_text_is_aligned_under_the_title():
    assert TABLE.text().splitlines() == [
        "read  a second",
        "ours       510",
        "bare     1,020",
        "A note.",
    ]


def test_markdown_has_figures_to_the_right():
    assert TABLE.markdown().splitlines() == [
        "### read",
        "",
        "|  | a second |",
        "| --- | ---: |",
        "| ours | 510 |",
        "| bare | 1,020 |",
        "",
        "A note.",
    ]


def test_tables_are_put_between_the_marks_again_and_again():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = put_into(page, "new")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert put_into(once, "new") == once


def test_a_page_without_marks_is_left_alone():
    with pytest.raises(ValueError, match="the page has no"):
        put_into(f"before {END}", "new")


def test_import_times_are_summed_by_package():
    report = """
import time: self [us] | cumulative | imported package
import time:       500 |        500 |   django.conf
import time:      1500 |       2000 | django
import time:       250 |        250 | orjson
something else: 7 | 7 | django
"""
    assert read_import_times(report) == {"django": 2.0, "orjson": 0.25}


def test_goals_that_were_not_measured_are_left_out():
    results = {
        "compared": {"read": {"ratios": {"bare": {"per_second": {"median": 0.61}}}}},
        "own": {"start-up": {"seconds": {"median": 2.5}}},
    }
    assert [row[1:] for row in goals.tabulate(results).rows] == [
        ["at least 0.60", "0.61", "yes"],
        ["at most 2.00", "2.50", "no"],
    ]
    assert goals.tabulate({"compared": {}, "own": {}}).rows == []


def test_the_worst_page_counts():
    times = {
        "small": {"first": 1.0, "middle": 1.0, "newest": 2.0},
        "large": {"first": 1.0, "middle": 1.0, "newest": 2.0},
        "long": {"first": 1.0, "middle": 1.5, "newest": 2.0},
    }
    results = {"compared": {}, "own": {"long-conversation": {"p50_milliseconds": times}}}
    long, large = goals.tabulate(results).rows
    assert (long[2:], large[2:]) == (["1.50", "no"], ["1.00", "yes"])
