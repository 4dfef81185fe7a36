"""The peak memory of a command and all its children: the sum of their proportional set sizes (PSS), sampled.

    python benchmarks/memory.py [--every 0.05] [--apart postgres] [--csv FILE] -- COMMAND …

PSS counts a page that several processes share once, divided among them, so that the sum over a process tree is what the
tree takes of the machine (https://docs.kernel.org/filesystems/proc.html, smaps_rollup). Peak RSS of one process counts
shared pages in full and leaves its children out. Linux only. Programs named by `--apart` (database servers, compared by
their command's name) and what they started are measured too, but shown apart. `measure` does the same for a benchmark.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PROC = Path("/proc")


@dataclass
class Usage:
    """The cost of a command. `cpu_s` holds all children that were waited for; `samples` are (seconds, ours, apart)."""

    status: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    apart_mb: float = 0.0
    samples: list[tuple[float, float, float]] = field(default_factory=list)


def measure(
    command: Sequence[str | Path],
    *,
    apart: Collection[str] = (),
    every_s: float = 0.05,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: IO[bytes] | None = None,
    limit_s: float | None = None,
) -> Usage:
    """Run a command to its end and sample its memory meanwhile. After `limit_s` it is killed."""
    usage = Usage()
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        env=None if env is None else dict(env),
        cwd=cwd,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(every_s):
            ours, others = memory_mb(process.pid, apart)
            usage.samples.append((time.perf_counter() - began, ours, others))
            usage.peak_mb = max(usage.peak_mb, ours)
            usage.apart_mb = max(usage.apart_mb, others)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    limit = threading.Timer(limit_s, process.kill) if limit_s is not None else None
    if limit is not None:
        limit.start()
    try:
        _, status, resources = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        raise
    finally:
        ended.set()
        if limit is not None:
            limit.cancel()
    watcher.join()
    process.returncode = usage.status = os.waitstatus_to_exitcode(status)
    usage.wall_s = time.perf_counter() - began
    usage.cpu_s = resources.ru_utime + resources.ru_stime
    return usage


def memory_mb(pid: int, apart: Collection[str] = ()) -> tuple[float, float]:
    """Megabytes (10^6 bytes) of this process, its session and all they started; those of the programs `apart`."""
    ours, others = 0, 0
    parents: dict[int, int] = {}
    sessions: dict[int, int] = {}
    names: dict[int, str] = {}
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            try:
                text = (entry / "stat").read_text(errors="replace")
            except OSError:
                continue
            name, _, rest = text.partition("(")[2].rpartition(")")
            columns = rest.split()
            member = int(entry.name)
            names[member], parents[member], sessions[member] = name, int(columns[1]), int(columns[3])
    for member in parents:
        line = ancestry(member, parents)
        if pid in line or sessions[member] == pid:
            pss = pss_of(member)
            if any(names.get(ancestor) in apart for ancestor in line):
                others += pss
            else:
                ours += pss
    return ours / 1e6, others / 1e6


def ancestry(pid: int, parents: Mapping[int, int]) -> list[int]:
    """A process, its parent, and so on up."""
    line = []
    while pid and pid not in line:
        line.append(pid)
        pid = parents.get(pid, 0)
    return line


def pss_of(pid: int) -> int:
    """Bytes; 0 for a process that has ended."""
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=float, default=0.05, metavar="S", help="seconds between two samples")
    parser.add_argument("--apart", action="append", default=[], metavar="NAME", help="a program to show apart")
    parser.add_argument("--csv", type=Path, help="write the samples here")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    usage = measure(arguments.command, apart=arguments.apart, every_s=arguments.every)
    if arguments.csv:
        rows = ["seconds,mb,apart_mb", *(f"{at:.2f},{ours:.1f},{others:.1f}" for at, ours, others in usage.samples)]
        arguments.csv.write_text("\n".join(rows) + "\n")
    apart = f", apart {usage.apart_mb:.0f} MB" if arguments.apart else ""
    print(
        f"peak {usage.peak_mb:.0f} MB (sum of PSS, {len(usage.samples)} samples){apart}; "
        f"{usage.wall_s:.1f} s, {usage.cpu_s:.1f} CPU s",
        file=sys.stderr,
    )
    return usage.status


if __name__ == "__main__":
    sys.exit(main())
