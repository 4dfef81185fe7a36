"""The connector builder: other beginnings, its assistant, upgrades, and a session that ends while one edits."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from stand_ins.harbour import KEY as HARBOUR_KEY
from stand_ins.harbour import HarbourStandIn
from stand_ins.language_model import KEY, LanguageModelStandIn
from stand_ins.workshop import TOKEN, WorkshopStandIn

from kitestring.server.http.web_interface import DIST, PAGE
from tests.browser.builder_walk import PROJECTS, Walk, first_hit, synced, until_stored
from tests.browser.chromium import CHROMIUM
from tests.browser.conftest import OWN, PUBLIC, Running, accessible, picture
from tests.unit.server.shop import things

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModelStandIn]:
    with LanguageModelStandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, model: LanguageModelStandIn) -> Iterator[Running]:
    """A server with a language model for the assistant."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium on the path")
    if not (DIST / PAGE).is_file():
        pytest.skip("the web interface is not built (make ui)")
    running = Running(
        tmp_path_factory.mktemp("server") / "home",
        KITESTRING_ASSIST_URL=f"{model.url}/v1",
        KITESTRING_ASSIST_KEY=KEY,
        KITESTRING_ASSIST_MODEL="some-model",
    )
    yield running
    running.close()


@pytest.fixture(scope="module")
def workshop() -> Iterator[WorkshopStandIn]:
    with WorkshopStandIn() as stand_in:
        yield stand_in


def har_of(workshop: WorkshopStandIn, paths: list[str]) -> str:
    """A HAR file as a browser records it: calls with their answers, and a script between them."""
    entries: list[dict[str, Any]] = []
    for path in paths:
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json", "User-Agent": "Mozilla/5.0"}
        answer = httpx.get(f"{workshop.url}{path}", headers=headers)
        request = {
            "method": "GET",
            "url": f"{workshop.url}{path}",
            "headers": [{"name": name, "value": value} for name, value in headers.items()],
        }
        content = {"mimeType": "application/json", "text": answer.text, "size": len(answer.content)}
        entries.append({"request": request, "response": {"status": 200, "headers": [], "content": content}})
        script = {"mimeType": "text/javascript", "text": "steal()" * 1000, "size": 7000}
        request = {"method": "GET", "url": f"{workshop.url}/app.js", "headers": []}
        entries.append({"request": request, "response": {"status": 200, "headers": [], "content": script}})
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "test", "version": "1"}, "entries": entries}})


def test_a_har_file_becomes_a_connector_without_the_token_that_was_recorded(
    visit: Callable[..., Any], server: Running, workshop: WorkshopStandIn, tmp_path: Path
) -> None:
    recorded = tmp_path / "recorded.har"
    recorded.write_text(har_of(workshop, ["/v1/invoices?limit=20", "/v1/suppliers", "/v1/holidays"]))
    page = visit("/", width=1440)
    walk = Walk(page)
    walk.click("link", "Builder")
    page.get_by_role("link", name="New connector").wait_for()
    walk.click("link", "New connector")
    walk.click("radio", "A HAR file")
    with page.expect_file_chooser() as chooser:
        walk.click("button", "Choose a file")
    chooser.value.set_files(recorded)
    walk.click("button", "Continue")
    page.get_by_role("checkbox", name="holidays").wait_for()
    accessible(page)
    walk.click("checkbox", "holidays")
    walk.click("button", "Create with 2 streams")
    project = walk.opened()
    stored = server.call("GET", f"{PROJECTS}/{project}")
    assert TOKEN not in json.dumps(stored)
    assert "20 records" in walk.read()
    walk.publish()
    definition = server.call("GET", f"{PROJECTS}/{project}")["definitionId"]
    (field,) = stored["testConfiguration"]
    destination = synced(server, tmp_path, definition, {field: TOKEN}, ["suppliers"])
    supplier = workshop.rows["suppliers"][0]
    assert supplier["name"] in first_hit(server, destination, f"{supplier['name']}\n\n{supplier['text']}")["text"]
    assert walk.clicks <= 11, walk.clicks


def test_a_pasted_manifest_of_airbytes_keeps_every_byte(visit: Callable[..., Any], server: Running) -> None:
    manifest = "# Written by hand.\n" + things(1).replace(
        "  connection_specification", "  # Who reads.\n  connection_specification"
    )
    page = visit("/", width=1440)
    walk = Walk(page)
    walk.begin("A manifest", "Manifest", manifest)
    project = walk.opened()
    assert server.call("GET", f"{PROJECTS}/{project}")["manifest"] == manifest
    page.get_by_role("navigation", name="Parts of the connector").get_by_role(
        "button", name="parts", exact=True
    ).wait_for()


def test_broken_yaml_leaves_the_form_as_it_was_and_says_where(visit: Callable[..., Any], server: Running) -> None:
    body = {"workspaceId": server.workspace, "name": "Broken", "manifest": things(1)}
    project = server.call("POST", PROJECTS, body)["projectId"]
    page = visit(f"/builder/{project}?view=both", width=1440)
    editor = page.get_by_role("textbox", name="YAML of the connector")
    editor.press("Control+Home")
    page.keyboard.type("@broken\n")
    alert = page.get_by_role("alert").filter(has_text="The YAML has an error of syntax")
    alert.get_by_text(re.compile(r"Line \d+, column \d+")).wait_for()
    path = page.get_by_label("Path", exact=True).first
    assert path.input_value() == "/things"
    assert path.is_disabled()
    accessible(page)
    alert.get_by_role("button", name="Show it in the YAML").click()
    undo = page.get_by_role("button", name="Undo")
    while undo.is_enabled():
        undo.click()
    alert.wait_for(state="hidden")
    until_stored(server, page, project, things(1))


def test_the_assistant_shows_what_the_documentation_says_when_the_api_confirms_it(
    visit: Callable[..., Any], server: Running, workshop: WorkshopStandIn, model: LanguageModelStandIn
) -> None:
    stream = {
        "name": "invoices",
        "path": "v1/invoices",
        "records": ["data"],
        "pagination": {"kind": "offset", "parameter": "offset"},
        "cursor": {"field": "updated_at", "parameter": "updated_since", "format": "%Y-%m-%dT%H:%M:%SZ"},
    }
    model.answer_text = json.dumps({"streams": [stream, {**stream, "name": "ghosts", "path": "v1/ghosts"}]})
    page = visit("/", width=1440)
    walk = Walk(page)
    walk.begin(
        "A cURL line", "cURL line", f"curl '{workshop.url}/v1/invoices?limit=20' -H 'Authorization: Bearer {TOKEN}'"
    )
    project = walk.opened()
    walk.click("button", "Suggest settings")
    panel = page.get_by_role("dialog", name="Suggest settings")
    panel.get_by_label("Documentation of the API").fill(f"{workshop.url}/docs")
    walk.click("button", "Try on the API", panel)
    panel.get_by_role("button", name="Take all").wait_for()
    accessible(page)
    picture(page, "builder-assistant")
    walk.click("button", "Take all", panel)
    walk.click("button", "Close", panel)
    panel.wait_for(state="hidden")
    assert "60 records" in walk.read()
    manifest = server.call("GET", f"{PROJECTS}/{project}")["manifest"]
    assert "OffsetIncrement" in manifest
    assert "DatetimeBasedCursor" in manifest
    assert "ghosts" not in manifest
    assert TOKEN not in model.text
    assert "Every list answers" in model.text


def test_the_example_of_a_documentation_becomes_a_connector_that_pages_in_the_body(
    visit: Callable[..., Any], server: Running, tmp_path: Path
) -> None:
    """As somebody does it who sees the program for the first time, with the page of an API that nobody knows."""
    with HarbourStandIn() as harbour:
        page = visit("/", width=1440)
        walk = Walk(page)
        docs = httpx.get(f"{harbour.url}/docs").text
        example = html.unescape(docs[docs.index("curl -X POST") : docs.index("</pre>", docs.index("curl -X POST"))])
        walk.begin("A cURL line", "cURL line", example)
        project = walk.opened()
        pane = page.get_by_role("region", name="Test", exact=True)
        pane.get_by_text("1 is missing").wait_for()  # YOUR_KEY is no key
        pane.get_by_role("textbox", name="API key").fill(HARBOUR_KEY)
        assert "25 records" in (walk.read() and walk.take_records())
        assert page.get_by_role("heading", level=1).inner_text() == "Untitled connector"  # a number is no name
        titles = walk.suggest()
        assert any("filter.changed_after of the body" in title for title in titles), titles
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        assert page.get_by_role("button", name="Publish", exact=True).bounding_box()["y"] > 0  # stays in view
        assert "130 records · 3 pages" in walk.read()  # the largest page that the API gives, and no empty last one
        # A second stream shares the address and the key, not the body; what was read of the first is not shown there.
        walk.click("button", "Add a stream")
        pane.get_by_text("Read sends real requests").wait_for()
        page.get_by_label("Name", exact=True).first.fill("depots")
        page.get_by_label("Path", exact=True).first.fill("v2/depots")
        walk.read()
        walk.take_records()
        accessible(page)
        walk.part("parcels")
        pane.get_by_text("130 records").first.wait_for()  # its own last read is kept
        walk.publish()
        definition = server.call("GET", f"{PROJECTS}/{project}")["definitionId"]
        destination = synced(server, tmp_path, definition, {"api_key": HARBOUR_KEY}, ["parcels"])
        parcel = harbour.parcels[-1]
        assert parcel["title"] in first_hit(server, destination, f"{parcel['text']}\n\n{parcel['title']}")["text"]
        assert walk.clicks <= 18, walk.clicks


def test_an_upgrade_says_what_breaks_before_it_pauses_a_connection(visit: Callable[..., Any], server: Running) -> None:
    body = {"workspaceId": server.workspace, "name": "Things of Acme", "manifest": things(1)}
    path = f"{PROJECTS}/{server.call('POST', PROJECTS, body)['projectId']}"
    definition_id = server.call("POST", f"{path}/publish", {"revision": 1})["definitionId"]
    source = {
        "name": "Acme",
        "workspaceId": server.workspace,
        "definitionId": definition_id,
        "configuration": {"token": "t0p-s3cret"},
    }
    source_id = server.call("POST", f"{PUBLIC}/sources", source)["sourceId"]
    destination_id = server.make("destination", "sqlite", "Kept", {"path": "things.db"})
    streams = {"streams": [{"name": "things", "syncMode": "full_refresh_overwrite"}]}
    connection = server.call(
        "POST",
        f"{PUBLIC}/connections",
        {"name": "Of Acme", "sourceId": source_id, "destinationId": destination_id, "configurations": streams},
    )["connectionId"]
    server.call("PATCH", path, {"revision": 1, "manifest": things(2, key="uid")})
    server.call("POST", f"{path}/publish", {"revision": 2, "note": "Ids are texts now."})

    page = visit(f"/sources/{source_id}", width=1440)
    page.get_by_role("button", name="Upgrade …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Ids are texts now.").wait_for()
    dialog.get_by_text("1 connection is paused").wait_for()
    dialog.get_by_text("Of Acme:").wait_for()
    accessible(page)
    picture(page, "builder-upgrade")
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="hidden")
    assert server.call("GET", f"{PUBLIC}/connections/{connection}")["status"] == "active"
    page.get_by_role("button", name="Upgrade …").click()
    dialog.get_by_role("button", name="Run version 2").click()
    page.get_by_text("Version 2 runs. 1 connection is paused").wait_for()
    assert server.call("GET", f"{PUBLIC}/connections/{connection}")["status"] == "inactive"
    assert server.call("GET", f"{OWN}/sources/{source_id}/connector-version")["version"] == 2


def test_a_session_that_ends_while_one_edits_is_renewed_over_the_page(
    visit: Callable[..., Any], server: Running
) -> None:
    """From then on the server asks everybody for credentials."""
    body = {"workspaceId": server.workspace, "name": "Edited", "manifest": things(1)}
    project = server.call("POST", PROJECTS, body)["projectId"]
    page = visit(f"/builder/{project}?view=yaml", width=1440)
    editor = page.get_by_role("textbox", name="YAML of the connector")
    editor.wait_for()
    server.call("POST", f"{OWN}/users", {"email": "rosa@example.com", "password": PASSWORD})
    for title, comment in (("Sign-in is on now", "# first\n"), ("Your session has ended", "# second\n")):
        page.context.clear_cookies()
        editor.press("Control+Home")
        page.keyboard.type(comment)
        dialog = page.get_by_role("dialog", name=title)
        dialog.get_by_label("E-mail").fill("rosa@example.com")
        dialog.locator("input[type=password]").fill(PASSWORD)
        dialog.get_by_role("button", name="Sign in", exact=True).click()
        dialog.wait_for(state="detached")
        page.get_by_text("All changes are saved").wait_for()
        assert page.get_by_text(comment.strip()).is_visible()
    shown = page.evaluate(f"fetch('{PROJECTS}/{project}').then(answer => answer.json())")
    assert shown["manifest"] == "# second\n# first\n" + things(1)
    # Undo still knows what was typed before.
    undo = page.get_by_role("button", name="Undo")
    while page.get_by_text("# second").count():
        undo.click()


CODE = "import os\n\n\nclass Shout:\n    word = 'loud'\n"


def with_components(code: str) -> str:
    """A manifest that carries Python components."""
    lines = "".join(f"    {line}\n" if line else "\n" for line in code.splitlines())
    custom = "    transformations: [{type: CustomTransformation, class_name: components.Shout}]\n"
    return (
        things(1).replace("    primary_key", f"{custom}    primary_key", 1) + f"metadata:\n  components_py: |\n{lines}"
    )


def client_of(server: Running, email: str) -> httpx.Client:
    """A client of the API as this user."""
    client = httpx.Client(base_url=server.url, timeout=600)
    answer = client.post(f"{OWN}/session/login", json={"email": email, "password": PASSWORD})
    client.headers["X-CSRF-Token"] = answer.raise_for_status().json()["csrfToken"]
    return client


def signed_in(visit: Callable[..., Any], path: str, email: str) -> Any:
    page = visit(path, width=1440)
    page.get_by_label("E-mail").fill(email)
    page.locator("input[type=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    return page


def test_only_an_instance_admin_approves_python_components_and_only_the_text_that_is_shown(
    visit: Callable[..., Any], server: Running
) -> None:
    """After the test before, the server has an instance admin, rosa."""
    rosa = client_of(server, "rosa@example.com")
    permission = {"permissionType": "workspace_editor", "workspaceId": server.workspace}
    user = {"email": "ed@example.com", "password": PASSWORD, "permissions": [permission]}
    rosa.post(f"{OWN}/users", json=user).raise_for_status()
    body = {"workspaceId": server.workspace, "name": "Loud", "manifest": with_components(CODE)}
    project = rosa.post(PROJECTS, json=body).raise_for_status().json()["projectId"]
    approval = f"{OWN}/builder/components/{sha256(CODE.encode()).hexdigest()}/approval"
    place = f"/builder/{project}?view=yaml"

    page = signed_in(visit, place, "ed@example.com")
    panel = page.get_by_role("region", name="Python components", exact=True)
    panel.get_by_text("Not approved", exact=True).wait_for()
    panel.get_by_role("button", name="Show the code").click()
    assert panel.get_by_role("region", name="Code of the Python components").inner_text().strip() == CODE.strip()
    assert panel.get_by_role("button", name="Approve").count() == 0
    panel.get_by_text(f"SHA-256: {approval.split('/')[-2]}").wait_for()
    ed = client_of(server, "ed@example.com")
    refused = ed.post(approval, json={"code": CODE})
    assert (refused.status_code, "instance_admin" in refused.text) == (403, True), refused.text

    page = signed_in(visit, place, "rosa@example.com")
    approve = panel.get_by_role("button", name="Approve", exact=True)
    approve.wait_for()
    assert approve.is_disabled(), "what is approved has to be on the page"
    panel.get_by_role("button", name="Show the code").click()
    accessible(page)
    approve.click()
    dialog = page.get_by_role("dialog", name="Approve these Python components?")
    accessible(page)
    dialog.get_by_role("button", name="Approve the code").click()
    panel.get_by_role("status").filter(has_text="Approved by rosa@example.com").wait_for()
    accessible(page)
    assert rosa.get(approval).json()["approved"]

    # One changed letter is another text, which nobody has approved; the first one stays approved.
    editor = page.get_by_role("textbox", name="YAML of the connector")
    editor.press("Control+End")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    page.keyboard.type("#")
    panel.get_by_text("Not approved", exact=True).wait_for()
    page.get_by_role("button", name="Undo").click()
    panel.get_by_role("status").filter(has_text="Approved by rosa@example.com").wait_for()
    panel.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog", name="Revoke the approval?").get_by_role("button", name="Revoke the approval").click()
    panel.get_by_text("Not approved", exact=True).wait_for()
    assert not rosa.get(approval).json()["approved"]
