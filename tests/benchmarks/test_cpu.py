"""Processor time, as Linux tells it."""

import os
import subprocess
import sys
import time

import pytest

from benchmarks.cpu import sum_seconds, tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")


def test_work_is_seen_and_sleep_is_not():
    before = sum_seconds([os.getpid()])
    time.sleep(0.05)
    slept = sum_seconds([os.getpid()]) - before
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    worked = sum_seconds([os.getpid()]) - before - slept
    assert slept <= 0.04
    assert 0.15 <= worked <= 0.5


def test_a_tree_has_the_children_of_children():
    code = "import subprocess; subprocess.run(['sleep', '60'])"
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline = time.monotonic() + 10
        while len(found := tree(child.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert found[0] == child.pid
        assert len(found) == 2
        assert child.pid in tree(os.getpid())
    finally:
        for pid in tree(child.pid):
            os.kill(pid, 9)
        child.wait()


def test_a_process_that_has_ended_counts_for_nothing():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert sum_seconds([child.pid]) == 0.0
