"""The page of a source whose low-code connector has several versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import OWN, PUBLIC, Running, accessible
from tests.unit.server.shop import things

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_form_of_a_source_is_of_the_version_that_it_runs(visit: Callable[..., Any], server: Running) -> None:
    projects = f"{OWN}/builder/projects"
    project = server.call(
        "POST", projects, {"workspaceId": server.workspace, "name": "Things of Acme", "manifest": things(1)}
    )
    path = f"{projects}/{project['projectId']}"
    definition_id = server.call("POST", f"{path}/publish", {"revision": 1})["definitionId"]
    body = {
        "name": "Acme",
        "workspaceId": server.workspace,
        "definitionId": definition_id,
        "configuration": {"token": "t0p-s3cret"},
    }
    source_id = server.call("POST", f"{PUBLIC}/sources", body)["sourceId"]
    second = things(2, key="uid", required=", region")
    server.call("PATCH", path, {"revision": 1, "manifest": second})
    server.call("POST", f"{path}/publish", {"revision": 2, "note": "Ids are texts now."})

    page = visit(f"/sources/{source_id}")
    page.get_by_text("Version", exact=True).wait_for()
    region = page.get_by_label("Region")
    region.wait_for()
    assert region.get_attribute("required") is None
    accessible(page)
    server.call("POST", f"{OWN}/sources/{source_id}/connector-version", {"version": 2})
    page.reload()
    region.wait_for()
    page.locator("#field-region[required]").wait_for()
