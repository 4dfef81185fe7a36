"""The web interface's frame: its places, its addresses, and what it does when the server or the session is gone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import OWN, PUBLIC, Running, accessible, fits, picture

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PLACES = ("Connections", "Sources", "Destinations")
PASSWORD = "correct horse battery"


def menu(page: Any, name: str) -> Any:
    return page.get_by_role("navigation").get_by_role("link", name=name)


def heading(page: Any, name: str) -> Any:
    return page.get_by_role("heading", name=name, level=1)


def test_every_place_opens_from_the_menu_and_by_its_address(visit: Callable[..., Any]) -> None:
    page = visit("/sign-in")  # a server without users: there is nothing to sign in to
    heading(page, "Connections").wait_for()
    for name in PLACES:
        menu(page, name).click()
        heading(page, name).wait_for()
        page.reload()
        heading(page, name).wait_for()
    page.goto(re.sub(r"/[a-z]*$", "/nowhere/at/all", page.url))
    page.get_by_text("Page not found").wait_for()
    menu(page, "Jobs").click()
    heading(page, "Jobs").wait_for()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_places_are_accessible_and_fit_a_phone(visit: Callable[..., Any], dark: bool) -> None:
    page = visit("/connections", width=390, height=844, dark=dark)
    for name in PLACES:
        if name != "Connections":
            page.get_by_role("button", name="Menu", exact=True).click()
            accessible(page)
            menu(page, name).click()
        heading(page, name).wait_for()
        fits(page)
        accessible(page)
        picture(page, f"{name.lower()}-phone-{'dark' if dark else 'light'}")


def test_density_and_zone_are_chosen_for_this_browser(visit: Callable[..., Any]) -> None:
    page = visit("/connections")
    page.get_by_role("button", name="User menu").click()
    page.get_by_role("menuitem", name="Compact").click()
    page.get_by_role("menuitem", name="UTC", exact=True).click()
    accessible(page)
    page.reload()
    heading(page, "Connections").wait_for()
    assert page.evaluate("document.documentElement.dataset.density") == "compact"
    page.get_by_role("button", name="User menu").click()
    assert page.get_by_role("menuitem", name="UTC", exact=True).get_attribute("aria-current") == "true"


def test_the_palette_and_the_keys_lead_to_everything(
    visit: Callable[..., Any], server: Running, tmp_path: Path
) -> None:
    source = server.make("source", "sample", "Shop", {"count": 1})
    destination = server.make("destination", "files", "Lake", {"path": str(tmp_path / "lake")})
    body = {"name": "Shop to lake", "sourceId": source, "destinationId": destination}
    server.call("POST", f"{PUBLIC}/connections", body)
    page = visit("/connections")
    page.get_by_role("link", name="Shop to lake").wait_for()
    page.keyboard.press("j")
    page.locator("a:focus", has_text="Shop to lake").wait_for()
    page.keyboard.press("/")
    page.locator("main input:focus").wait_for()
    page.keyboard.press("c")  # typed, no key
    assert page.locator("main input:focus").input_value() == "c"
    page.keyboard.press("Backspace")

    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Jump to …")
    field.fill("sync shop")
    page.get_by_role("option", name="Sync Shop to lake").wait_for()
    accessible(page)
    picture(page, "palette")
    field.press("Enter")
    page.get_by_text("Sync of Shop to lake started.").wait_for()
    page.keyboard.press("Control+k")
    field.fill("shop to")
    page.get_by_role("option", name="Shop to lake").first.click()
    heading(page, "Shop to lake").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    accessible(page)
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Keys").wait_for(state="detached")
    page.keyboard.press("c")
    page.wait_for_url("**/connections/new*")


def test_a_workspace_is_made_and_renamed_and_unsaved_work_is_asked_about(visit: Callable[..., Any]) -> None:
    page = visit("/jobs")
    page.get_by_role("button", name="Workspace: Default Workspace").click()
    page.get_by_role("menuitem", name="New workspace …").click()
    page.get_by_label("Name").fill("Support")
    blurs = "[...document.querySelectorAll('*')].filter(one => getComputedStyle(one).backdropFilter !== 'none').length"
    assert page.evaluate(blurs) == 0
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(blurs) == 2  # the bar of the page, and the ground of the dialog
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="Create the workspace").click()
    page.get_by_role("button", name="Workspace: Support").click()
    page.get_by_role("menuitem", name="Rename this workspace …").click()
    name = page.get_by_label("Name of the workspace")
    name.fill("Help desk")
    menu(page, "Jobs").click()
    dialog = page.get_by_role("dialog", name="Leave with unsaved changes?")
    accessible(page)
    dialog.get_by_role("button", name="Leave", exact=True).click()
    heading(page, "Jobs").wait_for()
    page.go_back()
    name.wait_for()
    assert name.input_value() == "Help desk"
    page.get_by_role("button", name="Rename", exact=True).click()
    page.get_by_role("button", name="Workspace: Help desk").wait_for()
    menu(page, "Jobs").click()
    heading(page, "Jobs").wait_for()

    page.get_by_role("note").get_by_role("link", name="Add the first user").click()
    page.get_by_role("button", name="Add a user").wait_for()
    page.get_by_role("note").get_by_role("button", name="Dismiss").click()
    page.get_by_role("note").wait_for(state="detached")


def test_a_server_that_is_silent_leaves_the_page_and_its_return_brings_the_next_one(visit: Callable[..., Any]) -> None:
    page = visit("/connections")
    heading(page, "Connections").wait_for()
    page.context.set_offline(True)
    menu(page, "Destinations").click()
    page.get_by_text("This device is offline.").wait_for()
    assert menu(page, "Destinations").is_visible()
    accessible(page)
    page.context.set_offline(False)
    heading(page, "Destinations").wait_for()
    page.get_by_text("This device is offline.").wait_for(state="detached")


def test_code_that_an_upgrade_took_away_is_asked_for_again_and_then_reloaded(visit: Callable[..., Any]) -> None:
    page = visit("/connections")
    heading(page, "Connections").wait_for()
    requests: list[str] = []
    page.route("**/assets/JobsPage-*.js", lambda route: (requests.append(route.request.url), route.fulfill(status=404)))
    menu(page, "Jobs").click()
    page.get_by_text("This page did not load").wait_for()
    assert len(requests) > 1
    accessible(page)
    page.unroute_all()
    page.get_by_role("button", name="Reload").click()
    heading(page, "Jobs").wait_for()


def test_a_session_that_ends_is_renewed_over_the_page_and_nothing_is_lost(
    visit: Callable[..., Any], server: Running
) -> None:
    """The last test of this file: from then on the server asks everybody for credentials."""
    source = server.make("source", "sample", "Shop", {"count": 1})
    page = visit(f"/sources/{source}")
    page.get_by_label("Name").fill("Typed before the server had users")
    server.call("POST", f"{OWN}/users", {"email": "rosa@example.com", "password": PASSWORD})
    for round_, title in enumerate(("Sign-in is on now", "Your session has ended")):
        if round_:
            page.get_by_label("Name").fill("Typed before the session ended")
            page.context.clear_cookies()
        page.get_by_role("button", name="Test", exact=True).click()
        dialog = page.get_by_role("dialog", name=title)
        dialog.get_by_label("E-mail").fill("rosa@example.com")
        dialog.locator("input[type=password]").fill("wrong")
        dialog.get_by_role("button", name="Sign in", exact=True).click()
        dialog.get_by_text("The e-mail address or the password is wrong").wait_for()
        accessible(page)
        dialog.locator("input[type=password]").fill(PASSWORD)
        dialog.get_by_role("button", name="Sign in", exact=True).click()
        dialog.wait_for(state="detached")
        page.get_by_text("It works").wait_for()
        assert page.get_by_label("Name").input_value().startswith("Typed before")
    page.get_by_role("button", name="User menu").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.get_by_role("heading", name="Sign in to Kitestring").wait_for()
    accessible(page)
    picture(page, "sign-in")
