"""A sync from a foreign connector that is killed again and again: nothing is lost, nothing starts over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A state after every hundred records, from which it can go on. It stops after 5,000 records, until it may end.
COUNTER = """
import json, os, sys, time

def say(message):
    sys.stdout.write(json.dumps(message) + "\\n")

words = sys.argv
stream = {"name": "counts", "json_schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
    "supported_sync_modes": ["full_refresh", "incremental"], "source_defined_cursor": True,
    "default_cursor_field": ["id"], "source_defined_primary_key": [["id"]]}
if words[1] == "discover":
    say({"type": "CATALOG", "catalog": {"streams": [stream]}})
else:
    begin = 0
    if "--state" in words:
        begin = json.load(open(words[words.index("--state") + 1]))[0]["stream"]["stream_state"]["id"]
    total = json.load(open(words[words.index("--config") + 1]))["total"]
    place, parent = {"name": "counts"}, os.getppid()
    def status(said):
        body = {"stream_descriptor": place, "status": said}
        say({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": body}})
    status("STARTED")
    for n in range(begin, total):
        say({"type": "RECORD", "record": {"stream": "counts", "data": {"id": n}, "emitted_at": 1}})
        if n % 100 == 99:
            say({"type": "STATE", "state": {"type": "STREAM",
                "stream": {"stream_descriptor": place, "stream_state": {"id": n + 1}}}})
            sys.stdout.flush()
        while n - begin == 4999 and not os.path.exists("may end") and os.getppid() == parent:
            time.sleep(0.02)
    status("COMPLETE")
"""


@pytest.mark.slow
def test_a_foreign_source_that_can_go_on_goes_on_after_every_kill(tmp_path: Path) -> None:
    total = 20_000
    (tmp_path / "counter.py").write_text(COUNTER)
    settings = {"command": [sys.executable, "counter.py"], "config": {"total": total}}
    words = [sys.executable, "-m", "kitestring", "sync", "--source", "airbyte", "--source-config", json.dumps(settings)]
    words += ["--destination", "duckdb", "--destination-config", "path=counts.duckdb", "--state", "state.json", "-q"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KITESTRING_HOME": str(tmp_path / "home")}
    reached = [0]
    state = tmp_path / "state.json"

    def saved() -> int:
        if not state.exists():
            return 0
        (streams,) = json.loads(state.read_text()).values()
        return int(streams["counts"]["id"])

    for _ in range(2):
        running = subprocess.Popen(
            words, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 600
        while saved() <= reached[-1] and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(running.pid, signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
        reached.append(saved())
    assert 0 < reached[1] < reached[2] < total
    (tmp_path / "may end").touch()
    done = subprocess.run([*words, "--json"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert result["streams"]["counts"]["read"] == total - reached[2]
    import duckdb

    with duckdb.connect(str(tmp_path / "counts.duckdb")) as database:
        assert database.execute("SELECT count(*), count(DISTINCT id), max(id) FROM counts").fetchall() == [
            (total, total, total - 1)
        ]
