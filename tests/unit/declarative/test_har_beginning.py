"""The beginning of a connector from a HAR file."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from first_manifest import SECRET, manifest_of, requester_of
from loopback import Api, Call

from kitestring.declarative.builder import read
from kitestring.declarative.builder.beginning import begin
from kitestring.errors import ConfigError


def entry(url: str, answer: Any, **request: Any) -> dict[str, Any]:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    status, headers = request.pop("status", 200), request.pop("response_headers", [])
    return {
        "request": {"method": "GET", "url": url, "headers": [{"name": "Cookie", "value": f"sid={SECRET}"}], **request},
        "response": {"status": status, "headers": headers, "content": {"mimeType": "application/json", "text": text}},
    }


def har(*entries: dict[str, Any]) -> str:
    return json.dumps({"log": {"version": "1.2", "entries": list(entries)}})


def test_the_lists_of_a_har_file_are_streams_of_the_host_that_answered_most() -> None:
    things = {"meta": {"next_cursor": "c-2"}, "things": [{"id": n, "at": "2024-01-01"} for n in range(3)]}
    more = {"meta": {"next_cursor": None}, "things": [{"id": 9}]}
    text = har(
        entry("https://app.example.com/api/things?limit=3", things),
        entry("https://app.example.com/api/things?limit=3&after=c-2", more),
        entry("https://app.example.com/api/things/1234/parts", [{"uuid": "a"}, {"uuid": "b"}]),
        entry("https://app.example.com/api/me", {"id": 1, "name": "x"}),
        entry("https://app.example.com/api/broken", "not json"),
        entry("https://app.example.com/api/refused", [{"id": 1}], status=403),
        entry("https://track.example.net/events", [{"id": 1}]),
        {"request": {}, "response": None},
        {},
    )
    beginning = begin("har", text)
    values = manifest_of(beginning)
    assert [stream.name for stream in beginning.streams] == ["things", "parts"]
    assert beginning.test_configuration == {"cookie": f"sid={SECRET}"}
    strategy = values["streams"][0]["retriever"]["paginator"]
    assert strategy["page_token_option"]["field_name"] == "after"
    assert strategy["pagination_strategy"]["cursor_value"] == "{{ (response.get('meta') or {}).get('next_cursor') }}"
    assert values["streams"][0]["schema_loader"]["schema"]["properties"]["at"]["format"] == "date"
    assert values["streams"][1]["primary_key"] == ["uuid"]
    assert any("track.example.net" in note for note in beginning.notes)
    chosen = begin("har", text, streams=["parts"])
    assert [stream.included for stream in chosen.streams] == [False, True]


def test_a_har_file_reads_the_api_that_it_was_recorded_from(api: Api) -> None:
    def answer(call: Call) -> Any:
        if call.headers.get("authorization") != f"Bearer {SECRET}":
            return 401, {}
        number = int(call.query.get("page", "1"))
        headers = {"Link": f'<{api.url}/rows?page={number + 1}>; rel="next"'} if number < 3 else {}
        return 200, [{"key": f"{number}-{n}"} for n in range(2)], headers

    api.answers["/rows"] = answer
    link = [{"name": "link", "value": f'<{api.url}/rows?page=2>; rel="next"'}]
    sent = [{"name": "Authorization", "value": f"Bearer {SECRET}"}, {"name": ":authority", "value": "x"}]
    recorded = entry(f"{api.url}/rows", [{"key": "1-0"}, {"key": "1-1"}], headers=sent, response_headers=link)
    beginning = begin("har", har(recorded))
    manifest_of(beginning)
    result = read(beginning.manifest, beginning.test_configuration, "rows")
    assert (result.error, len(result.records)) == ("", 6)


def test_answers_in_base64_and_calls_by_post_are_read() -> None:
    recorded = entry("https://a.example/find", [{"id": 1}], method="POST")
    recorded["request"]["postData"] = {"mimeType": "application/json", "text": json.dumps({"q": 1, "password": SECRET})}
    recorded["request"]["headers"].append({"name": "Content-Type", "value": "application/json"})
    content = recorded["response"]["content"]
    content["text"], content["encoding"] = base64.b64encode(content["text"].encode()).decode(), "base64"
    beginning = begin("har", har(recorded))
    assert requester_of(manifest_of(beginning))["request_body_json"] == {"q": 1, "password": "{{ config['password'] }}"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"log": {}}', '{"log": {"entries": []}}', har(entry("ftp://x", []))]
)
def test_what_is_no_har_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        begin("har", text)
