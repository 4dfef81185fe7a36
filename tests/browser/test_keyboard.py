"""The tutorial with the keyboard alone: Tab, Enter, Escape, arrows and typing; each stop of the focus can be seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kitestring.testing.zendesk import ZendeskStandIn
from tests.browser.conftest import Running, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MOST_STOPS = 150
FEW_CARDS = "((cards) => cards > 0 && cards < 9)(document.querySelectorAll('section button').length)"
"""The search of connectors has been applied."""

FOCUS = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return {name: '', visible: true, tag: 'BODY'};
  // A switch without a size of its own is drawn by its label.
  const drawn = element.matches('[type=radio]') && element.offsetWidth < 2 ? element.labels[0] : element;
  const style = getComputedStyle(drawn);
  const words = text => (text ?? '').replace(/\\s+/g, ' ').trim();
  const label = element.labels?.length ? [...element.labels].map(each => each.innerText).join(' ') : '';
  const own = element.getAttribute('aria-label') || label || element.innerText || element.placeholder;
  const name = words(own);
  const {width, height, top, bottom} = drawn.getBoundingClientRect();
  const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
  // A field shows it by its border.
  const field = drawn.matches('input, textarea, select');
  const inside = bottom > 0 && top < innerHeight;
  const visible = width > 0 && height > 0 && inside && (outlined || field);
  return {name, id: element.id, tag: element.tagName, visible};
}"""


class Keys:
    """A person who has no pointer."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def focus(self) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate(FOCUS)
        assert found["visible"], f"the focus cannot be seen: {found}"
        return found

    def to(self, name: str, key: str = "Tab") -> None:
        """Press Tab until the focus is on what has this name or id."""
        seen = []
        for _ in range(MOST_STOPS):
            self.press(key)
            stop = self.focus()
            if stop["name"].startswith(name) or stop.get("id") == name:
                return
            seen.append(stop["name"][:40])
        raise AssertionError(f"{MOST_STOPS} stops do not lead to {name}: {seen}")

    def fill(self, name: str, text: str) -> None:
        self.to(name)
        self.press("Control+a")
        self.page.keyboard.type(text)


@pytest.fixture(scope="module")
def desk() -> Iterator[ZendeskStandIn]:
    with ZendeskStandIn(tickets=5) as stand_in:
        yield stand_in


def test_the_tutorial_is_walked_without_a_pointer(
    visit: Callable[..., Any], server: Running, desk: ZendeskStandIn, tmp_path: Path
) -> None:
    page = visit("/")
    page.get_by_role("link", name="New connection").wait_for()
    keys = Keys(page)

    # The first stop leads past the menu.
    keys.press("Tab")
    assert keys.focus()["name"] == "Skip to the content"
    keys.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    keys.to("New connection")
    keys.press("Enter")

    # The source.
    page.get_by_label("Search the connectors").wait_for()
    keys.fill("Search the connectors", "zendesk support")
    until(page, FEW_CARDS)
    keys.press("Enter")
    page.get_by_label("Subdomain").wait_for()
    keys.fill("Subdomain", desk.config["subdomain"])
    keys.fill("Client identifier", desk.client_credentials["client_id"])
    keys.fill("field-credentials.client_secret", desk.client_credentials["client_secret"])
    while True:
        keys.to("Optional settings")
        keys.press("Enter")
        if page.locator("[id='field-base_url']").count():
            break
    keys.fill("field-base_url", desk.url)
    keys.press("Enter")  # in a field, Enter sends the form

    # The destination.
    page.get_by_text("Where does it go?").wait_for()
    page.get_by_label("Search the connectors").wait_for()
    keys.fill("Search the connectors", "milvus")
    until(page, FEW_CARDS)
    keys.press("Enter")
    page.locator("#field-embedding").wait_for()
    keys.to("field-embedding")
    keys.press("ArrowDown")
    options = page.get_by_role("option")
    options.first.wait_for()
    for _ in range(options.count()):
        if page.locator("[role=option][data-combobox-selected]").inner_text().startswith("Fake"):
            break
        keys.press("ArrowDown")
    keys.press("Enter")
    keys.fill("field-indexing.host", str(tmp_path / "desk.db"))
    keys.fill("field-indexing.collection", "desk")
    keys.press("Enter")

    # The streams and the schedule: as they are offered.
    page.get_by_text("Which streams, and how?").wait_for()
    page.get_by_role("button", name="Unselect all").wait_for()
    keys.to("Unselect all")
    keys.press("Enter")
    keys.to("articles")
    keys.press("Space")
    keys.to("Next")
    keys.press("Enter")
    page.get_by_text("Schedule and name").wait_for()
    keys.to("Create the connection")
    keys.press("Enter")
    page.get_by_role("button", name="Start the first sync").wait_for()
    keys.to("Start the first sync")
    keys.press("Enter")
    until(page, "document.body.innerText.includes('Succeeded')", 600)
    # The clock of a page that was opened long before is not behind.
    assert not re.search(r"\bin \d+ seconds", page.locator("main").inner_text())

    # The palette takes the focus and gives it back.
    keys.to("Data")
    before = keys.focus()["name"]
    keys.press("Control+k")
    page.get_by_role("combobox", name="Jump to …").and_(page.locator(":focus")).wait_for()
    keys.press("Escape")
    page.get_by_role("combobox", name="Jump to …").wait_for(state="detached")
    until(page, f"document.activeElement.innerText === {before!r}")
    keys.press("Enter")
    page.get_by_role("heading", name="Data", level=1).wait_for()
    page.get_by_role("region", name="Rows of articles").wait_for()

    # So does a dialog.
    keys.press("Control+k")
    page.get_by_role("combobox", name="Jump to …").and_(page.locator(":focus")).wait_for()
    page.keyboard.type("zendesk support →")
    page.get_by_role("option", name="Zendesk Support → Milvus").first.wait_for()
    keys.press("Enter")
    page.get_by_role("tab", name="Overview").wait_for()
    keys.to("Overview")
    keys.press("End")
    until(page, "document.activeElement.innerText === 'Settings'")
    page.get_by_role("button", name="Delete …").wait_for()
    keys.to("Delete …")
    keys.press("Enter")
    dialog = page.get_by_role("dialog", name="Delete Zendesk Support → Milvus?")
    dialog.wait_for()
    until(page, "document.querySelector('[role=dialog]').contains(document.activeElement)")
    for _ in range(8):  # Tab stays inside
        keys.press("Tab")
        assert page.evaluate("document.querySelector('[role=dialog]').contains(document.activeElement)")
    keys.press("Escape")
    dialog.wait_for(state="detached")
    until(page, "document.activeElement.innerText === 'Delete …'")
