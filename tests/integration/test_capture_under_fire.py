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
    burn(destination, seed, ["--kills", "2", "--seconds", "8"], kills=2)


@pytest.mark.slow
def test_mariadb_and_its_copy_are_equal_after_kills_a_cut_and_a_restart(mariadb_data: Path) -> None:
    options = ["--source", "mariadb", "--mariadb-data", str(mariadb_data), "--kills", "2", "--seconds", "3"]
    burn("duckdb", 3, options, kills=2)


def burn(destination: str, seed: int, more: list[str], kills: int) -> None:
    options = ["--destination", destination, "--rate", "100", "--cuts", "1", *more]
    command = [sys.executable, str(SCRIPT), *options, "--restarts", "1", "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    assert figures["wrong"] == {}
    assert (figures["kills"], figures["cuts"], figures["restarts"]) == (kills, 1, 1)
