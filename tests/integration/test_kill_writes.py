"""Every way to write, killed at random moments: nothing missing, nothing twice, what was deleted is gone or marked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_writes.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("destination", "kills", "events"),
    [
        ("duckdb", 5, 400),
        ("sqlite", 5, 400),
        ("delta", 2, 60),
        ("files", 5, 400),
        ("iceberg", 1, 40),
        ("postgres", 3, 200),
        ("clickhouse", 2, 40),
        ("pgvector", 2, 120),
        ("milvus", 5, 100),
        ("lancedb", 3, 100),
        ("qdrant", 3, 100),
        ("chroma", 3, 100),
    ],
)
def test_a_killed_sync_of_all_writes_is_completed_by_the_next(destination: str, kills: int, events: int) -> None:
    """PostgreSQL itself, and the engine of ClickHouse, is killed too."""
    options = ["--destination", destination, "--kills", str(kills), "--events", str(events), "--seed", "18"]
    done = subprocess.run([sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    assert figures["wrong"] == {}
    assert figures["emptied"]
    assert figures["kills"] == kills
