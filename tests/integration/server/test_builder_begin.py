"""Beginnings of connectors over HTTP, on a server as it is started, open and hardened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from stand_ins.library import LibraryStandIn, openapi

from kitestring.testing.stand_in import Answer, StandIn, route
from tests.integration.server.running import Running

OWN = "/api/kitestring/v1"
SECRET = "geheim-4711-x"


class Documents(StandIn):
    @route("GET", "/page")
    def page(self, call: Any) -> Any:
        text = '<!doctype html><script>SwaggerUI({url: "/v3/openapi.json"})</script>'
        return Answer(200, text.encode(), {"Content-Type": "text/html"})

    @route("GET", "/huge")
    def huge(self, call: Any) -> Any:
        return Answer(200, b'{"openapi": "' + b"3" * 200_000_000)

    @route("GET", "/away")
    def away(self, call: Any) -> Any:
        return Answer(302, b"", {"Location": call.param("to")})

    @route("GET", "/secret")
    def secret(self, call: Any) -> Any:
        return Answer(200, SECRET.encode())


def client_of(running: Running) -> httpx.Client:
    return httpx.Client(base_url=running.url, timeout=300)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    running = Running(tmp_path_factory.mktemp("begin"))
    with client_of(running) as client:
        yield client
    running.stop()


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    running = Running(tmp_path_factory.mktemp("hardened"), KITESTRING_ALLOW_PRIVATE_HOSTS="false")
    with client_of(running) as client:
        yield client
    running.stop()


@pytest.fixture
def documents() -> Iterator[Documents]:
    with Documents() as api:
        yield api


def begin(client: httpx.Client, kind: str, **values: Any) -> httpx.Response:
    workspace = client.get("/v1/workspaces").json()["data"][0]["workspaceId"]
    return client.post(f"{OWN}/builder/begin", json={"workspaceId": workspace, "kind": kind, **values})


def test_a_document_at_an_address_becomes_a_connector_that_reads(server: httpx.Client) -> None:
    with LibraryStandIn() as library:
        begun = begin(server, "openapi", url=f"{library.url}/openapi.json", streams=["shelves"]).json()
        assert [stream["name"] for stream in begun["streams"] if stream["included"]] == ["branches", "shelves"]
        workspace = server.get("/v1/workspaces").json()["data"][0]["workspaceId"]
        body = {
            "workspaceId": workspace,
            "manifest": begun["manifest"],
            "configuration": {"x_library_key": library.key},
            "stream": "shelves",
            "slices": 10,
        }
        reading = server.post(f"{OWN}/builder/read", json=body).json()
    assert reading["error"] == ""
    assert [len(part["pages"][0]["records"]) for part in reading["slices"]] == [2] * 5


def test_the_secrets_of_a_command_come_back_beside_the_manifest_and_are_not_kept(server: httpx.Client) -> None:
    begun = begin(server, "curl", text=f"curl -H 'Authorization: Bearer {SECRET}' https://a.example/things").json()
    assert begun["testConfiguration"] == {"api_token": SECRET}
    assert SECRET not in json.dumps({**begun, "testConfiguration": {}})
    workspace = server.get("/v1/workspaces").json()["data"][0]["workspaceId"]
    audit = server.get(f"{OWN}/audit", params={"workspaceIds": workspace}).text
    assert SECRET not in audit


@pytest.mark.parametrize("kind", ["openapi", "har", "manifest"])
def test_a_web_page_is_no_document_and_the_one_that_it_shows_is_named(
    server: httpx.Client, documents: Documents, kind: str
) -> None:
    answer = begin(server, kind, url=f"{documents.url}/page")
    assert answer.status_code == 422
    assert "web page" in answer.json()["detail"]
    assert f"{documents.url}/v3/openapi.json" in answer.text


def test_a_document_of_200_mb_is_refused(server: httpx.Client, documents: Documents) -> None:
    answer = begin(server, "openapi", url=f"{documents.url}/huge")
    assert (answer.status_code, "more than 16 MB" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://127.0.0.1:1/x", "http://nowhere.invalid/x", "x"]
)
def test_an_address_that_gives_no_document_is_an_error_that_says_why(server: httpx.Client, url: str) -> None:
    answer = begin(server, "openapi", url=url)
    assert answer.status_code in (422, 503), answer.text
    assert "root:" not in answer.text


def test_a_redirect_leads_to_no_file(server: httpx.Client, documents: Documents) -> None:
    answer = begin(server, "openapi", url=f"{documents.url}/away?to=file:///etc/passwd")
    assert answer.status_code == 422
    assert "root:" not in answer.text


def test_proposals_are_made_by_requests_and_a_hardened_server_makes_none_to_itself(
    server: httpx.Client, hardened: httpx.Client
) -> None:
    with LibraryStandIn() as library:
        begun = begin(server, "curl", text=f"curl {library.url}/v1/books -H 'X-Library-Key: {library.key}'").json()
        values = {"manifest": begun["manifest"], "configuration": begun["testConfiguration"], "stream": "books"}
        workspace = server.get("/v1/workspaces").json()["data"][0]["workspaceId"]
        answer = server.post(f"{OWN}/builder/propose", json={"workspaceId": workspace, **values})
        body = answer.json()
        assert {proposal["what"]: proposal["confidence"] for proposal in body["proposals"]} == dict.fromkeys(
            ("records", "pagination", "key", "cursor", "schema"), "proven"
        )
        count = len(library.requests)
        assert body["requests"] == count
        assert library.key not in answer.text
        other = hardened.get("/v1/workspaces").json()["data"][0]["workspaceId"]
        refused = hardened.post(f"{OWN}/builder/propose", json={"workspaceId": other, **values}).json()
        assert (refused["proposals"], len(library.requests)) == ([], count)
        assert "public internet" in " ".join(refused["notes"])
        unknown = server.post(f"{OWN}/builder/propose", json={"workspaceId": workspace, **values, "stream": "x"})
        assert (unknown.status_code, "no stream called x" in unknown.json()["detail"]) == (422, True)


def test_a_project_gets_proposals_with_its_sealed_configuration(server: httpx.Client) -> None:
    with LibraryStandIn() as library:
        begun = begin(server, "curl", text=f"curl {library.url}/v1/authors -H 'X-Library-Key: {library.key}'").json()
        workspace = server.get("/v1/workspaces").json()["data"][0]["workspaceId"]
        body = {"workspaceId": workspace, "name": "Library", "manifest": begun["manifest"]}
        created = server.post(
            f"{OWN}/builder/projects", json={**body, "testConfiguration": begun["testConfiguration"]}
        ).json()
        assert library.key not in json.dumps(created)
        place = f"{OWN}/builder/projects/{created['projectId']}/propose"
        answer = server.post(place, json={"stream": "authors", "what": ["records", "pagination"]})
    assert [proposal["confidence"] for proposal in answer.json()["proposals"]] == ["proven", "proven"]
    assert library.key not in answer.text


def test_a_hardened_server_fetches_from_public_hosts_only(hardened: httpx.Client, documents: Documents) -> None:
    for url in (f"{documents.url}/secret", "http://169.254.169.254/latest", "http://[::1]:1/", "http://localhost:1/"):
        answer = begin(hardened, "openapi", url=url)
        assert (answer.status_code, SECRET in answer.text) == (422, False)
        assert "public internet" in answer.text
    assert documents.requests == []
    begun = begin(hardened, "openapi", text=json.dumps(openapi("https://a.example")))
    assert begun.status_code == 200


def test_hostile_texts_are_refused_or_bounded_and_the_server_goes_on(server: httpx.Client) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9))
    for kind in ("openapi", "har", "manifest", "curl"):
        for text in ("[" * 100_000, '{"a":' * 50_000, bomb, "\u0000x", "{{ 1 }}", "openapi: 3\npaths: {}\n" + bomb):
            assert begin(server, kind, text=text).status_code in (400, 422), (kind, text[:20])
    assert begin(server, "manifest", text=f"streams: []\n{bomb}").status_code == 200
    assert server.get("/v1/health").status_code == 200
