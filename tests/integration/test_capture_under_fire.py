"""A seeded sample of change data capture under fire; scripts/cdc_under_fire.py runs for longer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "cdc_under_fire.py"


@pytest.mark.slow
@pytest.mark.parametrize(("destination", "seed"), [("postgres", 5), ("duckdb", 6)])
def test_source_and_destination_are_equal_after_kills_cuts_and_a_restart(destination: str, seed: int) -> None:
    options = ["--destination", destination, "--seconds", "8", "--rate", "100", "--kills", "2", "--cuts", "1"]
    command = [sys.executable, str(SCRIPT), *options, "--restarts", "1", "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    assert figures["wrong"] == {}
    assert (figures["kills"], figures["cuts"], figures["restarts"]) == (2, 1, 1)
