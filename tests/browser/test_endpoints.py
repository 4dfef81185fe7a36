"""The choice of a connector, and the form of a source or destination: tested, then saved, with errors at the field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from kitestring.testing.zendesk import ZendeskStandIn
from tests.browser.conftest import PUBLIC, Running, accessible, fits, picture

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_connector_is_found_by_what_it_moves_and_marked_where_it_is_used(
    visit: Callable[..., Any], server: Running
) -> None:
    server.make("source", "sample", "Shop", {"count": 1})
    page = visit("/sources/new", width=1440)
    ours = page.get_by_role("region", name="Part of Kitestring")
    assert "Sample data\nUsed here" in ours.get_by_role("button").first.inner_text()
    ours.get_by_role("button", name="GitHub").locator("svg[data-connector-icon=github] path").wait_for()
    accessible(page)
    picture(page, "catalog")
    page.get_by_text("Help desk", exact=True).first.click()
    page.get_by_role("region", name="From Airbyte's registry").get_by_role("button", name="Gorgias").wait_for()
    assert page.get_by_role("button", name="Stripe").count() == 0
    page.get_by_label("Search the connectors").fill("conversations tickets")
    page.get_by_role("button", name="Intercom").wait_for()
    page.get_by_label("Search the connectors").press("Enter")
    page.wait_for_url(re.compile("connector="))


def test_a_wrong_token_is_said_at_its_field_and_a_right_one_is_tested_and_saved(
    visit: Callable[..., Any], server: Running
) -> None:
    with ZendeskStandIn() as zendesk:
        page = visit("/sources/new?connector=zendesk-support")
        page.get_by_label("Name").fill("Desk")
        subdomain = page.locator("#field-subdomain")
        subdomain.fill("https://acme.zendesk.com/agent")
        page.get_by_role("button", name="Use acme").click()
        assert subdomain.input_value() == "acme"
        # What was entered survives a visit elsewhere.
        page.get_by_role("link", name="Jobs").click()
        page.get_by_role("button", name="Leave", exact=True).click()
        page.get_by_role("heading", name="Jobs").wait_for()
        page.go_back()
        page.get_by_text("Your earlier input was restored").wait_for()
        assert (page.get_by_label("Name").input_value(), subdomain.input_value()) == ("Desk", "acme")
        start = page.locator("#field-start_date")
        start.fill("2025-13-01")
        subdomain.focus()
        page.get_by_text("Enter YYYY-MM-DDTHH:mm:ssZ, for example 2024-01-01T00:00:00Z.").wait_for()
        start.fill("2025-01-01")
        subdomain.focus()
        assert start.input_value() == "2025-01-01T00:00:00Z"
        page.get_by_role("button", name="Pick Start date").click()
        page.get_by_role("button", name="15 January 2025").click()
        assert start.input_value() == "2025-01-15T00:00:00Z"

        page.locator("#field-credentials").click()
        page.get_by_role("option", name="API Token").click()
        page.get_by_label("Email").fill(zendesk.api_token_credentials["email"])
        token = page.locator("[id='field-credentials.api_token']")
        token.fill("wrong")
        page.get_by_role("button", name="Optional settings").last.click()
        page.get_by_label("Base URL").fill(zendesk.url)
        page.get_by_role("button", name="Test and save").click()
        page.get_by_role("alert").get_by_text("The test failed, nothing was saved").wait_for()
        page.locator("[id='field-credentials.api_token'][aria-invalid=true]:focus").wait_for()
        assert "401" in page.locator("[id='field-credentials.api_token-error']").inner_text()
        accessible(page)
        picture(page, "wrong-token")
        assert not [s for s in server.call("GET", f"{PUBLIC}/sources")["data"] if s["name"] == "Desk"]

        token.fill(zendesk.api_token_credentials["api_token"])
        assert page.locator("[id='field-credentials.api_token'][aria-invalid=true]").count() == 0
        page.get_by_role("button", name="Test and save").dblclick()
        page.wait_for_url(re.compile("/sources/[0-9a-f-]{36}$"))
        page.get_by_text("Works", exact=True).wait_for()
        (saved,) = [s for s in server.call("GET", f"{PUBLIC}/sources")["data"] if s["name"] == "Desk"]
        assert saved["configuration"]["start_date"] == "2025-01-15T00:00:00Z"

        # A change is tested too, and can be saved although the test fails.
        token.fill("wrong")
        page.get_by_role("button", name="Test and save").click()
        page.get_by_role("button", name="Save anyway").click()
        page.get_by_text("The changes were saved").wait_for()
        page.get_by_text("Fails", exact=True).wait_for()
        accessible(page)
    for width in (390, 1440):
        page = visit("/sources", width=width, dark=width == 390)
        row = page.get_by_role("row").filter(has_text="Desk")
        row.get_by_text("Fails", exact=True).wait_for()
        fits(page)
        accessible(page)
        picture(page, f"sources-{width}")


def test_chunks_that_are_larger_than_the_model_reads_are_said_at_the_field(visit: Callable[..., Any]) -> None:
    page = visit("/destinations/new?connector=milvus")
    page.locator("[id='field-indexing.host']").fill("./chunks.db")
    page.locator("[id='field-indexing.collection']").fill("tickets")
    page.locator("[id='field-processing.text_fields']").fill("subject")
    page.locator("#field-embedding").click()
    page.get_by_role("option", name="Local").click()
    page.locator("[id='field-processing.chunk_size']").fill("1000")
    page.get_by_text("larger chunks are cut to that size").wait_for()
    accessible(page)
    picture(page, "advice")
    page.get_by_role("button", name="Use 254").click()
    page.get_by_text("larger chunks are cut to that size").wait_for(state="hidden")
    assert page.locator("[id='field-processing.chunk_size']").input_value() == "254"


def test_who_changes_a_source_that_somebody_else_saves_keeps_both_changes(
    visit: Callable[..., Any], server: Running
) -> None:
    source = server.make("source", "sample", "People", {"count": 5, "seed": 1})
    path = f"{PUBLIC}/sources/{source}"
    page = visit(f"/sources/{source}")
    page.get_by_label("Name").fill("Crew")
    server.call("PATCH", path, {"configuration": {"count": 7}})
    page.get_by_role("button", name="Test and save").or_(page.get_by_role("button", name="Save", exact=True)).click()
    page.get_by_text("Somebody else saved changes meanwhile").wait_for()
    accessible(page)
    assert page.get_by_label("Name").input_value() == "Crew"
    assert page.locator("#field-count").input_value() == "7"
    assert server.call("GET", path)["name"] == "People"
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("The changes were saved").wait_for()
    saved = server.call("GET", path)
    assert (saved["name"], saved["configuration"]["count"]) == ("Crew", 7)
    # Both change one field: the page names it.
    page.get_by_label("Name").fill("Mine")
    server.call("PATCH", path, {"name": "Yours"})
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("You both changed: Name.").wait_for()
    page.get_by_role("button", name="Discard my changes").click()
    assert page.get_by_label("Name").input_value() == "Yours"
