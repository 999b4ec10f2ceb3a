"""The arithmetic of the comparison, and its tables."""

import pytest

from benchmarks.compare import Report, tabulate
from benchmarks.cpu import Cpu
from benchmarks.figures import ratio, show, spread
from benchmarks.load import Result


def result(answers, seconds=1.0):
    return Result(answers, 0, seconds, p50_milliseconds=2.0, p99_milliseconds=5.0)


def test_a_ratio_is_taken_round_by_round():
    # The second round was disturbed: both sides were three times as slow.
    found = ratio([300, 100, 330], [600, 200, 600])
    assert found == pytest.approx({"median": 0.5, "least": 0.5, "most": 0.55})


def test_rounds_that_lack_a_partner_are_an_error():
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


def test_a_spread_has_the_median_and_the_ends():
    assert spread([3, 1, 2]) == {"median": 2, "least": 1, "most": 3}


@pytest.fixture
def summary():
    report = Report()
    for answers in (400, 500, 600):
        report.add("read", "ours", result(answers), Cpu(service=0.5, database=0.25))
        report.add("read", "bare", result(answers * 2, 1.0), Cpu(service=0.5, database=0.5))
    return report.summarize()["read"]


def test_a_service_costs_processor_time_by_answer(summary):
    ours = summary["services"]["ours"]
    assert ours["per_second"] == {"median": 500, "least": 400, "most": 600}
    assert ours["service_cpu_milliseconds"] == pytest.approx(1.0)
    assert ours["database_cpu_milliseconds"] == pytest.approx(0.5)


def test_both_ratios_are_above_one_where_ours_is_better(summary):
    ratios = summary["ratios"]["bare"]
    assert ratios["per_second"]["median"] == pytest.approx(0.5)
    # Ours took 0.75 seconds for half as many answers as bare gave for a second.
    assert ratios["cpu"]["median"] == pytest.approx(1.0 / 2 / 0.75)


def test_without_processor_times_nothing_is_divided_by_zero():
    report = Report()
    for name in ("ours", "bare"):
        report.add("read", name, result(100), Cpu())
    assert report.summarize()["read"]["ratios"]["bare"]["cpu"]["median"] == 1.0


def test_a_table_has_ours_first_and_its_ratio_beside_the_peer(summary):
    table = tabulate("read", summary)
    assert [row[0] for row in table.rows] == ["ours", "bare"]
    assert table.rows[0][-3:] == ["", "", ""]
    assert table.rows[1][-3:] == ["0.50", "0.50 to 0.50", "0.67"]


@pytest.mark.parametrize(
    ("figure", "shown"), [(12345.6, "12,346"), (45.67, "45.7"), (0.4567, "0.46")]
)
def test_figures_have_as_many_digits_as_say_something(figure, shown):
    assert show(figure) == shown
