"""Onboarding: `benchmarks.onboarding` in a process and on a database of its own."""

import subprocess
import sys
from typing import Any

import orjson

from benchmarks.bench import Bench
from benchmarks.figures import show
from benchmarks.tables import Table
from project.dev.settings import ROOT

_LABELS = {
    "cold": "a tenant, without spares",
    "warm": "a tenant, with spares",
    "migrated": "django-tenants, called in its process",
    "copied": "django-tenants, copying a schema",
}
_REQUESTS = {
    "alone": "requests meanwhile: nobody is onboarded",
    "cold": "requests meanwhile: 5 a second are, without spares",
    "warm": "requests meanwhile: 5 a second are, with spares",
}


def measure(bench: Bench) -> dict[str, Any]:
    creations, tenants = bench.scale.onboarding
    numbers = (
        "--creations",
        creations,
        "--tenants",
        tenants,
        "--seconds",
        bench.scale.pace_seconds,
    )
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.onboarding", *map(str, numbers), "--json"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    found: dict[str, Any] = orjson.loads(result.stdout.splitlines()[-1])
    return found


def tabulate(found: dict[str, Any]) -> Table:
    rows = [
        [label, show(figures["p50"]), show(figures["p99"])]
        for labels, figures_of in ((_LABELS, found["onboarding"]), (_REQUESTS, found["requests"]))
        for name, label in labels.items()
        for figures in [figures_of[name]]
    ]
    return Table("onboarding", [f"beside {found['tenants']:,} tenants", "p50 ms", "p99 ms"], rows)
