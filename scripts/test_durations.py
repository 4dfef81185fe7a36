"""CPU seconds of tests, per file and for the most expensive tests; child processes are counted too, and their children:
servers that run on, and what a fork server has forked.

    .venv/bin/python scripts/test_durations.py tests/unit/server -q

CPU time is comparable between runs on a busy machine; wall time is not. All arguments go to pytest (run without -n).
Wall seconds stand beside it: where they are far above the CPU seconds, a test waits.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

TESTS_LISTED = 40
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def used_cpu_s() -> float:
    """What this process, its children that have ended, and all that run below it have used."""
    used_s = sum(os.times()[:4])
    pids = children(os.getpid())
    while pids:
        pid = pids.pop()
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used_s += sum(map(int, fields[11:15])) / TICKS_PER_S
            pids += children(pid)
    return used_s


def children(pid: int) -> list[int]:
    """The running children of all threads of a process; none on a system without /proc."""
    with suppress(OSError):
        texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
        return [int(child) for text in texts for child in text.split()]
    return []


class Meter:
    """A pytest plugin that adds up the CPU and wall seconds of each test, its fixtures included."""

    def __init__(self) -> None:
        self.cpu_s: Counter[str] = Counter()
        self.wall_s: Counter[str] = Counter()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        cpu_s, wall_s = used_cpu_s(), time.monotonic()
        try:
            return (yield)
        finally:
            self.cpu_s[item.nodeid] += used_cpu_s() - cpu_s
            self.wall_s[item.nodeid] += time.monotonic() - wall_s

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(f"CPU s   wall s  ({used_cpu_s():.1f} CPU s in all)")
        files_cpu_s: Counter[str] = Counter()
        files_wall_s: Counter[str] = Counter()
        for test, cpu_s in self.cpu_s.items():
            files_cpu_s[test.partition("::")[0]] += cpu_s
            files_wall_s[test.partition("::")[0]] += self.wall_s[test]
        by_cost = [*files_cpu_s.most_common(), ("", 0.0), *self.cpu_s.most_common(TESTS_LISTED)]
        walls = files_wall_s | self.wall_s
        for name, cpu_s in by_cost:
            terminalreporter.write_line(f"{cpu_s:6.2f} {walls[name]:8.2f}  {name}")
        waiting = sorted(self.cpu_s, key=lambda test: self.cpu_s[test] - self.wall_s[test])[:TESTS_LISTED]
        terminalreporter.write_line("Waiting most:")
        for name in waiting:
            terminalreporter.write_line(f"{self.cpu_s[name]:6.2f} {self.wall_s[name]:8.2f}  {name}")


if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv[1:], plugins=[Meter()]))
