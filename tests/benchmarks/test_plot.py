"""The plots of a run."""

import sys

import pytest

from benchmarks import plot
from benchmarks.figures import spread


def service(rate):
    return {
        "per_second": spread([rate]),
        "service_cpu_milliseconds": 1.0,
        "database_cpu_milliseconds": 0.5,
    }


COMPARED = {
    "read": {"services": {"ours": service(600), "bare": service(1000)}},
    "search": {"services": {"ours": service(100)}},
}
OWN = {
    "processes": {
        "processors": 2,
        "processes": {
            str(count): {"append": spread([count * 300]), "read": spread([count * 400])}
            for count in (1, 2)
        },
    },
    "long-conversation": {
        "messages": {"small": 100, "large": 100, "long": 20_000},
        "p50_milliseconds": {
            name: dict.fromkeys(("first", "middle", "newest", "append"), 2.0)
            for name in ("small", "large", "long")
        },
    },
}


def test_each_plot_is_written_twice_and_always_the_same(tmp_path):
    pytest.importorskip("matplotlib")
    written = plot.draw({"compared": COMPARED, "own": OWN}, tmp_path)
    assert sorted(path.name for path in written) == sorted(
        f"{name}.{suffix}"
        for name in ("throughput", "cpu", "processes", "length")
        for suffix in ("svg", "png")
    )
    contents = {path: path.read_bytes() for path in written}
    plot.draw({"compared": COMPARED, "own": OWN}, tmp_path)
    assert {path: path.read_bytes() for path in written} == contents


def test_what_was_not_measured_is_not_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    assert plot.draw({"compared": {}, "own": {}}, tmp_path) == []


def test_without_the_library_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match="pip install matplotlib"):
        plot.draw({"compared": COMPARED, "own": OWN}, tmp_path)
