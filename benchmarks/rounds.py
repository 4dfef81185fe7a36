"""Commands that take turns, round by round: the clock, CPU seconds, and peak memory of each, beside a floor.

Each command is a process of its own, so that its time holds its start and its memory is its own. Every other round goes
the other way round. Ratios are medians of the ratios within a round: what loads the machine loads both sides.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memory import PROC, ancestry, measure

Command = Sequence[str | Path]
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """A command. `ready` is called before it and `verify` behind it, outside its time.

    A command that prints `{"wall_s": …, "cpu_s": …}` as its last line has said what counts of its time.
    """

    command: Command
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], None] = lambda: None
    verify: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Figures:
    """The cost of one run. `server_cpu_s` is the CPU time of the database server meanwhile."""

    wall_s: float
    cpu_s: float
    server_cpu_s: float
    peak_mb: float

    @property
    def all_cpu_s(self) -> float:
        return self.cpu_s + self.server_cpu_s


Table = dict[str, list[Figures]]


def rounds(runs: Mapping[str, Run], count: int, *, server: int | None = None, limit_s: float = 600) -> Table:
    """The figures of each run, by its name; a run that fails is printed, not counted. `server`: a server's process."""
    table: Table = {name: [] for name in runs}
    width = max(map(len, runs))
    for number in range(count):
        for name in runs if number % 2 == 0 else reversed([*runs]):
            try:
                figures = once(runs[name], server, limit_s)
            except (RuntimeError, AssertionError, subprocess.SubprocessError) as error:
                print(f"{name} failed: {error}", flush=True)
                continue
            table[name].append(figures)
            print(
                f"  round {number + 1}: {name:{width}} {figures.wall_s:7.2f} s {figures.cpu_s:7.2f} CPU s "
                f"{figures.server_cpu_s:7.2f} of the server {figures.peak_mb:6.0f} MB   load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    return table


def once(run: Run, server: int | None, limit_s: float) -> Figures:
    run.ready()
    worked = cpu_of(server) if server else 0.0
    with tempfile.TemporaryFile() as output:
        usage = measure(run.command, env={**os.environ, **run.env}, output=output, limit_s=limit_s)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if usage.status:
        raise RuntimeError(f"it ended with {usage.status} after {usage.wall_s:.0f} s:\n{text[-2000:]}")
    time.sleep(0.2)  # the server's process of this connection has ended too: what it worked is its parent's
    worked = cpu_of(server) - worked if server else 0.0
    run.verify()
    lines = [line for line in text.splitlines() if line.startswith('{"wall_s"')]
    counted = json.loads(lines[-1]) if lines else {"wall_s": usage.wall_s, "cpu_s": usage.cpu_s}
    return Figures(counted["wall_s"], counted["cpu_s"], worked, usage.peak_mb)


def cpu_of(server: int) -> float:
    """CPU seconds of a server's process, of its children, and of those that have ended."""
    parents: dict[int, int] = {}
    own: dict[int, int] = {}
    ended = 0
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            try:
                columns = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            pid = int(entry.name)
            parents[pid], own[pid] = int(columns[1]), int(columns[11]) + int(columns[12])
            if pid == server:
                ended = int(columns[13]) + int(columns[14])
    return (ended + sum(ticks for pid, ticks in own.items() if server in ancestry(pid, parents))) / TICKS


def show(title: str, table: Table, floor: str) -> None:
    """Medians of each, and of the ratios to the floor of the same round."""
    width = max(map(len, table))
    last, five, _ = os.getloadavg()
    print(f"\n{title}: medians; load average {last:.1f} in the last minute, {five:.1f} in the last five")
    print(f"{'':{width}} {'s':>8} {'of floor':>9} {'CPU s':>8} {'server':>8} {'of floor':>9} {'peak MB':>8}")
    base = table[floor]
    for name, runs in table.items():
        if not runs:
            print(f"{name:{width}}   not measured")
            continue
        clock = ratio(runs, base, lambda figures: figures.wall_s)
        cpu = ratio(runs, base, lambda figures: figures.all_cpu_s)
        middle = [
            statistics.median(getattr(figures, what) for figures in runs)
            for what in ("wall_s", "cpu_s", "server_cpu_s")
        ]
        print(
            f"{name:{width}} {middle[0]:8.2f} {clock:>9} {middle[1]:8.2f} {middle[2]:8.2f} {cpu:>9} "
            f"{max(figures.peak_mb for figures in runs):8.0f}",
            flush=True,
        )


def ratio(runs: Sequence[Figures], base: Sequence[Figures], of: Callable[[Figures], float]) -> str:
    if len(runs) != len(base):
        return "-"
    return f"{statistics.median(of(run) / of(other) for run, other in zip(runs, base, strict=True)):.2f}"
