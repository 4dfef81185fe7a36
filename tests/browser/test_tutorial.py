"""The tutorial, as a person walks it: from an empty workspace to the inspected collection, by links alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kitestring.testing.zendesk import ZendeskStandIn
from tests.browser.conftest import PUBLIC, Running, accessible, fits, picture, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MOST_CLICKS = 14


class Walk:
    """A page that counts the clicks. No address is typed."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.clicks = 0

    def click(self, role: str, name: str, **options: Any) -> None:
        self.page.get_by_role(role, name=name, **options).first.click()
        self.clicks += 1


@pytest.fixture(scope="module")
def desk() -> Iterator[ZendeskStandIn]:
    with ZendeskStandIn(tickets=20) as stand_in:
        yield stand_in


def test_the_tutorial_takes_few_clicks_and_no_address(
    visit: Callable[..., Any], server: Running, desk: ZendeskStandIn, tmp_path: Path
) -> None:
    page = visit("/")
    page.on("dialog", lambda dialog: dialog.accept())  # the browser asks before a reload
    walk = Walk(page)
    walk.click("link", "New connection")

    # The source. A wrong secret is said in a sentence, and nothing that was typed is lost.
    page.get_by_label("Search the connectors").fill("zendesk")
    walk.click("button", "Zendesk Support")
    page.get_by_label("Subdomain").fill(desk.config["subdomain"])
    page.get_by_label("Client identifier").fill(desk.client_credentials["client_id"])
    secret = page.locator("[id='field-credentials.client_secret']")
    secret.fill("a wrong secret")
    page.get_by_role("button", name="Optional settings").last.click()  # only to name the stand-in
    walk.clicks += 1
    page.locator("[id='field-base_url']").fill(desk.url)
    page.get_by_role("button", name="Test and save").click()
    page.get_by_role("alert").get_by_text("The test failed, nothing was saved").wait_for()
    accessible(page)
    picture(page, "tutorial-wrong-token")
    secret.fill(desk.client_credentials["client_secret"])
    walk.click("button", "Test and save")

    # The destination, with fields of the source suggested.
    page.get_by_label("Search the connectors").fill("milvus")
    walk.click("button", "Milvus")
    page.locator("[id='field-processing.chunk_size']").fill("60")
    page.get_by_role("combobox", name="Text fields to embed").wait_for()
    page.get_by_text("title", exact=True).first.wait_for()
    walk.click("combobox", "Embedding")
    walk.click("option", "Fake")
    page.locator("[id='field-indexing.host']").fill(str(tmp_path / "helpdesk.db"))
    page.locator("[id='field-indexing.collection']").fill("helpdesk")
    walk.click("button", "Test and save")

    # The streams: articles alone, and one of them as chunks. A reload and Back lose nothing.
    page.get_by_text("Searchable text", exact=True).wait_for()
    walk.click("button", "Unselect all")
    page.get_by_role("checkbox", name="articles", exact=True).check()
    walk.clicks += 1
    page.reload()
    page.get_by_role("checkbox", name="articles", exact=True, checked=True).wait_for()
    page.get_by_role("button", name="articles", exact=True).click()
    page.get_by_role("button", name="Show a record as chunks").click()
    page.get_by_text("Chunk 1 ·").wait_for()
    picture(page, "tutorial-streams")
    page.set_viewport_size({"width": 390, "height": 844})
    fits(page)
    accessible(page)
    picture(page, "tutorial-streams-phone")
    walk.click("button", "Next")
    page.get_by_label("Name").wait_for()
    fits(page)
    accessible(page)
    picture(page, "tutorial-schedule-phone")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.go_back()
    page.get_by_role("checkbox", name="articles", exact=True, checked=True).wait_for()
    page.go_forward()
    walk.click("button", "Create the connection")
    walk.click("button", "Start the first sync")
    until(page, "document.body.innerText.includes('Succeeded')", 600)

    # The inspected collection.
    walk.click("link", "Data")
    page.get_by_role("region", name="Rows of articles").get_by_role("button").first.wait_for()
    picture(page, "tutorial-data")
    assert walk.clicks <= MOST_CLICKS, walk.clicks
    page.get_by_text("Search", exact=True).click()
    title = next(iter(desk.desk.articles.values()))["title"]
    page.get_by_label("What are you looking for?").fill("I forgot my password")
    page.get_by_label("Filter").fill(f'title == "{title}"')
    page.keyboard.press("Enter")
    page.get_by_role("listitem").get_by_text(title).first.wait_for()
    picture(page, "tutorial-search")

    # Leaving unsaved streams is asked about, and they are kept.
    page.get_by_role("link", name="Connections").first.click()
    page.get_by_role("link", name="Zendesk Support → Milvus").first.click()
    page.get_by_role("tab", name="Streams & fields").click()
    page.get_by_role("checkbox", name="sections", exact=True).check()
    page.get_by_role("link", name="Sources").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("This browser tab keeps them").wait_for()
    dialog.get_by_role("button", name="Stay").click()
    page.get_by_role("button", name="Save …").click()
    dialog.get_by_text("Added: the next sync reads it from the beginning.").wait_for()
    dialog.get_by_role("button", name="Save").click()
    page.get_by_text("The streams were saved").wait_for()
    [connection] = server.call("GET", f"{PUBLIC}/connections")["data"]
    assert {stream["name"] for stream in connection["configurations"]["streams"]} == {"articles", "sections"}

    # A change of the schema waits for a decision, and is accepted.
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Pause the connection and ask").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The settings were saved").wait_for()
    forget_field(server, "articles", "promoted")
    page.get_by_role("button", name="Sync now").click()
    page.get_by_text("The source schema changed and needs your decision").wait_for()
    page.get_by_text("articles.promoted").first.wait_for()
    page.get_by_role("link", name="Choose the streams").wait_for()
    accessible(page)
    page.get_by_role("button", name="Accept and resume").click()
    page.get_by_text("The connection resumes.").wait_for()
    page.get_by_role("tab", name="Overview").click()
    page.get_by_text("accepted a schema change: new fields: articles.promoted").wait_for()


def forget_field(server: Running, stream: str, field: str) -> None:
    """Make the catalog that a connection was made with older: without a field that the source has."""
    with sqlite3.connect(server.home / "kitestring.sqlite", timeout=60) as store:
        for connection_id, text in store.execute("SELECT id, catalog FROM connections").fetchall():
            catalog = json.loads(text)
            for entry in catalog["streams"]:
                if entry["name"] == stream:
                    del entry["json_schema"]["properties"][field]
            store.execute("UPDATE connections SET catalog = ? WHERE id = ?", (json.dumps(catalog), connection_id))
