"""200 connections, each due every minute, on one worker: does it keep up, and what does it take?

    python benchmarks/minutely.py [--minutes 10] [--connections 200]

A server as `kitestring up` starts it, on SQLite; small streams from `sample` into files. Prints figures of the jobs
that the store holds afterwards: how late they began, whether any ran twice at once, failed or stayed behind.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

HERTZ = os.sysconf("SC_CLK_TCK")


def call(url: str, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(f"{url}{path}", data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def family(pid: int) -> list[int]:
    """A process and all below it."""
    pids, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        pids.append(parent)
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            waiting += map(int, task.read_text().split())
    return pids


def used(pid: int) -> tuple[float, int]:
    """Seconds of CPU so far (ended children included), and bytes of memory of the processes that are there."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    seconds, memory = sum(map(int, fields[11:15])) / HERTZ, 0
    for member in family(pid):
        try:
            rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
            if member != pid:
                more = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
                seconds += sum(map(int, more[11:15])) / HERTZ
        except OSError:
            continue
        memory += int(re.search(r"Pss:\s+(\d+)", rollup)[1]) * 1024  # type: ignore[index]
    return seconds, memory


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=10)
    asked.add_argument("--connections", type=int, default=200)
    words = asked.parse_args()
    folder = Path(tempfile.mkdtemp())
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KITESTRING_")}
    server = subprocess.Popen(
        [sys.executable, "-m", "kitestring", "up", "--port", "0"],
        cwd=folder,
        env={**clean, "KITESTRING_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)},
        stderr=(folder / "log").open("w"),
    )
    try:
        while not (address := re.search(r"is up at (\S+)", (folder / "log").read_text())):
            time.sleep(0.1)
        url = address[1]
        workspace = call(url, "GET", "/v1/workspaces")["data"][0]["workspaceId"]

        def create(kind: str, connector: str, config: dict[str, Any]) -> str:
            known = call(url, "GET", f"/api/kitestring/v1/connectors/{kind}/{connector}")["definitionId"]
            body = {"name": connector, "workspaceId": workspace, "definitionId": known, "configuration": config}
            return str(call(url, "POST", f"/v1/{kind}s", body)[f"{kind}Id"])

        source = create("source", "sample", {"count": 20})
        destination = create("destination", "files", {"path": str(folder / "out"), "format": "jsonl"})
        for number in range(words.connections):
            body = {
                "name": f"connection {number}",
                "sourceId": source,
                "destinationId": destination,
                "prefix": f"c{number}_",
                "schedule": {"scheduleType": "basic", "basicTiming": "Every 1 MINUTES"},
                "configurations": {"streams": [{"name": "users", "syncMode": "full_refresh_append"}]},
            }
            call(url, "POST", "/v1/connections", body)
        began, (before, _) = time.monotonic(), used(server.pid)
        most = 0
        while time.monotonic() - began < words.minutes * 60:
            time.sleep(5)
            after, memory = used(server.pid)
            most = max(most, memory)
        took = time.monotonic() - began
        jobs: list[dict[str, Any]] = []
        while True:
            last = f"&before={jobs[-1]['jobId']}" if jobs else ""
            page = call(url, "GET", f"/api/kitestring/v1/jobs?limit=200{last}")["data"]
            jobs += page
            if len(page) < 200:
                break
    finally:
        server.terminate()
        server.wait(60)
    ended = [job for job in jobs if job["endedAtMs"]]
    waits = sorted((job["startedAtMs"] - job["createdAtMs"]) / 1000 for job in ended if job["startedAtMs"])
    runs: dict[str, list[tuple[int, int]]] = {}
    for job in ended:
        runs.setdefault(job["connectionId"], []).append((job["startedAtMs"], job["endedAtMs"]))
    twice = sum(b[0] < a[1] for each in runs.values() for a, b in zip(sorted(each), sorted(each)[1:], strict=False))
    status = {word: sum(job["status"] == word for job in jobs) for word in {job["status"] for job in jobs}}
    rate = len(ended) / took * 60
    for message in sorted({job["error"]["message"] for job in jobs if job["error"]}):
        print(f"failed: {message}")
    print(f"{words.connections} connections for {took / 60:.1f} min: {rate:.0f} jobs a minute, {status}")
    print(
        f"waited for a place: median {waits[len(waits) // 2]:.2f} s, 99 % {waits[int(len(waits) * 0.99)]:.2f} s, "
        f"longest {waits[-1]:.2f} s; twice at once: {twice}"
    )
    print(f"fewest runs of a connection {min(map(len, runs.values()))}, most {max(map(len, runs.values()))}")
    print(f"CPU {100 * (after - before) / took:.0f} % of one processor, memory {most / 1e6:.0f} MB at the most")


if __name__ == "__main__":
    main()
