"""The pages that are written from the server's code are as the code is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("page", ["own-api.md", "settings.md"])
def test_a_page_is_as_the_code_is(page: str) -> None:
    spec = importlib.util.spec_from_file_location("api_reference", ROOT / "scripts" / "api_reference.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    written = (ROOT / "docs" / "reference" / page).read_text("utf-8")
    assert written == script.PAGES[page](), "run scripts/api_reference.py"
