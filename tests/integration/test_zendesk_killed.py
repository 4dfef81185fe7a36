"""Zendesk from nothing while tokens end, faults happen and processes are killed: a short run of the script."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "zendesk_credentials.py"


@pytest.fixture(scope="module")
def zendesk_credentials() -> Any:
    spec = importlib.util.spec_from_file_location("zendesk_credentials", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_syncs_that_are_killed_while_tokens_end_bring_all_records_and_never_refresh_at_once(
    zendesk_credentials: Any, tmp_path: Path
) -> None:
    figures = zendesk_credentials.run(
        "oauth2.0", tmp_path, kills=1, tickets=40, articles=10, lifetime_s=2.0, pause_s=1.0, seed=7
    )
    assert figures["wrong"] == {}
    assert figures["kills"] == 1
    assert figures["refreshes at once"] == 0
    assert figures["refreshes"] >= 2
