"""The web interface's files: which paths are answered with them, and with what headers."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from kitestring.server.app import create_app
from kitestring.server.connectors import definitions
from kitestring.server.context import Context
from kitestring.server.http import web_interface

pytestmark = pytest.mark.slow

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Encoding": "identity"}
SCRIPT = b"console.log('kite')\n" * 100


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a build leaves."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>The page</title>")
    (folder / "assets" / "index-abc123.js").write_bytes(SCRIPT)
    (folder / "assets" / "index-abc123.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / ".digest").write_text("of the sources")
    (tmp_path / "secret.key").write_text("never served")
    monkeypatch.setattr(web_interface, "DIST", folder)
    return folder


@pytest.fixture
def client(context: Context, dist: Path) -> TestClient:
    return TestClient(create_app(context))


def test_the_page_is_answered_for_its_own_views_and_asked_for_again_each_time(client: TestClient) -> None:
    for path in ("/", "/connections", "/connections/4f7b/jobs", "/sources/new?connector=postgres"):
        answer = client.get(path, headers=BROWSER)
        assert "The page" in answer.text, path
        assert answer.headers["cache-control"] == "no-cache"
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "default-src 'none'" in policy
        assert "unsafe-eval" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        head = client.head(path, headers=BROWSER)
        assert head.status_code == 200
        assert not head.content
        assert head.headers["content-length"] == answer.headers["content-length"]


def test_paths_of_an_api_never_get_the_page(client: TestClient) -> None:
    for path, status in (
        ("/v1/nothing", 404),
        ("/api/public/v1/nothing", 404),
        ("/api", 404),
        ("/metrics/nothing", 404),
        ("/applications/nothing", 404),
        ("/api/kitestring/v1/check", 405),
    ):
        answer = client.get(path, headers=BROWSER)
        assert answer.status_code == answer.json()["status"] == status, path


def test_files_that_are_not_there_are_refused_not_answered_with_the_page(client: TestClient) -> None:
    for path in ("/assets/index-old.js", "/robots.txt", "/favicon.png", "/connections.map"):
        answer = client.get(path, headers=BROWSER)
        assert (answer.status_code, answer.json()["title"]) == (404, "resource-not-found"), path
    # A program that asks for no page is told that there is nothing.
    assert client.get("/connections", headers={"Accept": "application/json"}).status_code == 404
    assert client.post("/connections", headers=BROWSER).status_code == 405


def test_no_path_leads_out_of_the_folder_or_to_a_hidden_file(client: TestClient) -> None:
    for path in (
        "/../secret.key",
        "/assets/../../secret.key",
        "/%2e%2e/secret.key",
        "/..%2fsecret.key",
        "/assets/..%5c..%5csecret.key",
        "http://testserver//secret.key",
        "/.digest",
        "/assets/index-abc123.js.gz",
        "/assets/",
    ):
        answer = client.get(path, headers={"Accept": "*/*"})
        assert answer.status_code == 404, path


def test_files_with_a_digest_in_their_names_are_kept_for_ever_and_come_packed(client: TestClient) -> None:
    path = "/assets/index-abc123.js"
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert plain.content == SCRIPT
    assert "content-encoding" not in plain.headers
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["content-type"].startswith("text/javascript")
    packed = client.get(path, headers={"Accept-Encoding": "gzip, deflate"})
    assert packed.content == SCRIPT
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(SCRIPT)
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.headers["etag"] != plain.headers["etag"]


def test_a_browser_that_has_a_file_is_told_so(client: TestClient) -> None:
    first = client.get("/", headers=BROWSER)
    second = client.get("/", headers={**BROWSER, "If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert second.status_code == 304
    assert not second.content
    assert second.headers["content-security-policy"] == first.headers["content-security-policy"]


def test_a_new_build_is_served_without_a_new_start(client: TestClient, dist: Path) -> None:
    assert "The page" in client.get("/", headers=BROWSER).text
    (dist / "index.html").write_text("<!doctype html><title>Another</title>")
    os.utime(dist / "index.html", ns=(1, 1))
    assert "Another" in client.get("/", headers=BROWSER).text


def test_without_a_build_the_page_says_how_to_get_one_and_the_api_works(client: TestClient, dist: Path) -> None:
    (dist / "index.html").unlink()
    answer = client.get("/", headers=BROWSER)
    assert answer.status_code == 200
    assert "make ui" in answer.text
    assert client.get("/connections", headers=BROWSER).status_code == 404
    assert client.get("/v1/health").text == "Successful operation"


def test_the_interface_can_be_turned_off(context: Context, dist: Path) -> None:
    without = dataclasses.replace(context, settings=context.settings.model_copy(update={"interface": False}))
    answer = TestClient(create_app(without)).get("/", headers=BROWSER)
    assert answer.status_code == 404
    assert answer.json()["title"] == "resource-not-found"


def test_each_connector_has_the_icon_or_the_colour_of_its_vendor() -> None:
    """Otherwise its monogram has a colour made of its name: run scripts/connector_icons.py."""
    catalog = web_interface.DIST.parent / "src" / "catalog"
    parts = [json.loads((catalog / f"icons.{name}.json").read_text("utf-8")) for name in ("ours", "airbyte")]
    known = {name for part in parts for name in (*part["connectors"], *part["colours"])}
    ours = [*definitions.built_in("source").values(), *definitions.built_in("destination").values()]
    ours = [connector for connector in ours if connector.native]
    assert {connector.type for connector in ours} - known == set()
    # The two that run programs of others are in no category of their own.
    assert {connector.type for connector in ours if not connector.category} <= {"airbyte", "singer"}
