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
        ("duckdb", 5, 900),
        ("sqlite", 5, 400),
        ("files", 5, 900),
        ("postgres", 3, 200),
        ("pgvector", 2, 120),
        ("milvus", 5, 120),
    ],
)
def test_a_killed_sync_of_all_writes_is_completed_by_the_next(destination: str, kills: int, events: int) -> None:
    """PostgreSQL itself is killed too."""
    options = ["--destination", destination, "--kills", str(kills), "--events", str(events), "--seed", "11"]
    done = subprocess.run([sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    assert figures["wrong"] == {}
    assert figures["kills"] == kills
