"""The saving of a project of the connector builder, when the server does not answer for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import OWN, Running

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROJECTS = f"{OWN}/builder/projects"


def test_what_a_server_that_was_away_did_not_take_is_saved_without_another_change(
    visit: Callable[..., Any], server: Running
) -> None:
    manifest = "type: DeclarativeSource\nversion: 6.48.10\nstreams: []\n"
    body = {"workspaceId": server.workspace, "name": "Away", "manifest": manifest}
    project = server.call("POST", PROJECTS, body)["projectId"]
    page = visit(f"/builder/{project}?view=yaml")
    page.locator(".cm-content").wait_for()
    page.route(f"**{PROJECTS}/{project}", lambda route: route.abort())
    page.locator(".cm-content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("# kept")
    page.get_by_text("Not saved: The server does not answer").wait_for()
    page.unroute(f"**{PROJECTS}/{project}")
    page.get_by_text("All changes are saved").wait_for()
    assert server.call("GET", f"{PROJECTS}/{project}")["manifest"] == f"# kept{manifest}"
