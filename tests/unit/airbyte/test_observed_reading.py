"""What Airbyte's CDK writes about slices and requests of a test read, and where the records of an answer may be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kitestring.airbyte.observed_reading import RequestNote, SliceNote, note_of
from kitestring.declarative.builder.list_answer import LikelyRecords, likely_records
from kitestring.server.child.components_read import tokens_in


def log_line(text: str) -> dict[str, Any]:
    return {"type": "LOG", "log": {"level": "DEBUG", "message": text}}


def request_line(stream: dict[str, Any] | None = None, **http: Any) -> dict[str, Any]:
    """The line of a request as `airbyte_cdk.sources.http_logger.format_http_message` writes it."""
    values: dict[str, Any] = {
        "http": {
            "title": "Stream 'items' request",
            "request": {"method": "POST", "body": {"content": "a=1"}, "headers": {"X-One": "1"}},
            "response": {"body": {"content": "{}"}, "headers": {"Age": "0"}, "status_code": 200},
            **http,
        },
        "url": {"full": "https://acme.example/items"},
    }
    if stream is not None:
        values["airbyte_cdk"] = {"stream": stream}
    return log_line(json.dumps(values))


def test_slices_and_requests_are_told_from_the_rest_of_the_log() -> None:
    note = note_of(request_line({"name": "items"}), {"items"})
    assert note == RequestNote(
        main=True,
        parent=False,
        method="POST",
        url="https://acme.example/items",
        headers={"X-One": "1"},
        body="a=1",
        status=200,
        response_headers={"Age": "0"},
        response="{}",
    )
    assert note_of(log_line('slice:{"group": "red"}'), set()) == SliceNote({"group": "red"})
    assert note_of(log_line("slice:null"), set()) == SliceNote({})


@pytest.mark.parametrize(
    ("stream", "http", "main", "parent"),
    [
        (None, {}, True, False),
        ({"name": "others"}, {}, False, True),
        (None, {"is_auxiliary": True}, False, False),
        ({"is_substream": True, "name": "items"}, {"is_auxiliary": True}, False, True),
    ],
)
def test_requests_for_tokens_and_parents_are_no_pages(
    stream: dict[str, Any] | None, http: dict[str, Any], main: bool, parent: bool
) -> None:
    note = note_of(request_line(stream, **http), {"items"})
    assert isinstance(note, RequestNote)
    assert (note.main, note.parent) == (main, parent)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "RECORD", "record": {"stream": "items", "data": {}}},
        log_line("Syncing stream: items"),
        log_line("slice:"),
        log_line("slice:" + "[" * 100_000),
        log_line('{"http": 5}'),
        log_line("{broken"),
        log_line("[]"),
        {"type": "LOG", "log": {"message": 5}},
        {"type": "LOG"},
        "LOG",
    ],
)
def test_other_and_broken_messages_are_none_of_it(message: Any) -> None:
    assert note_of(message, {"items"}) is None


def test_a_request_without_its_parts_is_shown_as_far_as_it_goes() -> None:
    note = note_of(
        log_line('{"http": {"request": 1, "response": {"status_code": "x", "body": {"content": null}}}}'), set()
    )
    assert isinstance(note, RequestNote)
    assert (note.method, note.url, note.status, note.response) == ("GET", "", 0, "")


def test_the_tokens_of_an_answer_are_found_by_their_names() -> None:
    answer = {"data": [{"access_token": "abcdefgh", "token": "short"}], "key": 5, "session": "s" * 20, "name": "n" * 20}
    assert sorted(tokens_in(json.dumps(answer))) == ["abcdefgh", "s" * 20]
    assert list(tokens_in("no JSON")) == list(tokens_in("[" * 100_000)) == []


@pytest.mark.parametrize(
    ("answer", "name", "likely"),
    [
        ({"data": {"tickets": [{"id": 1}]}}, "", (["data", "tickets"], 1)),
        ([{"id": 1}, {"id": 2}], "", ([], 2)),
        ({"links": [{"rel": "next"}], "items": [{"id": 1}, {"id": 2}]}, "", (["items"], 2)),
        ({"included": [{"id": 1}] * 9, "data": [{"id": 1}]}, "", (["data"], 1)),
        ({"parcels": [{"id": 1}] * 9, "links": [{"rel": "next"}]}, "", (["parcels"], 9)),
        ({"tags": [{"a": 1}] * 5, "projects": [{"id": 1}]}, "projects", (["projects"], 1)),
        ({"error": "no", "codes": [1, 2]}, "", None),
        ({"items": []}, "", None),
        ("<html>", "", None),
    ],
)
def test_the_most_likely_list_of_an_answer_has_the_records(answer: Any, name: str, likely: Any) -> None:
    assert likely_records(answer, name) == (None if likely is None else LikelyRecords(*likely))
