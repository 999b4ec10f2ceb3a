"""The load driver's process, as the benchmark sees it."""

import subprocess
import sys

import orjson

from benchmarks.load import Result
from benchmarks.scenarios import Run
from benchmarks.spawn import wait_or_kill
from project.dev.settings import ROOT


class LoadDriver:
    """Use as a context manager."""

    def __enter__(self) -> "LoadDriver":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # It reads to the end and leaves.
        wait_or_kill(self._process)

    def perform(self, run: Run) -> Result:
        """Raises RuntimeError if an answer was not the expected one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps(run) + b"\n")
        self._process.stdin.flush()
        result = Result(**orjson.loads(self._process.stdout.readline()))
        if result.error is not None:
            raise RuntimeError(f"{run.scenario}: {result.error}")
        return result
