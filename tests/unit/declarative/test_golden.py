"""Every keyword of the language in a golden case: catalog, requests, records, states as kept in `tests/golden`.

`KITESTRING_GOLDEN=write` writes the files; review the difference. `tests/golden/beside_cdk.py` runs the same
cases with Airbyte's engine.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from case import FOLDER, Case, cases, run, serving

from kitestring.airbyte.manifest_command import main

CASES = cases()


def kitestring(name: str, paths: Mapping[str, str]) -> list[dict[str, Any]]:
    arguments = [name, "--manifest-path", paths["manifest"]]
    if name != "spec":
        arguments += ["--config", paths["config"]]
    if name == "read":
        arguments += ["--catalog", paths["catalog"], "--state", paths["state"]]
    output = io.BytesIO()
    main(arguments, output)
    return [json.loads(line) for line in output.getvalue().splitlines()]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_manifest_asks_reads_and_remembers_as_before(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRBYTE_STAGING_DIRECTORY", str(tmp_path / "staging"))
    with serving(case) as api:
        text = run(case, api, tmp_path, kitestring).replace(str(tmp_path), "FOLDER")
    if os.environ.get("KITESTRING_GOLDEN") == "write":
        case.golden.write_text(text, "utf-8")
    assert text == case.golden.read_text("utf-8")


def test_every_golden_belongs_to_a_case() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == [case.name for case in CASES]
