"""The lists of the web interface: connections, sources and destinations, with many rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import OWN, PUBLIC, Running, accessible, fits, picture, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SECRET_PATH = "services/T000/s3cret"
MANY = 120
"""More than one page of the list."""


@dataclass
class Lists:
    """A server with more connections than a page has; one of them has been synced."""

    server: Running
    ids: dict[str, str]

    def status(self, name: str) -> str:
        status: str = self.server.call("GET", f"{PUBLIC}/connections/{self.ids[name]}")["status"]
        return status


@pytest.fixture(scope="module")
def lists(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Lists:
    folder = tmp_path_factory.mktemp("lists")
    people = server.make("source", "sample", "People", {"count": 60})
    lake = server.make("destination", "files", "Lake", {"path": str(folder)})
    server.make("source", "sample", "Unused", {"count": 1})
    users = {"name": "users", "syncMode": "full_refresh_overwrite"}
    ids = {}
    for number in range(MANY):
        name = f"Tickets {number:03}"
        body = {"name": name, "sourceId": people, "destinationId": lake, "configurations": {"streams": [users]}}
        ids[name] = server.call("POST", f"{PUBLIC}/connections", {**body, "prefix": f"p{number}_"})["connectionId"]
    urgent = {"name": "urgent", "color": "E03131", "workspaceId": server.workspace}
    server.call("POST", f"{PUBLIC}/tags", urgent)
    server.call("POST", f"{OWN}/connections/{ids['Tickets 007']}/sync")
    server.ended(ids["Tickets 007"])
    return Lists(server, ids)


def rows(page: Any) -> int:
    count: int = page.locator("[data-row]").count()
    return count


def test_connections_are_found_ordered_and_counted_by_status(visit: Callable[..., Any], lists: Lists) -> None:
    page = visit("/connections?page=99")
    page.get_by_role("row", name="Tickets 119").wait_for()
    page.get_by_text(f"101 to {MANY} of {MANY} connections").wait_for()
    page.get_by_label("Page 1", exact=True).click()
    page.get_by_role("row", name="Tickets 000").wait_for()
    assert rows(page) == 50
    page.get_by_role("button", name="Last sync").click()
    page.wait_for_url(re.compile("order=-lastSync"))
    until(page, "document.querySelector('[data-row]').innerText.includes('Tickets 007')")
    synced = page.get_by_role("row", name="Tickets 007")
    synced.get_by_text("Succeeded").wait_for()
    synced.get_by_text("60 records").wait_for()
    synced.get_by_text("under a minute old").or_(synced.get_by_text("min old")).wait_for()
    conditions = page.get_by_role("navigation", name="Status")
    conditions.get_by_role("link", name=f"Not run yet {MANY - 1}").wait_for()
    accessible(page)
    picture(page, "connections")
    conditions.get_by_role("link", name="Succeeded 1").click()
    until(page, "document.querySelectorAll('[data-row]').length === 1")
    page.get_by_role("button", name="Saved filters").click()
    page.get_by_label("Save the filters and the order as").fill("Those that work")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Clear the filters").click()
    until(page, "document.querySelectorAll('[data-row]').length === 50")
    page.get_by_label("Search connections").fill("ets 01")
    page.wait_for_url(re.compile("text="))
    until(page, "document.querySelectorAll('[data-row]').length === 10")
    page.get_by_role("button", name="Saved filters").click()
    page.get_by_role("button", name="Those that work", exact=True).click()
    until(page, "document.querySelectorAll('[data-row]').length === 1")
    assert "condition=succeeded" in page.url


def test_one_connection_is_paused_from_its_menu_and_many_at_once(visit: Callable[..., Any], lists: Lists) -> None:
    page = visit("/connections?text=ets 01")
    page.get_by_label("Actions for Tickets 011").click()
    page.get_by_role("menuitem", name="Pause").click()
    page.get_by_role("row", name="Tickets 011").get_by_text("Paused").wait_for()
    assert lists.status("Tickets 011") == "inactive"
    page.get_by_label("Actions for Tickets 011").press("Enter")
    page.get_by_role("menuitem", name="Resume").wait_for()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Actions for Tickets 011"
    page.get_by_label("Select Tickets 010").check()
    page.get_by_label("Select Tickets 013").click(modifiers=["Shift"])
    bar = page.get_by_role("toolbar", name="Selected connections")
    bar.get_by_text("4 selected").wait_for()
    bar.get_by_role("button", name="Pause").click()
    page.get_by_text("3 connections paused, 1 unchanged").wait_for()
    page.get_by_text("it is paused already").wait_for()
    accessible(page)
    picture(page, "connections-bulk")
    assert [lists.status(f"Tickets 01{n}") for n in range(5)] == ["inactive"] * 4 + ["active"]
    bar.get_by_role("button", name="Tags").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("urgent").check()
    dialog.get_by_label("New tag").fill("customer")
    dialog.get_by_role("button", name="Create").click()
    dialog.get_by_label("customer").wait_for()
    accessible(page)
    dialog.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("4 connections tagged").wait_for()
    page.get_by_role("row", name="Tickets 013").get_by_text("customer").wait_for()
    page.goto(f"{lists.server.url}/connections")
    page.get_by_label("Tag", exact=True).select_option(label="urgent (4)")
    until(page, "document.querySelectorAll('[data-row]').length === 4")


def test_sources_are_listed_with_how_many_connections_use_them(visit: Callable[..., Any], lists: Lists) -> None:
    sizes: list[int] = []
    page = visit("/connections")
    page.get_by_role("row", name="Tickets 000").wait_for()
    page.on("response", lambda answer: sizes.append(len(answer.body())) if "/api/" in answer.url else None)
    page.get_by_role("link", name="Sources").click()
    page.get_by_role("row").filter(has_text="People").get_by_text(f"{MANY} connections").wait_for()
    page.get_by_role("row").filter(has_text="Unused").get_by_text("No connection").wait_for()
    assert sum(sizes) < 20_000, sizes
    accessible(page)
    picture(page, "sources")
    page.get_by_role("link", name="People").click()
    page.get_by_role("heading", name="People").wait_for()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_lists_are_cards_on_a_phone_with_whole_badges(visit: Callable[..., Any], lists: Lists, dark: bool) -> None:
    for path, text in (("/connections?text=ets 00", "Tickets 007"), ("/sources", "People"), ("/destinations", "Lake")):
        page = visit(path, width=390, height=844, dark=dark)
        page.get_by_text(text).first.wait_for()
        fits(page)
        accessible(page)
        picture(page, f"list{path[:9].replace('/', '-')}-{'dark' if dark else 'light'}")
        elements = "[...document.querySelectorAll('[data-row] *')]"
        cut = "one => one.clientWidth && one.scrollWidth > one.clientWidth + 1"
        assert page.evaluate(f"{elements}.filter({cut}).map(one => one.outerHTML.slice(0, 200))") == []


def test_a_channel_is_set_once_and_ticked_for_its_events_and_the_audit_log_says_who(
    visit: Callable[..., Any], lists: Lists
) -> None:
    page = visit("/settings")
    channel = page.get_by_role("region", name="Slack or webhook")
    address = f"http://127.0.0.1:9/{SECRET_PATH}"
    channel.get_by_label("Address of the webhook").fill(address)
    channel.get_by_role("button", name="Test Slack or webhook").click()
    channel.get_by_role("alert").wait_for()  # nobody answers there
    channel.get_by_role("button", name="Save Slack or webhook").click()
    page.get_by_text("The notifications were saved").wait_for()
    page.get_by_label("Slack or webhook: A job failed").and_(page.locator(":checked")).wait_for()
    # They are ticked once the server has kept it.
    page.get_by_label("Slack or webhook: A job succeeded").click()
    page.get_by_label("Slack or webhook: A job succeeded").and_(page.locator(":checked")).wait_for()
    page.get_by_label("Slack or webhook: A connection was paused").click()
    page.get_by_label("Slack or webhook: A connection was paused").and_(page.locator(":not(:checked)")).wait_for()
    accessible(page)
    picture(page, "settings-notifications")
    page.get_by_label("Slack or webhook: A connection was paused").and_(page.locator(":enabled")).wait_for()
    stored = lists.server.call("GET", f"{PUBLIC}/workspaces/{lists.server.workspace}")["notifications"]
    events = {event: ways["webhook"] for event, ways in stored.items()}
    assert {webhook["url"] for webhook in events.values()} == {address}
    assert [event for event, webhook in events.items() if not webhook["enabled"]] == [
        "connectionUpdate",
        "syncDisabled",
    ]

    page.get_by_role("tab", name="Audit log").click()
    entry = page.get_by_role("listitem").filter(has_text="changed the notifications of the workspace").first
    entry.get_by_text("What changed").click()
    entry.get_by_text(re.compile(r"^Show (all )?\d+ values?$")).click()
    entry.get_by_text("notifications.syncDisabled.webhook.enabled").wait_for()
    assert SECRET_PATH not in page.content()
    accessible(page)
    picture(page, "settings-audit")
    page.get_by_role("combobox", name="What").click()
    page.get_by_role("option", name="tags of connections").click()
    page.wait_for_url(re.compile("kind=connection_tag"))
    page.get_by_text("A user without sign-in added the tag customer to").first.wait_for()
    page.get_by_role("link", name="Tickets 013").first.click()
    page.get_by_role("heading", name="Tickets 013").wait_for()


def test_usage_is_summed_up_by_month_and_connectors_tell_their_versions(
    visit: Callable[..., Any], lists: Lists
) -> None:
    page = visit("/usage")
    page.get_by_role("row", name="Tickets 007").get_by_text("60").first.wait_for()
    page.get_by_role("list", name="Records by month").get_by_text("60").wait_for()
    accessible(page)
    picture(page, "usage")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    header, row = Path(download.value.path()).read_text("utf-8").splitlines()
    assert header.startswith("period,connectionId,name,jobs")
    assert ",Tickets 007,1,0,60,60," in row
    page.get_by_text("Cost", exact=True).click()
    page.wait_for_url(re.compile("measure=costUsd"))
    page = visit("/settings?tab=updates", width=390, dark=True)
    page.get_by_text("All connectors in use are part of Kitestring").wait_for()
    fits(page)
    accessible(page)
    for path, text in (
        ("/usage", "Tickets 007"),
        ("/settings?tab=audit", "What changed"),
        ("/settings?tab=notifications", "A job failed"),
    ):
        page = visit(path, width=390, height=844, dark=True)
        page.get_by_role("heading", level=1).wait_for()
        page.get_by_text(text).first.wait_for()
        fits(page)
        accessible(page)
        picture(page, f"phone{path.replace('/', '-').replace('?tab=', '-')}")


def test_sources_are_sorted_and_searched_on_the_server_and_back_goes_back(
    visit: Callable[..., Any], lists: Lists
) -> None:
    for number in range(52):
        lists.server.make("source", "sample", f"Extra {number:02}", {"count": 1})
    page = visit("/sources?page=99")  # behind the last page
    page.get_by_text("51 to 54 of 54 sources").wait_for()
    page.get_by_role("button", name="Connections").click()
    until(page, "document.querySelector('[data-row]').innerText.includes('People')")
    assert rows(page) == 50
    page.get_by_role("button", name="Name").click()
    until(page, "document.querySelector('[data-row]').innerText.includes('Extra 00')")
    page.get_by_role("button", name="Name").click()
    until(page, "document.querySelector('[data-row]').innerText.includes('Unused')")
    page.get_by_role("link", name="Destinations").click()
    page.get_by_role("row", name="Lake").wait_for()
    page.go_back()
    search = page.get_by_label("Search the sources")
    search.fill("extra 3")  # 03, 13, 23, 30 to 39 and 43
    until(page, "document.querySelectorAll('[data-row]').length === 14")
    page.get_by_role("link", name="Extra 31").click()
    page.get_by_role("heading", name="Extra 31").wait_for()
    page.go_back()
    until(page, "document.querySelectorAll('[data-row]').length === 14")
    assert search.input_value() == "extra 3"

    # The wizard asks the server too.
    page.goto(f"{lists.server.url}/connections/new")
    answers: list[str] = []
    page.on("request", lambda request: answers.append(request.url) if "/sources?" in request.url else None)
    page.get_by_label("Search the sources").fill("extra 41")
    page.get_by_role("button", name="Extra 40").wait_for(state="detached")
    page.get_by_role("button", name="Extra 41").click()
    page.get_by_text("Where does it go?").wait_for()
    assert any("text=extra+41" in address or "text=extra%2041" in address for address in answers), answers
