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
    ("destination", "events"),
    [("duckdb", 900), ("sqlite", 900), ("files", 900), ("postgres", 300), ("pgvector", 200), ("milvus", 120)],
)
def test_a_killed_sync_of_all_writes_is_completed_by_the_next(destination: str, events: int) -> None:
    """PostgreSQL itself is killed too."""
    options = ["--destination", destination, "--kills", "5", "--events", str(events), "--seed", "11"]
    done = subprocess.run([sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    assert figures["wrong"] == {}
    assert figures["kills"] == 5
