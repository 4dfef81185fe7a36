"""The connector builder: connectors from nothing, from documents and from others, published, synced and searched."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stand_ins.github import GitHubStandIn
from stand_ins.workshop import CLIENT, SECRET, TOKEN, WorkshopStandIn

from kitestring.testing.zendesk import ZendeskStandIn
from tests.browser.builder_walk import PROJECTS, Walk, first_hit, synced, until_stored
from tests.browser.conftest import OWN, PUBLIC, ROOT, Running, accessible, fits, picture, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def desk() -> Iterator[ZendeskStandIn]:
    with ZendeskStandIn(tickets=60) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def workshop() -> Iterator[WorkshopStandIn]:
    with WorkshopStandIn() as stand_in:
        yield stand_in


def test_a_curl_line_becomes_a_connector_whose_token_is_in_no_text(
    visit: Callable[..., Any], server: Running, workshop: WorkshopStandIn, tmp_path: Path
) -> None:
    page = visit("/", width=1440)
    walk = Walk(page)
    line = f"curl '{workshop.url}/v1/invoices?limit=20' -H 'Authorization: Bearer {TOKEN}'"
    walk.begin("A cURL line", "cURL line", line)
    project = walk.opened()
    walk.read()
    page.get_by_text("The answer has a list of 20 objects in “data”").wait_for()
    accessible(page)
    assert "20 records" in walk.take_records()
    page.get_by_role("region", name="Records").get_by_text("Invoice 1:").wait_for()
    picture(page, "builder-test")

    # The answer as a tree, the request as cURL with its secret masked, the log.
    walk.click("tab", "Answer")
    page.get_by_role("region", name="Answer as a tree").get_by_role("button", name=re.compile("2025-01-06T09")).click()
    page.get_by_role("button", name="“updated_at” tells what is new").wait_for()
    accessible(page)
    # What was chosen to be seen stays for the next read.
    page.get_by_role("radiogroup", name="Form of the answer").get_by_text("JSON").click()
    walk.read()
    page.get_by_role("region", name="Answer as JSON").wait_for()
    walk.click("tab", "Request")
    curl = page.get_by_role("region", name="Request as cURL").inner_text()
    assert "limit=20" in curl
    assert "Authorization: **********" in curl
    assert TOKEN not in page.content()
    stored = server.call("GET", f"{PROJECTS}/{project}")
    assert TOKEN not in json.dumps(stored)
    assert "**********" in json.dumps(stored["testConfiguration"])

    walk.publish()
    accessible(page)
    definition = server.call("GET", f"{PROJECTS}/{project}")["definitionId"]
    (field,) = stored["testConfiguration"]
    destination = synced(server, tmp_path, definition, {field: TOKEN}, ["invoices"])
    invoice = workshop.rows["invoices"][0]
    assert invoice["name"] in first_hit(server, destination, f"{invoice['name']}\n\n{invoice['text']}")["text"]
    assert walk.clicks <= 12, walk.clicks


def test_an_openapi_document_of_twenty_lists_becomes_a_connector(
    visit: Callable[..., Any], server: Running, workshop: WorkshopStandIn, tmp_path: Path
) -> None:
    page = visit("/", width=1440)
    walk = Walk(page)
    walk.begin("An OpenAPI document", "OpenAPI document", f"{workshop.url}/openapi.json")
    page.get_by_role("checkbox", name="projects").wait_for()
    assert page.get_by_role("list", name="Streams of the document").get_by_role("checkbox").count() == 20
    accessible(page)
    walk.click("checkbox", "holidays")
    walk.click("button", "Create with 19 streams")
    project = walk.opened()
    page.get_by_role("region", name="Test").get_by_role("textbox", name="API token").fill(TOKEN)
    assert "12 records" in walk.read()
    accessible(page)

    # The tasks of each project: a parent stream, by the path of the document alone.
    walk.click("button", "tasks", page.get_by_role("navigation", name="Parts of the connector"), exact=True)
    figures = walk.read("limits")
    assert "35 records" in figures
    assert "5 slices" in figures
    walk.click("button", "Raise the limits and read again")
    assert "84 records" in walk.figures()
    page.set_viewport_size({"width": 390, "height": 844})
    fits(page)
    accessible(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    walk.publish()
    definition = server.call("GET", f"{PROJECTS}/{project}")["definitionId"]
    destination = synced(server, tmp_path, definition, {"api_token": TOKEN}, ["projects", "tasks"])
    task = workshop.rows["tasks"][50]
    assert task["name"] in first_hit(server, destination, f"{task['name']}\n\n{task['text']}")["text"]
    assert walk.clicks <= 13, walk.clicks


def test_a_connector_of_this_server_is_copied_byte_for_byte_and_changed_in_its_yaml(
    visit: Callable[..., Any], server: Running, desk: ZendeskStandIn, tmp_path: Path
) -> None:
    page = visit("/", width=1440)
    walk = Walk(page)
    walk.click("link", "Builder")
    walk.click("link", "New connector")
    walk.click("radio", "A connector")
    page.get_by_label("Search the connectors").fill("zendesk")
    walk.click("button", "Zendesk Support")
    project = walk.opened()
    written = (ROOT / "kitestring" / "sources" / "manifests" / "zendesk_support.yaml").read_text("utf-8")
    assert server.call("GET", f"{PROJECTS}/{project}")["manifest"] == written
    page.get_by_text("YAML", exact=True).click()
    editor = page.get_by_role("textbox", name="YAML of the connector")
    editor.wait_for()
    accessible(page)
    editor.press("Control+Home")
    page.keyboard.type("# ours\n")
    until_stored(server, page, project, "# ours\n" + written)
    undo = page.get_by_role("button", name="Undo")
    while undo.is_enabled():
        undo.click()
        page.wait_for_timeout(50)
    page.get_by_text("All changes are saved").wait_for()
    until_stored(server, page, project, written)

    walk.publish()
    definition = server.call("GET", f"{PROJECTS}/{project}")["definitionId"]
    destination = synced(server, tmp_path, definition, desk.config, ["tickets"])
    ticket = next(iter(desk.desk.tickets.values()))
    text = f"{ticket['subject']}\n\n{ticket['description']}"
    assert ticket["subject"] in first_hit(server, destination, text)["text"]


def test_a_change_of_a_colleague_is_never_overwritten(
    visit: Callable[..., Any], server: Running, workshop: WorkshopStandIn
) -> None:
    page = visit("/", width=1440)
    walk = Walk(page)
    walk.begin("Nothing yet", "Name", "Shared")
    project = walk.opened()
    stored = server.call("GET", f"{PROJECTS}/{project}")
    theirs = "# theirs\n" + stored["manifest"]
    server.call("PATCH", f"{PROJECTS}/{project}", {"revision": stored["revision"], "manifest": theirs})
    page.get_by_text("YAML", exact=True).click()
    editor = page.get_by_role("textbox", name="YAML of the connector")
    editor.press("Control+Home")
    page.keyboard.type("# mine\n")
    alert = page.get_by_role("alert").filter(has_text="Somebody else has changed this connector")
    alert.wait_for()
    accessible(page)
    alert.get_by_role("button", name="Show the difference").click()
    alert.get_by_text("# theirs").wait_for()
    alert.get_by_role("button", name="Go on with theirs").click()
    alert.wait_for(state="hidden")
    assert server.call("GET", f"{PROJECTS}/{project}")["manifest"] == theirs
    # What was mine comes back by Undo, and is saved as a change of theirs.
    page.get_by_role("button", name="Undo").click()
    until_stored(server, page, project, "# mine\n" + stored["manifest"])


def test_from_the_address_of_zendesks_tickets_to_a_search_in_milvus(
    visit: Callable[..., Any], server: Running, desk: ZendeskStandIn, tmp_path: Path
) -> None:
    page = visit("/", width=1440)
    walk = Walk(page)
    walk.begin("An address", "Address", f"{desk.url}/api/v2/tickets?page[size]=20")
    project = walk.opened()
    picture(page, "builder-stream")

    # Without a token the answer is shown, with its status.
    walk.read("Ended with an error")
    page.get_by_role("region", name="Test", exact=True).get_by_text("401").first.wait_for()
    walk.part("Authentication")
    walk.click("combobox", "Kind")
    walk.click("option", "Bearer")
    accessible(page)
    page.get_by_role("region", name="Test", exact=True).get_by_role("textbox", name="Api key").fill(desk.access_token)
    walk.read()
    assert "20 records" in walk.take_records()
    walk.part("tickets")
    titles = walk.suggest()
    assert len(titles) >= 3, titles
    picture(page, "builder-suggested")
    figures = walk.read()
    assert "3 pages" in figures
    # A click on a value of the answer makes the stream incremental.
    walk.click("tab", "Answer")
    tree = page.get_by_role("region", name="Answer as a tree")
    tree.get_by_role("listitem").filter(has_text=re.compile("^updated_at:")).get_by_role("button").first.click()
    walk.click("button", "“updated_at” tells what is new")
    walk.clicks += 1
    walk.read()
    walk.click("tab", "State")
    walk.click("button", "Read again from this state")
    page.get_by_role("region", name="Test", exact=True).get_by_role("status").filter(
        has_text="Read to its end"
    ).wait_for()
    manifest = server.call("GET", f"{PROJECTS}/{project}")["manifest"]
    assert "after_cursor" in manifest or "links" in manifest
    assert "DatetimeBasedCursor" in manifest
    accessible(page)
    walk.publish()
    walk.click("link", "Make a connection with it")

    page.get_by_role("textbox", name="Api key").fill(desk.access_token)
    walk.click("button", "Test and save")
    if server.call("GET", f"{PUBLIC}/destinations")["data"]:  # of other tests
        walk.click("button", "New destination")
    page.get_by_label("Search the connectors").fill("milvus")
    walk.click("button", "Milvus")
    page.locator("[id='field-processing.chunk_size']").fill("200")
    page.get_by_role("combobox", name="Text fields to embed").wait_for()
    walk.click("combobox", "Embedding")
    walk.click("option", "Fake")
    page.locator("[id='field-indexing.host']").fill(str(tmp_path / "helpdesk.db"))
    page.locator("[id='field-indexing.collection']").fill("helpdesk")
    walk.click("button", "Test and save")
    walk.click("button", "Next")
    walk.click("button", "Create the connection")
    walk.click("button", "Start the first sync")
    until(page, "document.body.innerText.includes('Succeeded')", 300)
    destinations = server.call("GET", f"{PUBLIC}/destinations")["data"]
    destination = next(each["destinationId"] for each in destinations if each["name"] == "Milvus")
    assert first_hit(server, destination, "I cannot sign in")["stream"] == "tickets"
    assert walk.clicks <= 40, walk.clicks


@pytest.fixture(scope="module")
def github() -> Iterator[GitHubStandIn]:
    with GitHubStandIn() as stand_in:
        yield stand_in


def test_from_the_address_of_githubs_commits_to_two_repositories_as_partitions(
    visit: Callable[..., Any], server: Running, github: GitHubStandIn, tmp_path: Path
) -> None:
    first, second = list(github.repositories)[:2]
    page = visit("/", width=1440)
    walk = Walk(page)
    walk.begin("An address", "Address", f"{github.url}/repos/{first}/issues?per_page=20&state=all")
    project = walk.opened()
    walk.part("Authentication")
    walk.click("combobox", "Kind")
    walk.click("option", "Bearer")
    page.get_by_role("region", name="Test", exact=True).get_by_role("textbox", name="Api key").fill(github.token)
    assert "20 records" in walk.read()
    walk.part("issues")
    titles = walk.suggest()
    page.get_by_label("Path", exact=True).first.fill("repos/{{ stream_partition['item'] }}/issues")
    page.get_by_role("group", name="Partitions").get_by_role("button", name=re.compile("^Partitions")).click()
    walk.clicks += 1
    walk.click("combobox", "Repeat the requests for")
    walk.click("option", "Each value of a list")
    values = page.get_by_role("group", name="Partitions").get_by_label("Values", exact=True)
    values.press("Backspace")
    values.press("Backspace")
    for name in (first, second):
        values.fill(name)
        values.press("Enter")
    figures = walk.read("Read as far as the limits")
    assert "2 slices" in figures, figures
    manifest = server.call("GET", f"{PROJECTS}/{project}")["manifest"]
    assert "link" in manifest, titles
    accessible(page)
    walk.publish()
    definition = server.call("GET", f"{PROJECTS}/{project}")["definitionId"]
    destination = synced(server, tmp_path, definition, {"api_key": github.token}, ["issues"])
    for name in (first, second):
        issue = github.repositories[name].issues[1]
        assert issue["title"] in first_hit(server, destination, f"{issue['title']}\n\n{issue['body']}")["text"]
    assert walk.clicks <= 21, walk.clicks


def test_an_api_with_oauth_and_a_parent_stream(
    visit: Callable[..., Any], server: Running, workshop: WorkshopStandIn, tmp_path: Path
) -> None:
    page = visit("/", width=1440)
    walk = Walk(page)
    walk.begin("An OpenAPI document", "OpenAPI document", f"{workshop.url}/openapi.json")
    page.get_by_role("checkbox", name="projects").wait_for()
    walk.click("checkbox", "All")
    walk.click("checkbox", "projects")
    walk.click("checkbox", "tasks")
    walk.click("button", "Create with 2 streams")
    project = walk.opened()
    walk.part("Authentication")
    walk.click("combobox", "Kind")
    walk.click("option", "OAuth (client credentials)")
    at = "builder-definitions-requester-authenticator"
    page.locator(f"#{at}-token_refresh_endpoint").fill(f"{workshop.url}/oauth/token")
    pane = page.get_by_role("region", name="Test", exact=True)
    # Nothing reads the token of the document any more.
    pane.get_by_role("textbox", name="API token").wait_for(state="hidden")
    pane.get_by_role("textbox", name="Client id").fill(CLIENT)
    # Letter by letter: the panel stays when the last missing input has begun.
    pane.get_by_role("textbox", name="Client secret").press_sequentially(SECRET)
    walk.part("tasks")
    # Suggestions are tried with the inputs on the page: they are kept first.
    pane.get_by_role("button", name="Suggest settings").click()
    suggestions = page.get_by_role("dialog", name="Suggest settings")
    suggestions.get_by_role("button", name="Try on the API").wait_for()
    assert server.call("GET", f"{PROJECTS}/{project}")["testConfiguration"]["client_id"] == CLIENT
    suggestions.get_by_role("button", name="Close").first.click()
    suggestions.wait_for(state="hidden")
    figures = walk.read("limits")
    assert "35 records" in figures, figures
    accessible(page)
    walk.publish()
    definition = server.call("GET", f"{PROJECTS}/{project}")["definitionId"]
    config = {"client_id": CLIENT, "client_secret": SECRET}
    destination = synced(server, tmp_path, definition, config, ["tasks"])
    task = workshop.rows["tasks"][50]
    assert task["name"] in first_hit(server, destination, f"{task['name']}\n\n{task['text']}")["text"]
    assert walk.clicks <= 21, walk.clicks


def test_an_account_signs_in_at_the_vendor_from_the_test_of_a_draft(
    visit: Callable[..., Any], server: Running, workshop: WorkshopStandIn
) -> None:
    page = visit("/", width=1440)
    walk = Walk(page)
    walk.begin("An address", "Address", f"{workshop.url}/v1/teams")
    project = walk.opened()
    walk.part("Authentication")
    walk.click("combobox", "Kind")
    walk.click("option", "OAuth")
    at = "builder-definitions-requester-authenticator"
    page.locator(f"#{at}-token_refresh_endpoint").fill(f"{workshop.url}/oauth/token")
    walk.click("button", re.compile("^Consent in the browser"))
    walk.click("button", "Add consent")
    section = "builder-spec-advanced_auth-oauth_config_specification-oauth_connector_input_specification"
    for name, path in (("consent_url", "authorize"), ("access_token_url", "token")):
        field = page.locator(f"#{section}-{name}")
        written = field.input_value()
        field.fill(written.replace(f"https://example.com/oauth/{path}", f"{workshop.url}/oauth/{path}"))
    page.get_by_role("switch", name="PKCE (S256)").click()
    workshop.pkce = "required"
    pane = page.get_by_role("region", name="Test", exact=True)
    pane.get_by_role("textbox", name="Client id").fill(CLIENT)
    pane.get_by_role("textbox", name="Client secret").fill(SECRET)
    with page.context.expect_page() as opened:
        walk.click("button", "Sign in at the vendor", pane)
    opened.value.get_by_role("link", name="Allow").click()
    pane.get_by_role("status").filter(has_text="Access granted").wait_for()
    accessible(page)
    walk.part("teams")
    walk.read()
    assert "4 records" in walk.take_records()
    stored = server.call("GET", f"{PROJECTS}/{project}")
    assert stored["testConfiguration"]["client_refresh_token"].strip("*") == ""
    assert workshop.tokens.of_grant("authorization_code")

    # A source of the published connector signs in itself: the sealed inputs of the test are not its own.
    walk.publish()
    definition = server.call("GET", f"{PROJECTS}/{project}")["definitionId"]
    page = visit(f"/sources/new?connector={definition}", width=1440)
    page.get_by_role("textbox", name="Client ID").fill(CLIENT)
    page.get_by_label("Client secret").first.fill(SECRET)
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Grant access").click()
    opened.value.get_by_role("link", name="Allow").click()
    page.get_by_text("Access granted. Save the source to keep it").wait_for()
    accessible(page)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(re.compile(r"/sources/[0-9a-f-]{36}"))
    source = re.search(r"/sources/([0-9a-f-]{36})", page.url)[1]  # type: ignore[index]
    workshop.tokens.end_access()
    assert server.call("POST", f"{OWN}/sources/{source}/check")["status"] == "succeeded"
    workshop.pkce = "allowed"
