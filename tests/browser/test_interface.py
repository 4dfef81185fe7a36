"""The web interface's frame: served by a real server, shown by a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import accessible, fits, picture

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PLACES = ("Connections", "Sources", "Destinations")


def test_every_place_opens_from_the_menu_and_by_its_address(visit: Callable[..., Any]) -> None:
    page = visit("/")
    for name in PLACES:
        page.get_by_role("navigation").get_by_role("link", name=name).click()
        page.get_by_role("heading", name=name, level=1).wait_for()
        page.reload()
        page.get_by_role("heading", name=name, level=1).wait_for()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_places_are_accessible_and_fit_a_phone(visit: Callable[..., Any], dark: bool) -> None:
    for name in PLACES:
        page = visit(f"/{name.lower()}", width=390, height=844, dark=dark)
        page.get_by_role("heading", name=name, level=1).wait_for()
        fits(page)
        accessible(page)
        picture(page, f"{name.lower()}-phone-{'dark' if dark else 'light'}")


def test_an_address_that_is_none_says_so(visit: Callable[..., Any]) -> None:
    visit("/nowhere/at/all").get_by_text("Page not found").wait_for()
