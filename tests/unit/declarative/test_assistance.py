"""Suggestions of a model: a small vocabulary, proven on the API, harmless whatever a documentation says."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from loopback import Api
from stand_ins.library import LibraryStandIn
from test_proposals import applied, put

from kitestring.declarative.builder import read, validate
from kitestring.declarative.builder.assistance import assist
from kitestring.declarative.builder.beginning import begin
from kitestring.declarative.builder.page_text import page_text
from kitestring.declarative.builder.suggestion import Suggestions, suggestions_in, suggestions_of
from kitestring.errors import ConnectorError

BOOKS = {
    "name": "books",
    "path": "/books",
    "records": ["data"],
    "primary_key": "id",
    "pagination": {"kind": "page", "parameter": "page", "start": 1},
    "cursor": {"field": "updated_at", "parameter": "updated_since", "format": "%Y-%m-%dT%H:%M:%SZ"},
}
AUTHORS = {
    "name": "authors",
    "path": "authors",
    "records": "authors",
    "pagination": {"kind": "cursor", "parameter": "after", "path": ["meta", "next_cursor"]},
}
KEY = {"kind": "api_key", "in": "header", "name": "X-Library-Key"}


def manifest(url: str) -> str:
    """A manifest of the library with its address, a secret input and no streams."""
    values = yaml.safe_load(begin("url", url=f"{url}/v1/x").manifest)
    values["definitions"]["requester"]["url_base"] = f"{url}/v1"
    values["streams"] = []
    form = {"type": "object", "properties": {"key": {"type": "string", "airbyte_secret": True}}}
    values["spec"]["connection_specification"] = form
    return yaml.safe_dump(values)


def test_new_streams_are_proven_and_their_credential_too() -> None:
    wrong = {"name": "wrong", "path": "nowhere", "records": ["data"]}
    suggestions = suggestions_of({"auth": KEY, "streams": [wrong, BOOKS, AUTHORS]})
    with LibraryStandIn() as library:
        text, config = manifest(library.url), {"key": library.key}
        result = assist(text, config, "", suggestions)
        assert result.requests == len(library.requests)
        assert [(item.what, item.confidence) for item in result.proposals] == [
            ("auth", "proven"),
            ("stream", "proven"),
            ("stream", "proven"),
        ]
        assert any("nowhere" in note for note in result.notes)
        values = yaml.safe_load(text)
        for proposal in result.proposals:
            if proposal.what == "stream":
                assert proposal.path == ["streams", len(values["streams"])]
                values["streams"].append(proposal.value)
            else:
                put(values, list(proposal.path), proposal.value)
        values["check"]["stream_names"] = ["books"]
        assert validate(yaml.safe_dump(values)) == []
        assert [len(read(values, config, name, most_pages=9).records) for name in ("books", "authors")] == [60, 7]
    assert library.key not in json.dumps(result.values())


def test_a_stream_gets_what_the_api_confirms_and_the_rest_by_trying() -> None:
    lies = {
        "path": "v1/books",
        "records": ["items"],
        "primary_key": "title_of_it",
        "pagination": {"kind": "offset", "parameter": "offset"},
        "cursor": {"field": "updated_at", "parameter": "modified_since"},
    }
    with LibraryStandIn() as library:
        begun = begin("curl", f"curl {library.url}/v1/books -H 'X-Library-Key: {library.key}'")
        config = begun.test_configuration
        right = assist(begun.manifest, config, "books", suggestions_of({"streams": [{**BOOKS, "path": "v1/books"}]}))
        assert [item.evidence.startswith("The documentation says") for item in right.proposals[:4]] == [True] * 4
        wrong = assist(begun.manifest, config, "books", suggestions_of({"streams": [lies]}))
        for result in (right, wrong):
            values = applied(begun.manifest, result, "records", "pagination", "key", "cursor")
            assert len(read(values, config, "books", most_pages=9).records) == 60
    assert not any(item.evidence.startswith("The documentation says") for item in wrong.proposals)


def test_without_a_model_the_stream_is_tried_alone(api: Api) -> None:
    api.answers["/things"] = {"data": [{"id": 1}, {"id": 2}]}
    text = begin("url", url=f"{api.url}/things").manifest
    result = assist(text, {}, "things", Suggestions())
    assert [item.what for item in result.proposals] == ["records", "key", "schema"]


def test_credentials_go_to_no_address_that_a_model_names() -> None:
    with LibraryStandIn() as library, LibraryStandIn() as thief:
        paths = [
            f"{thief.url}/v1/books",
            f"//{thief.url[7:]}/v1/books",
            "../../x",
            "{{ config['key'] }}",
            "a\nb",
            "x" * 300,
        ]
        suggestions = suggestions_of({"streams": [{"name": "s", "path": path} for path in paths]})
        assert (suggestions.streams, suggestions.dropped) == ([], len(paths))
        paged = {**BOOKS, "pagination": {"kind": "next_address", "path": ["links", "next"]}}
        assist(manifest(library.url), {"key": library.key}, "", suggestions_of({"auth": KEY, "streams": [paged]}))
        empty = yaml.safe_load(manifest(library.url))
        del empty["definitions"]["requester"]["url_base"]
        result = assist(yaml.safe_dump(empty), {"key": library.key}, "", suggestions_of({"streams": [BOOKS]}))
        assert "no base address" in result.notes[0]
        assert thief.requests == []


@pytest.mark.parametrize(
    "suggested",
    [
        {"auth": {"kind": "CustomAuthenticator", "class_name": "os.system"}},
        {"auth": {"kind": "api_key", "in": "header", "name": "X-Evil\r\nHost: evil"}},
        {"auth": 3, "streams": 5},
        {"streams": [None, 3, {}, {"path": ""}, {"path": "a", "method": "DELETE"}]},
        {"streams": [{"path": "a", "records": "x" * 500, "primary_key": "{{ 1 }}", "pagination": {"kind": "magic"}}]},
        {"streams": [{"path": "a", "parameters": {"q": "{{ config }}", "\n": "x"}, "cursor": {"field": ["x"]}}]},
        {"streams": [{"path": f"p{n}"} for n in range(100)]},
    ],
)
def test_what_is_not_in_the_vocabulary_is_dropped(suggested: Any) -> None:
    suggestions = suggestions_of(suggested)
    shown = repr(suggestions)
    assert "os.system" not in shown
    assert "evil" not in shown
    assert len(suggestions.streams) <= 8
    for stream in suggestions.streams:
        assert stream.key == ""
        assert stream.paging is None
        assert stream.cursor_field == ""


def test_a_template_in_a_suggested_value_stays_a_text(api: Api) -> None:
    api.answers["/a"] = {"data": [{"id": 1}, {"id": 2}]}
    text = manifest(api.url).replace("/v1", "")
    suggested = suggestions_of({"streams": [{"path": "a", "parameters": {"q": "{{ config['key'] }}"}}]})
    assist(text, {"key": "geheim-4711"}, "", suggested)
    assert {call.query.get("q") for call in api.calls} == {"{{ config['key'] }}"}


@pytest.mark.parametrize(
    "text", ['{"streams": []}', '```json\n{"streams": []}\n```', 'Here it is: {"streams": []} Bye.']
)
def test_the_answer_of_a_model_may_stand_in_a_fence(text: str) -> None:
    assert suggestions_in(text) == Suggestions()


@pytest.mark.parametrize("text", ["", "no", "{", "[1]", "}{", '{"a": }'])
def test_an_answer_without_an_object_is_an_error(text: str) -> None:
    with pytest.raises(ConnectorError, match="JSON object"):
        suggestions_in(text)


def test_the_text_of_a_page_is_what_a_reader_sees() -> None:
    page = """<!DOCTYPE html><html><head><title>T</title><style>b{}</style></head><body><nav>Menu</nav>
    <h1>Orders &amp; more</h1><script>evil("<p>x</p>")</script><p>GET   /orders<br>pages</p><pre>{"a":
      1}</pre><table><tr><td>limit</td><td>number</td></tr></table><svg><text>no</text></svg><p>end"""
    text = page_text(page, "text/html", 10_000)
    assert "Orders & more" in text
    assert "limit | number" in text.replace("  ", " ")
    assert "evil" not in text
    assert "b{}" not in text
    assert text.endswith("end")
    assert page_text("# Markdown <b>x</b>", "text/markdown", 5) == "# Mar"
    assert page_text("<" * 100_000 + "<script>" * 10_000, "text/html", 100) is not None
