"""What the tests of the connector builder share: a person who clicks, and the sync of what was built."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import OWN, PUBLIC, Running

PROJECTS = f"{OWN}/builder/projects"
TEXT_FIELDS = ["name", "text", "title", "body", "subject", "description"]


class Walk:
    """A page that counts the clicks of a person. No address of Kitestring is typed."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.clicks = 0

    def click(self, role: str, name: str | re.Pattern[str], within: Any = None, **options: Any) -> None:
        (within or self.page).get_by_role(role, name=name, **options).first.click()
        self.clicks += 1

    def begin(self, kind: str, label: str, material: str) -> None:
        """From the menu to a project."""
        self.click("link", "Builder")
        self.page.get_by_role("link", name="New connector").wait_for()
        self.click("link", "New connector")
        self.click("radio", kind)
        self.page.get_by_label(label).fill(material)
        self.click("button", "Continue")

    def opened(self) -> str:
        """The id of the project that the page shows."""
        self.page.wait_for_url(re.compile(r"/builder/[0-9a-f-]{36}"))
        self.page.get_by_role("region", name="Test", exact=True).wait_for()
        return str(self.page.url).rpartition("/")[2].partition("?")[0]

    def part(self, name: str) -> None:
        """Show a part of the connector."""
        self.click("button", name, self.page.get_by_role("navigation", name="Parts of the connector"), exact=True)

    def read(self, ends: str = "Read to its end") -> str:
        """A test read; the line with its figures."""
        self.click("button", "Read", self.page.get_by_role("region", name="Test"), exact=True)
        return self.figures(ends)

    def figures(self, ends: str = "Read to its end") -> str:
        """The line with the figures of a read that ended so."""
        line = self.page.get_by_role("region", name="Test").get_by_role("status").filter(has_text=ends)
        line.wait_for()
        return str(line.inner_text())

    def take_records(self) -> str:
        """Say that the list which the page has seen has the records; the figures of the read that follows by itself.

        The read before is still on the page when the button has been clicked: its only record is the whole answer."""
        self.click("button", "Yes, read these")
        line = self.page.get_by_role("region", name="Test", exact=True).get_by_role("status")
        line = line.filter(has_text="Read to its end").filter(has_text=re.compile(r"\d records"))
        line.wait_for()
        return str(line.inner_text())

    def suggest(self) -> list[str]:
        """Take all that is suggested for the stream; the titles."""
        self.click("button", "Suggest settings")
        panel = self.page.get_by_role("dialog", name="Suggest settings")
        self.click("button", "Try on the API", panel)
        panel.get_by_text(re.compile(r"(was|were) sent")).wait_for()
        titles = panel.get_by_role("heading", level=3).all_inner_texts()
        if len(titles) > 1:
            self.click("button", re.compile("^Take (all|the)"), panel)
        elif titles:
            self.click("button", "Take it", panel)
        self.click("button", "Close", panel)
        panel.wait_for(state="hidden")
        return titles

    def publish(self, note: str = "") -> None:
        """Publish, and stay in the dialog that says so."""
        self.click("button", "Publish", exact=True)
        dialog = self.page.get_by_role("dialog", name="Publish")
        self.click("button", re.compile("^Publish version"), dialog)
        dialog.get_by_text(re.compile(r"Version \d+ is published")).wait_for()


def synced(server: Running, folder: Path, definition_id: str, config: dict[str, Any], streams: list[str]) -> str:
    """Make a source of a connector and sync it into a new collection; the id of the destination."""
    source = server.call(
        "POST",
        f"{PUBLIC}/sources",
        {"name": "Built", "workspaceId": server.workspace, "definitionId": definition_id, "configuration": config},
    )["sourceId"]
    destination = server.make(
        "destination",
        "milvus",
        "Vectors",
        {
            "processing": {
                "chunk_size": 100,
                "text_fields": ["name", "text", "title", "body", "subject", "description"],
            },
            "embedding": {"mode": "fake"},
            "indexing": {"host": str(folder / "vectors.db"), "collection": "built"},
        },
    )
    connection = server.call(
        "POST",
        f"{PUBLIC}/connections",
        {
            "sourceId": source,
            "destinationId": destination,
            "configurations": {"streams": [{"name": name, "syncMode": "full_refresh_append"} for name in streams]},
        },
    )["connectionId"]
    server.call("POST", f"{OWN}/connections/{connection}/sync")
    job = server.ended(connection)
    if job["status"] != "succeeded":
        pytest.fail(json.dumps(server.call("GET", f"{OWN}/jobs/{job['jobId']}"), indent=1))
    return destination


def until_stored(server: Running, page: Any, project: str, manifest: str) -> None:
    """Wait until the page has saved this text."""
    deadline = time.monotonic() + 120
    while server.call("GET", f"{PROJECTS}/{project}")["manifest"] != manifest:
        assert time.monotonic() < deadline, "never saved"
        page.wait_for_timeout(100)


def first_hit(server: Running, destination: str, text: str) -> dict[str, Any]:
    hits = server.call("POST", f"{OWN}/destinations/{destination}/search", {"text": text, "limit": 5})["data"]
    hit: dict[str, Any] = hits[0]
    return hit
