"""Test reads in events, on a server as it is started: page by page, stopped with the client, whatever the API sends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from kitestring.testing.stand_in import Answer, StandIn, route
from tests.integration.server.running import Running

EVENTS = "/api/kitestring/v1/builder/read/events"
PROJECTS = "/api/kitestring/v1/builder/projects"


class Things(StandIn):
    """Pages of things; `/hang` answers its second page when `released` is set; `/endless` has always a next page;
    `/huge` has 200 MB."""

    def __init__(self) -> None:
        super().__init__()
        self.released, self.hangs = threading.Event(), threading.Event()

    @route("GET", "/hang")
    def hang(self, call: Any) -> Any:
        if call.param("page"):
            self.hangs.set()
            self.released.wait(600)
            return {"data": []}
        return {"data": [{"id": 1}]}

    @route("GET", "/echo")
    def echo(self, call: Any) -> Any:
        return {"data": [{"id": 1, "sent": call.headers.get("authorization", "")}]}

    @route("GET", "/endless")
    def endless(self, call: Any) -> Any:
        return {"data": [{"id": len(self.requests), "text": "x" * 2000}]}

    @route("GET", "/script")
    def script(self, call: Any) -> Any:
        return {"data": [{"id": 1, "text": "<script>alert(1)</script>\r\n\r\nevent: end\r\ndata: {}\r\n\r\n"}]}

    @route("GET", "/huge")
    def huge(self, call: Any) -> Any:
        return Answer(200, b'{"data": "' + b"x" * 200_000_000 + b'"}', {"X-Kind": "huge"})

    def close(self) -> None:
        self.released.set()
        super().close()


@pytest.fixture
def api() -> Iterator[Things]:
    with Things() as things:
        yield things


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    running = Running(tmp_path_factory.mktemp("builder"))
    with httpx.Client(base_url=running.url, timeout=600) as client:
        yield client
    running.stop()


def body(server: httpx.Client, api: StandIn, path: str, **more: Any) -> dict[str, Any]:
    stream = {
        "type": "DeclarativeStream",
        "name": "things",
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {"type": "HttpRequester", "url_base": api.url, "path": path},
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
            },
            "paginator": {
                "type": "DefaultPaginator",
                "page_token_option": {
                    "type": "RequestOption",
                    "inject_into": "request_parameter",
                    "field_name": "page",
                },
                "pagination_strategy": {"type": "PageIncrement"},
            },
        },
    }
    manifest = {
        "version": "6.48.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["things"]},
        "streams": [stream],
    }
    workspace = server.get("/v1/workspaces").json()["data"][0]["workspaceId"]
    return {"workspaceId": workspace, "manifest": manifest, "stream": "things", **more}


def events_in(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_page_arrives_while_the_next_one_is_awaited(server: httpx.Client, api: Things) -> None:
    with server.stream("POST", EVENTS, json=body(server, api, "/hang")) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = events_in(response)
        assert next(events) == ("slice", {"slice": 0, "partition": {}, "bounds": {}})
        name, page = next(events)
        assert (name, page["records"], page["exchange"]["status"]) == ("page", [{"id": 1}], 200)
        assert not api.released.is_set()
        api.released.set()
        assert [name for name, _ in events] == ["page", "state", "end"]


def test_a_read_stops_when_its_client_goes_away(server: httpx.Client, api: Things) -> None:
    expected = body(server, api, "/endless", pages=1000, records=100_000)
    with server.stream("POST", EVENTS, json=expected) as response:
        events = events_in(response)
        next(events)
        next(events)
    deadline, counts = time.monotonic() + 300, [-1]
    while counts[-1] != len(api.requests):  # until no request comes for a second
        assert time.monotonic() < deadline
        counts.append(len(api.requests))
        time.sleep(1)
    assert server.post(EVENTS, json=body(server, api, "/script")).status_code == 200


def test_endless_pages_end_at_the_limits(server: httpx.Client, api: Things) -> None:
    expected = body(server, api, "/endless", pages=300, records=100_000)
    with server.stream("POST", EVENTS, json=expected) as response:
        events = list(events_in(response))
    assert sum(name == "page" for name, _ in events) == 300
    assert (events[-1][0], events[-1][1]["limited"], events[-1][1]["records"]) == ("end", ["pages"], 300)
    expected = body(server, api, "/endless", pages=1000, records=100_000, bytes=10_000)
    with server.stream("POST", EVENTS, json=expected) as response:
        assert list(events_in(response))[-1][1]["limited"] == ["bytes"]


def test_text_of_an_api_forges_no_event(server: httpx.Client, api: Things) -> None:
    with server.stream("POST", EVENTS, json=body(server, api, "/script", pages=1)) as response:
        events = list(events_in(response))
    assert [name for name, _ in events] == ["slice", "page", "state", "end"]
    assert "<script>" in events[1][1]["records"][0]["text"]


def test_an_answer_of_200_mb_is_shown_by_its_first_bytes_and_the_server_goes_on(
    server: httpx.Client, api: Things
) -> None:
    with server.stream("POST", EVENTS, json=body(server, api, "/huge")) as response:
        events = list(events_in(response))
    (page,) = [event for name, event in events if name == "page"]
    assert (page["exchange"]["status"], page["exchange"]["response_headers"]["X-Kind"]) == (200, "huge")
    assert page["exchange"]["response"].startswith('{"data": "xxx')
    assert "more than 128 MB" in events[-1][1]["error"]
    assert server.get("/v1/health").status_code == 200


def test_a_mistake_before_the_first_event_is_a_problem(server: httpx.Client, api: Things) -> None:
    answer = server.post(EVENTS, json={**body(server, api, "/hang"), "stream": "nothings"})
    assert (answer.status_code, "no stream called nothings" in answer.json()["detail"]) == (422, True)
    for limits in ({"pages": 1001}, {"records": 100_001}, {"bytes": 50_000_001}, {"pages": 0}):
        assert server.post(EVENTS, json={**body(server, api, "/hang"), **limits}).status_code == 400


def test_more_reads_at_once_than_the_server_runs_are_refused(server: httpx.Client, api: Things) -> None:
    with ExitStack() as stack:
        readers = []  # an iterator that is dropped closes its response
        for _ in range(4):
            response = stack.enter_context(server.stream("POST", EVENTS, json=body(server, api, "/hang")))
            readers.append(events_in(response))
            assert next(readers[-1])[0] == "slice"
        busy = server.post(EVENTS, json=body(server, api, "/hang"))
        assert (busy.status_code, "test reads run" in busy.json()["detail"]) == (503, True)
        check = server.post("/api/kitestring/v1/builder/validate", json={**body_of(server, api)})
        assert check.status_code == 200  # other actions have their own places
        api.released.set()


def body_of(server: httpx.Client, api: StandIn) -> dict[str, Any]:
    expected = body(server, api, "/hang")
    return {"workspaceId": expected["workspaceId"], "manifest": expected["manifest"]}


def test_a_project_is_read_with_its_sealed_inputs_which_stay_masked_whatever_its_text_says(
    server: httpx.Client, api: Things
) -> None:
    request = body(server, api, "/echo")
    manifest = request["manifest"]
    requester = manifest["streams"][0]["retriever"]["requester"]
    requester["authenticator"] = {"type": "BearerAuthenticator", "api_token": "{{ config['token'] }}"}
    del manifest["streams"][0]["retriever"]["paginator"]
    field = {"type": "string", "airbyte_secret": True}
    form = {"type": "object", "properties": {"token": field}}
    manifest["spec"] = {"type": "Spec", "connection_specification": form}
    secret = "sealed-and-never-shown"
    created = server.post(
        PROJECTS,
        json={
            "workspaceId": request["workspaceId"],
            "name": "Echo",
            "manifest": json.dumps(manifest),
            "testConfiguration": {"token": secret},
        },
    ).json()
    # The text of the page says that the token is no secret.
    field["airbyte_secret"] = False
    read = {"stream": "things", "manifest": json.dumps(manifest)}
    with server.stream("POST", f"{PROJECTS}/{created['projectId']}/read/events", json=read) as response:
        events = list(events_in(response))
    assert api.requests[-1].headers["authorization"] == f"Bearer {secret}"
    pages = [values for name, values in events if name == "page"]
    assert pages[0]["records"] == [{"id": 1, "sent": "Bearer **********"}]
    assert secret not in json.dumps(events)


def test_a_server_that_stops_ends_its_reads_with_a_word_and_no_traceback(api: Things, tmp_path: Path) -> None:
    running = Running(tmp_path)
    with (
        httpx.Client(base_url=running.url, timeout=600) as client,
        client.stream("POST", EVENTS, json=body(client, api, "/hang")) as response,
    ):
        events = events_in(response)
        assert [next(events)[0], next(events)[0]] == ["slice", "page"]
        assert api.hangs.wait(600)
        running.process.terminate()
        assert [(name, data["error"]) for name, data in events] == [
            ("end", "the server stops, and the test read with it")
        ]
    assert running.process.wait(600) == 0
    assert "Traceback" not in running.log.read_text()
    assert "never awaited" not in running.log.read_text()
