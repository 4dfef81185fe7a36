"""The assistant over HTTP, on a server with a language model of either kind, and on one without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from stand_ins.language_model import KEY, LanguageModelStandIn
from stand_ins.library import LibraryStandIn

from kitestring.testing.stand_in import Answer, StandIn, route
from tests.integration.server.running import Running

OWN = "/api/kitestring/v1/builder"
BOOKS = {"name": "books", "path": "v1/books", "records": ["data"], "pagination": {"kind": "page", "parameter": "page"}}


class Documentation(StandIn):
    @route("GET", "/docs")
    def docs(self, call: Any) -> Any:
        page = "<!doctype html><h1>Books</h1><script>steal()</script><p>GET /v1/books, pages by page.</p>"
        return Answer(200, page.encode(), {"Content-Type": "text/html"})


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModelStandIn]:
    with LanguageModelStandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module", params=["openai", "anthropic"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model: LanguageModelStandIn
) -> Iterator[httpx.Client]:
    place = f"{model.url}/v1" if request.param == "openai" else model.url
    settings = {"KITESTRING_ASSIST_URL": place, "KITESTRING_ASSIST_KEY": KEY, "KITESTRING_ASSIST_MODEL": "some-model"}
    running = Running(tmp_path_factory.mktemp("assist"), KITESTRING_ASSIST_KIND=request.param, **settings)
    with httpx.Client(base_url=running.url, timeout=300) as client:
        yield client
    running.stop()


@pytest.fixture
def library() -> Iterator[LibraryStandIn]:
    with LibraryStandIn() as api:
        yield api


def begun(client: httpx.Client, library: LibraryStandIn, path: str = "books") -> dict[str, Any]:
    workspace = client.get("/v1/workspaces").json()["data"][0]["workspaceId"]
    command = f"curl {library.url}/v1/{path} -H 'X-Library-Key: {library.key}'"
    values = client.post(f"{OWN}/begin", json={"workspaceId": workspace, "kind": "curl", "text": command}).json()
    return {
        "workspaceId": workspace,
        "manifest": values["manifest"],
        "configuration": values["testConfiguration"],
    }


def test_suggestions_from_a_page_are_proven_and_the_model_gets_no_secret(
    server: httpx.Client, model: LanguageModelStandIn, library: LibraryStandIn
) -> None:
    assert server.get(f"{OWN}/capabilities").json()["assist"] is True
    model.requests.clear()
    model.answer_text = f"```json\n{json.dumps({'streams': [BOOKS]})}\n```"
    values = begun(server, library)
    values["manifest"] += f"# the key is {library.key}\n"
    with Documentation() as pages:
        answer = server.post(f"{OWN}/assist", json={**values, "stream": "books", "url": f"{pages.url}/docs"})
    body = answer.json()
    pagination = next(item for item in body["proposals"] if item["what"] == "pagination")
    assert (pagination["confidence"], pagination["evidence"].startswith("The documentation says")) == ("proven", True)
    assert {item["what"] for item in body["proposals"]} == {"records", "pagination", "key", "cursor", "schema"}
    assert "pages by page" in model.text
    assert "steal" not in model.text
    assert library.key not in model.text
    assert library.key not in answer.text
    assert KEY not in answer.text


def test_a_model_that_fails_leaves_what_can_be_tried(
    server: httpx.Client, model: LanguageModelStandIn, library: LibraryStandIn
) -> None:
    model.answer_text = "I cannot do that."
    values = {**begun(server, library, "authors"), "stream": "authors", "text": "The docs."}
    body = server.post(f"{OWN}/assist", json=values).json()
    assert "JSON object" in body["notes"][0]
    assert "pagination" in {item["what"] for item in body["proposals"]}
    model.faults.next("not_json")
    body = server.post(f"{OWN}/assist", json=values).json()
    assert body["notes"][0].startswith("Assistant: ")
    assert "pagination" in {item["what"] for item in body["proposals"]}


def test_a_hostile_answer_changes_nothing(
    server: httpx.Client, model: LanguageModelStandIn, library: LibraryStandIn
) -> None:
    with LibraryStandIn() as thief:
        evil = {
            "auth": {"kind": "CustomAuthenticator", "class_name": "os.system"},
            "streams": [
                {"name": "x", "path": f"{thief.url}/v1/books"},
                {"name": "y", "path": "{{ config['api_key'] }}"},
            ],
        }
        model.answer_text = json.dumps(evil)
        body = server.post(f"{OWN}/assist", json=begun(server, library)).json()
        assert body["proposals"] == []
        assert "not usable" in " ".join(body["notes"])
        assert thief.requests == []


def test_a_project_is_assisted_with_its_sealed_configuration(
    server: httpx.Client, model: LanguageModelStandIn, library: LibraryStandIn
) -> None:
    values = begun(server, library)
    body = {"workspaceId": values["workspaceId"], "name": "Library", "manifest": values["manifest"]}
    project = server.post(f"{OWN}/projects", json={**body, "testConfiguration": values["configuration"]}).json()
    authors = {"name": "authors", "path": "v1/authors", "records": ["authors"]}
    model.requests.clear()
    model.answer_text = json.dumps({"streams": [authors]})
    answer = server.post(f"{OWN}/projects/{project['projectId']}/assist", json={"text": "GET /v1/authors"})
    (proposal,) = answer.json()["proposals"]
    assert (proposal["what"], proposal["path"], proposal["value"]["name"]) == ("stream", ["streams", 1], "authors")
    assert library.key not in model.text + answer.text


def test_a_wrong_key_of_the_operator_is_said_and_not_shown(
    tmp_path_factory: pytest.TempPathFactory, model: LanguageModelStandIn, library: LibraryStandIn
) -> None:
    settings = {"KITESTRING_ASSIST_URL": f"{model.url}/v1", "KITESTRING_ASSIST_MODEL": "some-model"}
    running = Running(tmp_path_factory.mktemp("wrong"), KITESTRING_ASSIST_KEY="wrong-key-0815", **settings)
    try:
        with httpx.Client(base_url=running.url, timeout=300) as client:
            answer = client.post(f"{OWN}/assist", json={**begun(client, library), "stream": "books", "text": "docs"})
    finally:
        running.stop()
    assert "the model refuses" in answer.json()["notes"][0]
    assert "401" in answer.json()["notes"][0]
    assert "wrong-key-0815" not in answer.text + running.log.read_text()


def test_without_a_model_names_and_answers_alone_are_tried(
    tmp_path_factory: pytest.TempPathFactory, library: LibraryStandIn
) -> None:
    running = Running(tmp_path_factory.mktemp("none"), KITESTRING_ALLOW_PRIVATE_HOSTS="true")
    try:
        with httpx.Client(base_url=running.url, timeout=300) as client:
            capabilities = client.get(f"{OWN}/capabilities").json()
            body = client.post(f"{OWN}/assist", json={**begun(client, library), "stream": "books"}).json()
    finally:
        running.stop()
    assert capabilities == {
        "assist": False,
        "limits": {"slices": 1000, "pages": 1000, "records": 100_000, "bytes": 50_000_000, "seconds": 300},
        "proposalRequests": {"propose": 60, "assist": 120},
    }
    assert body["most"] == 120
    assert body["requests"] <= 120
    assert "no model" in body["notes"][0]
    assert "pagination" in {item["what"] for item in body["proposals"]}
