"""Configuration as code in the web interface: text that is read, edited, compared and applied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PUBLIC, Running, accessible, fits, picture

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def destination(server: Running, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("configuration")
    server.make("source", "sample", "People", {"count": 10})
    return server.make("destination", "files", "Lake", {"path": str(folder / "lake"), "format": "jsonl"})


def test_a_workspace_is_edited_as_text_and_changed_after_a_comparison(
    visit: Callable[..., Any], server: Running, destination: str
) -> None:
    page = visit("/settings?tab=configuration", width=1440)
    page.get_by_label("Configuration", exact=True).get_by_text("connector: sample").wait_for()
    accessible(page)
    page.get_by_role("button", name="Edit").click()
    text = page.get_by_role("textbox", name="Configuration")
    written = text.input_value()
    wrong = written.replace("connector: sample", "connector: sample\n    colour: red")
    text.fill(wrong)
    page.get_by_role("button", name="Compare").click()
    line = wrong.splitlines().index("    colour: red") + 1
    page.get_by_role("alert").get_by_role("button", name=f"Line {line}, column 5").wait_for()
    accessible(page)
    text.fill(written.replace("count: 10", "count: 12"))
    page.get_by_role("button", name="Compare").click()
    changes = page.get_by_role("region", name="Changes")
    changes.get_by_text("People").wait_for()
    assert changes.get_by_role("row").count() == 1
    accessible(page)
    picture(page, "configuration")
    page.get_by_role("button", name="Apply 1 change").click()
    page.get_by_text("1 change applied.").wait_for()
    sources = server.call("GET", f"{PUBLIC}/sources")["data"]
    assert [source["configuration"]["count"] for source in sources] == [12]
    page.get_by_label("Configuration", exact=True).get_by_text("count: 12").wait_for()


def test_the_page_of_a_destination_has_its_own_part(
    visit: Callable[..., Any], destination: str, tmp_path: Path
) -> None:
    page = visit(f"/destinations/{destination}", width=390, height=844, dark=True)
    page.get_by_role("button", name="YAML").click()
    panel = page.get_by_role("dialog", name="Lake as code")
    label = panel.get_by_label("Configuration", exact=True)
    label.get_by_text("connector: files").wait_for()
    assert "People" not in label.inner_text()
    accessible(page)
    fits(page)
    with page.expect_download() as download:
        panel.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "Lake.yaml"
    download.value.save_as(tmp_path / "Lake.yaml")
    assert "format: jsonl" in (tmp_path / "Lake.yaml").read_text("utf-8")
