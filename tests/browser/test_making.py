"""Sources, destinations and connections made in the web interface, as a person makes them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitestring.testing.zendesk import ZendeskStandIn
from tests.browser.conftest import OWN, PUBLIC, Running, accessible, fits, picture

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SECRET = "t0p-s3cret-zendesk"
ZENDESK = {
    "subdomain": "acme",
    "credentials": {"credentials": "api_token", "email": "rosa@acme.example", "api_token": SECRET},
}


def test_a_source_a_destination_and_a_connection_from_nothing_to_the_first_sync(
    visit: Callable[..., Any], server: Running, tmp_path: Path
) -> None:
    page = visit("/connections/new")
    page.get_by_label("Search the connectors").fill("sampl")
    page.get_by_role("button", name="Sample").first.click()
    page.get_by_label("Name").fill("Shop")
    page.get_by_label("Count").fill("25")
    accessible(page)
    page.get_by_role("button", name="Test and save").click()

    page.get_by_role("heading", name="Where does it go?").wait_for()
    page.get_by_role("button", name="Files").first.click()
    page.get_by_role("button", name="Test and save").click()
    page.get_by_text("One field needs your attention.").wait_for()
    page.locator("#field-path:focus").wait_for()
    page.get_by_label("Name").fill("Lake")
    page.get_by_label("Path").fill(str(tmp_path / "lake"))
    page.get_by_role("button", name="Test and save").click()

    page.get_by_text("3 of 3 chosen").wait_for()
    assert page.get_by_label("Mode of users").input_value() == "incremental_deduped_history"
    page.get_by_role("checkbox", name="purchases", exact=True).uncheck()
    page.get_by_role("button", name="users", exact=True).click()
    fields = page.get_by_role("group", name="Fields of users")
    assert fields.get_by_role("checkbox", name="id", exact=True).is_disabled()
    fields.get_by_role("checkbox", name="email", exact=True).uncheck()
    accessible(page)
    page.get_by_role("button", name="users", exact=True).click()
    page.get_by_text("9 of 10 fields").wait_for()
    page.get_by_role("button", name="Next").click()

    assert page.get_by_label("Name").input_value() == "Shop → Lake"
    page.get_by_text("Manual", exact=True).click()
    accessible(page)
    page.get_by_role("button", name="Create the connection").click()
    page.get_by_role("button", name="Estimate").click()
    page.get_by_role("heading", name="Estimate of the first sync").wait_for()
    page.get_by_role("cell", name="25", exact=True).first.wait_for()
    page.get_by_text(re.compile(r"^\d+ records\.")).wait_for()
    accessible(page)
    page.set_viewport_size({"width": 390, "height": 844})
    fits(page)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("button", name="Start the first sync").click()
    page.wait_for_url(re.compile(r"/connections/[0-9a-f-]{36}$"))

    (connection,) = server.call("GET", f"{PUBLIC}/connections")["data"]
    users, products = connection["configurations"]["streams"]
    assert (users["name"], products["name"]) == ("users", "products")
    assert {"fieldPath": ["email"]} not in users["selectedFields"]
    assert len(users["selectedFields"]) == 9
    assert connection["schedule"]["scheduleType"] == "manual"
    job = server.ended(connection["connectionId"])
    assert job["status"] == "succeeded", job

    # What a source takes with it is said before it is deleted.
    page = visit(f"/sources/{connection['sourceId']}")
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("listitem").get_by_text("Shop → Lake").wait_for()
    delete = dialog.get_by_role("button", name="Delete the source")
    assert delete.is_disabled()
    dialog.get_by_label("Type “Shop”").fill("Shop")
    delete.click()
    page.wait_for_url(re.compile(r"/sources$"))
    assert not server.call("GET", f"{PUBLIC}/connections")["data"]


def test_a_secret_never_comes_back_and_stays_unless_another_is_entered(
    visit: Callable[..., Any], server: Running
) -> None:
    source = server.make("source", "zendesk_support", "Desk", ZENDESK)
    page = visit(f"/sources/{source}")
    token = page.locator("[id='field-credentials.api_token']")
    token.wait_for()
    assert token.input_value() == ""
    assert token.get_attribute("type") == "password"
    assert "Unchanged." in str(token.get_attribute("placeholder"))
    assert SECRET not in page.content()
    bodies: list[Any] = []
    page.on("request", lambda r: bodies.append(r.post_data) if r.method == "PUT" else None)
    page.get_by_label("Name").fill("Help desk")  # nothing to test: the configuration is the same
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The changes were saved").wait_for()
    assert json.loads(bodies[0])["configuration"]["credentials"]["api_token"] == "*" * 10
    stored = server.call("GET", f"{PUBLIC}/sources/{source}")
    assert (stored["name"], stored["configuration"]["credentials"]["api_token"]) == ("Help desk", "*" * 10)
    accessible(page)
    picture(page, "source")


def test_what_is_wrong_is_told_with_what_to_do_and_nothing_is_lost(visit: Callable[..., Any]) -> None:
    page = visit("/sources/new?connector=postgres")
    page.get_by_label("Host").fill("127.0.0.1")
    page.get_by_label("Port").fill("1")
    page.get_by_label("Database").fill("shop")
    page.get_by_role("button", name="Test and save").click()
    page.get_by_role("alert").get_by_text("The test failed, nothing was saved").wait_for()
    page.locator("#field-host[aria-invalid=true]:focus").wait_for()
    assert "127.0.0.1" in page.locator("#field-host-error").inner_text()
    assert page.get_by_label("Database").input_value() == "shop"
    accessible(page)


def test_every_connector_of_ours_has_a_form_whose_needed_fields_are_marked(
    visit: Callable[..., Any], server: Running
) -> None:
    page = visit("/sources")
    for kind in ("source", "destination"):
        for connector in server.call("GET", f"{OWN}/connectors?kind={kind}&native=true")["data"]:
            spec = server.call("GET", f"{OWN}/connectors/{kind}/{connector['type']}")["spec"]
            # Within the interface, as a click on the connector does it: the whole page need not load 40 times.
            page.evaluate("path => history.pushState({}, '', path)", f"/{kind}s/new?connector={connector['type']}")
            page.get_by_role("heading", name=f"New {kind}", level=1).wait_for()
            page.get_by_role("main").get_by_text(connector["name"], exact=True).first.wait_for()
            page.get_by_role("button", name="Test and save").wait_for()
            for name in spec.get("required", ()):
                schema = spec["properties"][name]
                if (
                    schema.get("airbyte_hidden")
                    or "oneOf" in schema
                    or schema["type"] in ("object", "boolean", "array")
                ):
                    continue
                field = page.locator(f"[id='field-{name}']")
                assert field.get_attribute("required") is not None, (
                    f"{connector['name']}: {name} is not marked as needed"
                )
            accessible(page)


def test_access_given_at_the_vendor_comes_back_to_the_form_that_asked_for_it(
    visit: Callable[..., Any], server: Running
) -> None:
    page = visit("/sources/new?connector=zendesk-support")
    page.get_by_label("Subdomain").fill("acme")
    # Without a client at the vendor nobody can sign in there: an admin registers one.
    assert page.get_by_role("button", name="Grant access").count() == 0
    page.get_by_role("button", name="Register an OAuth client").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("/api/public/v1/oauth/callback").wait_for()
    dialog.get_by_label("Client ID").fill("kitestring")
    dialog.locator("input[type=password]").fill("s3cret")
    accessible(page)
    dialog.get_by_role("button", name="Register it").click()
    page.get_by_role("button", name="Grant access").wait_for()
    consents: list[Any] = []

    def consent(route: Any) -> None:
        consents.append(route.request.post_data_json)
        # The vendor's page is left out (the server's tests play it): the browser comes back from there at once.
        route.fulfill(json={"consentUrl": f"{consents[0]['redirectUrl']}?secret_id=5ecre7"})

    page.route(
        f"**{OWN}/consents", lambda route: consent(route) if route.request.method == "POST" else route.continue_()
    )
    with page.expect_popup():
        page.get_by_role("button", name="Grant access").click()
    page.get_by_text("Access granted. Save the source to keep it").wait_for()
    assert consents[0]["configuration"]["subdomain"] == "acme"
    sources: list[Any] = []
    page.route(f"**{PUBLIC}/sources", lambda route: (sources.append(route.request.post_data_json), route.abort()))
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("The server does not answer").wait_for()
    assert sources[0]["secretId"] == "5ecre7"
    assert page.get_by_label("Subdomain").input_value() == "acme"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_pages_of_making_fit_a_phone(visit: Callable[..., Any], server: Running, dark: bool) -> None:
    for path, text in (
        ("/sources/new", "Zendesk Support"),
        ("/sources/new?connector=zendesk-support", "Subdomain"),
        ("/destinations/new?connector=milvus", "Chunk size"),
    ):
        page = visit(path, width=390, height=844, dark=dark)
        page.get_by_text(text).first.wait_for()
        fits(page)
        accessible(page)
        picture(page, f"phone-{'dark' if dark else 'light'}{path.replace('/', '-').partition('?')[0]}")


def test_a_thousand_streams_are_chosen_from_without_waiting(
    visit: Callable[..., Any], server: Running, tmp_path: Path
) -> None:
    source = server.make("source", "sample", "Wide", {"count": 1})
    destination = server.make("destination", "files", "Lake", {"path": str(tmp_path / "lake")})
    page = visit("/sources")
    (users,) = [
        stream
        for stream in server.call("GET", f"{PUBLIC}/streams?sourceId={source}&destinationId={destination}")
        if stream["streamName"] == "users"
    ]
    # The source of a test with a thousand streams: what its API answers is repeated under other names.
    many = [{**users, "streamName": f"stream_{n:04}"} for n in range(1000)]
    page.route("**/api/public/v1/streams?*", lambda route: route.fulfill(json=many))
    page.goto(f"{server.url}/connections/new?source={source}&destination={destination}")
    page.get_by_text("1,000 of 1,000 chosen").wait_for()
    drawn = page.get_by_role("listitem").count()
    assert drawn < 60, f"{drawn} of 1,000 rows are drawn"
    page.get_by_role("button", name="Unselect all").click()
    page.get_by_text("0 of 1,000 chosen").wait_for()
    page.get_by_label("Search the streams").fill("_0999")
    page.get_by_role("checkbox", name="stream_0999").check()
    page.get_by_text("1 of 1,000 chosen").wait_for()
    assert page.get_by_role("button", name="Next").is_enabled()


def test_the_streams_of_a_connection_are_shown_beside_what_the_source_has_otherwise(
    visit: Callable[..., Any], server: Running, tmp_path: Path
) -> None:
    source = server.make("source", "sample", "Changing", {"count": 1})
    destination = server.make("destination", "files", "Lake", {"path": str(tmp_path / "lake")})
    connection = server.call("POST", f"{PUBLIC}/connections", {"sourceId": source, "destinationId": destination})
    streams = server.call("GET", f"{PUBLIC}/streams?sourceId={source}&destinationId={destination}")
    # A source of which one stream has gone, and which has another one and a field more.
    changes: dict[str, list[str]] = {kind: [] for kind in ("goneFields", "otherTypes", "breaking")}
    changes |= {"newStreams": ["refunds"], "goneStreams": ["purchases"], "newFields": ["users.nickname"]}
    now = [stream for stream in streams if stream["streamName"] != "purchases"] + [
        {**streams[0], "streamName": "refunds"}
    ]
    page = visit("/sources", dark=True)
    page.route("**/diff", lambda route: route.fulfill(json=changes))
    page.route("**/api/public/v1/streams?*", lambda route: route.fulfill(json=now))
    page.goto(f"{server.url}/connections/{connection['connectionId']}?tab=streams")
    page.get_by_text("3 of 4 chosen").wait_for()
    page.get_by_role("button", name="Refresh the schema").click()
    page.get_by_text("users.nickname").wait_for()
    page.get_by_text("One stream was removed from the source").wait_for()
    accessible(page)
    page.get_by_role("button", name="Save …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Removed. Its data in Lake stays.").wait_for()
    dialog.get_by_role("button", name="Save").click()
    page.get_by_text("The streams were saved").wait_for()
    stored = server.call("GET", f"{PUBLIC}/connections/{connection['connectionId']}")["configurations"]["streams"]
    assert [stream["name"] for stream in stored] == ["users", "products"]


def test_what_is_kept_is_checked_from_the_list(visit: Callable[..., Any], server: Running) -> None:
    server.make("source", "sample", "Working", {"count": 1})
    page = visit("/sources", dark=True)
    row = page.get_by_role("row").filter(has_text="Working")
    row.get_by_text("Not tested").wait_for()
    row.get_by_role("button", name="Test Working").click()
    row.get_by_text("Works").wait_for()
    page.reload()
    row.get_by_text("Works").wait_for()
    accessible(page)
    picture(page, "sources")


def test_the_page_of_a_source_says_when_its_credentials_end(visit: Callable[..., Any], server: Running) -> None:
    with ZendeskStandIn() as zendesk:
        config = {**zendesk.config, "credentials": zendesk.api_token_credentials}
        source_id = server.make("source", "zendesk_support", "With an API token", config)
        assert server.call("POST", f"{OWN}/sources/{source_id}/check")["status"] == "succeeded"
    for width in (390, 1440):
        page = visit(f"/sources/{source_id}", width=width)
        ends = page.get_by_role("status").filter(has_text="The API token expires on")
        ends.wait_for()
        assert "Create an OAuth client" in ends.inner_text()
        fits(page)
        accessible(page)
        picture(page, f"credentials-{width}")
