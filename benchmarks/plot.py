"""Plots of what a run has found, as SVG and PNG.

`python -m benchmarks.plot results.json [--folder docs/performance]`. Takes matplotlib.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from benchmarks.stage import SERVICES

_FOLDER = Path("docs/performance")
_COLOURS = dict(zip(SERVICES, ("#1f6f8b", "#9aa5b1", "#e0a458", "#c8553d", "#7a4e7e"), strict=True))
# The same figures give the same files, and texts stay texts.
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "tenantry",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dddddd",
    "figure.constrained_layout.use": True,
}


# Each draws what it finds in a run's results, and says whether it has found anything.


def plot_throughput(axes: Any, results: dict[str, Any]) -> bool:
    """Requests a second, where the bare function has 1."""
    compared = {
        name: found["services"]
        for name, found in results["compared"].items()
        if "bare" in found["services"]
    }
    if not compared:
        return False
    rates = {
        scenario: {
            name: figures["per_second"]["median"] / services["bare"]["per_second"]["median"]
            for name, figures in services.items()
        }
        for scenario, services in compared.items()
    }
    _draw_bars(axes, rates)
    axes.set_title("Requests a second, the bare ASGI function = 1 (more is better)")
    return True


def plot_cpu(axes: Any, results: dict[str, Any]) -> bool:
    """Processor time of a request, of the service and, above it and lighter, of its backends."""
    compared = {name: found["services"] for name, found in results["compared"].items()}
    if not compared:
        return False
    own = _pick(compared, "service_cpu_milliseconds")
    _draw_bars(axes, own)
    _draw_bars(axes, _pick(compared, "database_cpu_milliseconds"), own)
    axes.set_title("Processor milliseconds a request: service, and above it PostgreSQL")
    return True


def plot_processes(axes: Any, results: dict[str, Any]) -> bool:
    found = results["own"].get("processes")
    if found is None:
        return False
    counts = [int(count) for count in found["processes"]]
    for name, colour in (("append", _COLOURS["ours"]), ("read", _COLOURS["fastapi-core"])):
        figures = [each[name] for each in found["processes"].values()]
        middle = [each["median"] for each in figures]
        least, most = [each["least"] for each in figures], [each["most"] for each in figures]
        axes.plot(counts, middle, marker="o", color=colour, label=f"{name}s")
        axes.fill_between(counts, least, most, color=colour, alpha=0.15, linewidth=0)
    axes.set_xticks(counts)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"processes, on {found['processors']} processors that the load takes part of")
    axes.set_title("Requests a second of more processes")
    axes.legend(frameon=False)
    return True


def plot_length(axes: Any, results: dict[str, Any]) -> bool:
    found = results["own"].get("long-conversation")
    if found is None:
        return False
    labels = {
        name: f"{found['messages'][name]:,} messages, {tenant} tenant"
        for name, tenant in (("small", "small"), ("large", "large"), ("long", "large"))
    }
    times = {
        what: {labels[name]: figures[what] for name, figures in found["p50_milliseconds"].items()}
        for what in found["p50_milliseconds"]["small"]
    }
    _draw_bars(axes, times, colours=dict(zip(labels.values(), _COLOURS.values(), strict=False)))
    axes.set_title("p50 in milliseconds: a page of 50, and an append, by where in what")
    return True


_PLOTS: dict[str, Callable[[Any, dict[str, Any]], bool]] = {
    "throughput": plot_throughput,
    "cpu": plot_cpu,
    "processes": plot_processes,
    "length": plot_length,
}


def _pick(compared: dict[str, Any], figure: str) -> dict[str, dict[str, float]]:
    return {
        scenario: {name: figures[figure] for name, figures in services.items()}
        for scenario, services in compared.items()
    }


def _draw_bars(
    axes: Any,
    groups: dict[str, dict[str, float]],
    below: dict[str, dict[str, float]] | None = None,
    colours: dict[str, str] = _COLOURS,
) -> None:
    """A group of bars for each key, a bar for each name in it; lighter if they stand on others."""
    width = 0.8 / len(colours)
    for place, (name, colour) in enumerate(colours.items()):
        drawn = [
            (index, group[name], below[key][name] if below else 0.0)
            for index, (key, group) in enumerate(groups.items())
            if name in group
        ]
        if drawn:
            at, heights, bottoms = zip(*drawn, strict=True)
            axes.bar(
                [index + (place - (len(colours) - 1) / 2) * width for index in at],
                heights,
                width,
                bottom=bottoms,
                color=colour,
                alpha=0.45 if below else 1.0,
                label=None if below else name,
            )
    axes.set_xticks(range(len(groups)), list(groups))
    axes.legend(frameon=False, ncols=len(colours), loc="upper center", bbox_to_anchor=(0.5, -0.08))


def draw(results: dict[str, Any], folder: Path) -> list[Path]:
    """The files that were written. Raises SystemExit where matplotlib is missing."""
    try:
        import matplotlib
    except ImportError as error:
        raise SystemExit("error: plots take matplotlib: pip install matplotlib") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    written = []
    with matplotlib.rc_context(_STYLE):
        for name, plot in _PLOTS.items():
            figure, axes = pyplot.subplots(figsize=(8, 3.6))
            if plot(axes, results):
                for suffix, metadata in (
                    ("svg", {"Date": None, "Creator": None}),
                    ("png", {"Software": None}),
                ):
                    written.append(folder / f"{name}.{suffix}")
                    figure.savefig(written[-1], dpi=150, metadata=metadata)
            pyplot.close(figure)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plot", description=__doc__)
    parser.add_argument("results", type=Path, help="what `python -m benchmarks --json` has written")
    parser.add_argument("--folder", type=Path, default=_FOLDER)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for path in draw(orjson.loads(options.results.read_bytes()), options.folder):
        print(path)


if __name__ == "__main__":
    main()
