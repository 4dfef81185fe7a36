"""Every way to write, killed at random moments: nothing missing, nothing twice, what was deleted is gone or marked."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_writes.py"


@pytest.fixture(scope="module")
def kill_writes() -> Any:
    spec = importlib.util.spec_from_file_location("kill_writes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(("destination", "events"), [("duckdb", 1200), ("files", 1200), ("milvus", 120)])
def test_a_killed_sync_of_all_writes_is_completed_by_the_next(
    kill_writes: Any, destination: str, events: int, tmp_path: Path
) -> None:
    figures = kill_writes.run(destination, tmp_path, kills=5, count=events, seed=11)
    assert figures["wrong"] == {}
    assert figures["kills"] == 5
