"""The cost of starting: the form of a manifest beside Airbyte's engine, the help, and a sync of nothing.

    python benchmarks/startup.py [--rounds 5] [--manifest FILE] [--cdk PYTHON]

`--cdk` names a Python that has `airbyte-cdk` installed; without it that line is left out. Each round is a process of
its own, `CPU` is all it used (user and system), which another program on the machine changes less than the wall clock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from http_pages import manifest

KITESTRING = [sys.executable, "-m", "kitestring"]
EMPTY = ["sync", "--source", "sample", "-s", "users", "--source-config", "count=0", "--allow-empty", "-q"]


def spent(command: list[str], folder: str) -> tuple[float, float, float]:
    """CPU seconds, wall seconds and peak memory in MB of a command."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began, usage.ru_maxrss / 1024


def commands(path: str, cdk: str) -> dict[str, list[str]]:
    spec = ["spec", "--manifest-path", path]
    commands_by_name = {
        "spec, as a module": [sys.executable, "-m", "kitestring.airbyte.manifest_command", *spec],
        "spec, as kitestring": [*KITESTRING, "airbyte", "manifest", *spec],
        "kitestring --help": [*KITESTRING, "--help"],
        "no records to JSONL": [
            *(*KITESTRING, *EMPTY, "--destination", "files"),
            *("--destination-config", '{"path": "out", "format": "jsonl"}'),
        ],
        "no records to DuckDB": [*KITESTRING, *EMPTY, "--destination", "duckdb", "--destination-config", "path=out.db"],
    }
    if cdk:
        program = "from airbyte_cdk.cli.source_declarative_manifest import run; run()"
        commands_by_name["spec, airbyte-cdk"] = [cdk, "-c", program, *spec]
    return commands_by_name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--manifest", default="")
    parser.add_argument("--cdk", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(options.manifest or Path(folder) / "pages.yaml").absolute()
        if not options.manifest:
            path.write_text(json.dumps(manifest(1, 100)))
        asked = commands(str(path), options.cdk)
        runs = {name: [spent(command, folder) for _ in range(options.rounds)] for name, command in asked.items()}
    median = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in runs.items()}
    size = path.stat().st_size if options.manifest else "about 1,300"
    print(f"medians of {options.rounds}; the manifest has {size} bytes")
    print(f"{'':24}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}")
    for name, (cpu, wall, memory) in median.items():
        print(f"{name:24}{cpu:9.2f}{wall:9.2f}{memory:9.0f}")
    if "spec, airbyte-cdk" in median:
        peer = median["spec, airbyte-cdk"]
        for name in ("spec, as a module", "spec, as kitestring"):
            ours = median[name]
            print(
                f"{name}: {peer[0] / ours[0]:.1f} times as fast as airbyte-cdk, {ours[2] / peer[2]:.0%} of its memory"
            )


if __name__ == "__main__":
    main()
