"""The builder's actions: a test read shows every request, a draft works, a schema fits, layout keeps words."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from loopback import Api, Call, cursor, manifest, stream
from test_partition_state import Repositories, replies

from kitestring.declarative import DeclarativeSource
from kitestring.declarative.builder import draft, formatted, infer_schema, read, resolved, validate
from kitestring.errors import ConfigError

PAGES = {
    "type": "DefaultPaginator",
    "page_token_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "page"},
    "pagination_strategy": {"type": "PageIncrement", "page_size": 2},
}


def pages_of(total: int) -> Any:
    def answer(call: Call) -> Any:
        first = int(call.query.get("page", 0)) * 2
        return {"data": [{"id": n} for n in range(first, min(first + 2, total))]}

    return answer


def test_each_page_stands_with_its_request_and_its_answer(api: Api) -> None:
    api.answers["/things"] = pages_of(3)
    result = read(manifest(stream(url=api.url, retriever={"paginator": PAGES})), {}, "things")
    (part,) = result.slices
    assert [[record["id"] for record in page.records] for page in part.pages] == [[0, 1], [2]]
    assert [page.exchange.url for page in part.pages if page.exchange] == [
        f"{api.url}/things",
        f"{api.url}/things?page=1",
    ]
    assert part.pages[1].exchange is not None
    assert (part.pages[1].exchange.status, part.pages[1].exchange.response) == (200, {"data": [{"id": 2}]})
    assert (result.limited, result.error, len(result.records)) == ([], "", 3)
    assert result.schema["properties"] == {"id": {"type": "integer"}}
    json.dumps(result.values())


def test_pages_without_records_are_shown_too(api: Api) -> None:
    api.answers["/things"] = {"data": []}
    result = read(manifest(stream(url=api.url)), {}, "things")
    assert [(len(page.records), page.exchange is not None) for page in result.slices[0].pages] == [(0, True)]


def test_the_limits_of_pages_records_and_slices_end_a_read_and_are_named(api: Api) -> None:
    api.answers["/things"] = pages_of(1_000)
    values = manifest(stream(url=api.url, retriever={"paginator": PAGES}))
    result = read(values, {}, "things", most_pages=3)
    assert (len(result.slices[0].pages), len(result.records), result.limited) == (3, 6, ["pages"])
    assert len(api.calls) == 4
    result = read(values, {}, "things", most_records=3)
    assert (len(result.records), result.limited) == (3, ["records"])
    months = manifest(stream(url=api.url, incremental_sync=cursor(step="P7D", cursor_granularity="PT1S")))
    api.answers["/things"] = {"data": []}
    result = read(months, {}, "things", most_slices=2)
    assert (len(result.slices), result.limited) == (2, ["slices"])
    assert result.slices[0].bounds["start_time"] == "2024-01-01T00:00:00Z"


@pytest.mark.parametrize("place", ["request_parameter", "body_json"])
def test_a_page_number_that_the_api_ignores_is_named(api: Api, place: str) -> None:
    api.answers["/things"] = {"data": [{"id": 1}, {"id": 2}]}
    paginator = {
        "type": "DefaultPaginator",
        "pagination_strategy": {"type": "PageIncrement", "start_from_page": 1},
        "page_token_option": {"type": "RequestOption", "inject_into": place, "field_name": "nummer"},
    }
    result = read(manifest(stream(url=api.url, primary_key="id", retriever={"paginator": paginator})), {}, "things")
    warnings = [line.message for line in result.logs if line.level == "warning"]
    assert len(warnings) == 1
    assert "pages 1 and 2 are the same: the API ignores “nummer”, or" in warnings[0]


def test_pages_with_equal_empty_answers_are_no_repeated_page(api: Api) -> None:
    api.answers["/things"] = lambda call: {"data": [], "next": str(len(api.calls))}
    strategy = {"type": "CursorPagination", "cursor_value": "{{ headers['x-next'] or 'a' }}"}
    paged = stream(url=api.url, retriever={"paginator": {**PAGES, "pagination_strategy": strategy}})
    result = read(manifest(paged), {}, "things", most_pages=2)
    assert not [line for line in result.logs if line.level == "warning"]


def test_answers_that_are_read_in_chunks_are_no_repeated_page(api: Api) -> None:
    def lines(call: Call) -> bytes:
        return json.dumps({"id": int(call.query.get("page", 0))}).encode() + b"\n"

    api.answers["/things"] = lines
    paginator = {**PAGES, "pagination_strategy": {"type": "PageIncrement"}}
    retriever = {"paginator": paginator, "decoder": {"type": "JsonlDecoder"}}
    selector = {"extractor": {"type": "DpathExtractor", "field_path": []}}
    values = manifest(stream(url=api.url, retriever=retriever, selector=selector))
    result = read(values, {}, "things", most_pages=3)
    assert [record["id"] for record in result.records] == [0, 1, 2]
    assert not [line for line in result.logs if line.level == "warning"]


def test_endless_empty_pages_end_at_the_limit(api: Api) -> None:
    api.answers["/things"] = lambda call: {"data": [], "next": str(len(api.calls))}
    strategy = {"type": "CursorPagination", "cursor_value": "{{ response['next'] }}"}
    result = read(
        manifest(stream(url=api.url, retriever={"paginator": {**PAGES, "pagination_strategy": strategy}})),
        {},
        "things",
        most_pages=4,
    )
    assert (len(result.slices[0].pages), result.limited) == (4, ["pages"])


def test_secrets_are_masked_wherever_they_appear(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    key = "geheim-4711"
    answers = [(500, {"said": f"boom {key}"}), {"data": [{"id": 1, "echo": f"you are {key}"}]}]
    api.answers["/things"] = lambda call: answers.pop(0)
    auth = {
        "type": "ApiKeyAuthenticator",
        "api_token": "{{ config['key'] }}",
        "inject_into": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "k"},
    }
    form = {"type": "object", "properties": {"key": {"type": "string", "airbyte_secret": True}}}
    spec = {"type": "Spec", "connection_specification": form}
    result = read(manifest(stream(url=api.url, requester={"authenticator": auth}), spec=spec), {"key": key}, "things")
    assert api.calls[0].query == {"k": key}
    text = json.dumps(result.values())
    assert key not in text
    (page,) = result.slices[0].pages
    assert [attempt.status for attempt in page.attempts] == [500]
    assert page.records == [{"id": 1, "echo": "you are **********"}]
    assert any("waiting" in log.message for log in result.logs)


def test_what_goes_wrong_stands_beside_what_was_read(api: Api) -> None:
    api.answers["/things"] = lambda call: (
        {"data": [{"id": 1}, {"id": 2}]} if len(api.calls) < 2 else (404, {"why": "x"})
    )
    result = read(manifest(stream(url=api.url, retriever={"paginator": PAGES})), {}, "things")
    assert len(result.records) == 2
    assert "404" in result.error
    assert [page.exchange.status for page in result.slices[0].pages if page.exchange] == [200, 404]


def test_token_requests_and_parents_stand_apart_from_pages(api: Api) -> None:
    api.answers["/token"] = {"access_token": "token-0815", "expires_in": 3600}
    api.answers["/parents"] = {"data": [{"id": 1}, {"id": 2}]}
    api.answers["/parents/1/kids"] = {"data": [{"id": 11}]}
    api.answers["/parents/2/kids"] = {"data": [{"id": 21}]}
    auth = {
        "type": "OAuthAuthenticator",
        "token_refresh_endpoint": f"{api.url}/token",
        "client_id": "c",
        "client_secret": "secret-in-the-manifest",
        "refresh_token": "r",
    }
    parents = stream("parents", api.url, "/parents")
    router = {
        "type": "SubstreamPartitionRouter",
        "parent_stream_configs": [
            {"type": "ParentStreamConfig", "stream": parents, "parent_key": "id", "partition_field": "parent"}
        ],
    }
    kids = stream(
        "kids",
        api.url,
        "/parents/{{ stream_partition['parent'] }}/kids",
        requester={"authenticator": auth},
        retriever={"partition_router": router},
    )
    result = read(manifest(kids), {}, "kids")
    assert [part.partition["parent"] for part in result.slices] == [1, 2]
    assert [len(part.pages) for part in result.slices] == [1, 1]
    assert sorted(item.url.removeprefix(api.url) for item in result.other) == ["/parents", "/token"]
    api.answers["/parents"] = (403, {"message": "not for you"})
    refused = read(manifest(kids), {}, "kids")
    assert [(item.url.removeprefix(api.url), item.status) for item in refused.other] == [("/parents", 403)]
    assert "403" in refused.error
    for secret in ("token-0815", "secret-in-the-manifest"):
        assert secret not in json.dumps(result.values())


def test_a_stream_made_of_two_shows_its_pages_too(api: Api) -> None:
    api.answers["/things"] = {"data": [{"id": 1, "updated_at": "2024-02-10T00:00:00Z"}]}
    auth = {"type": "BearerAuthenticator", "api_token": "{{ config['key'] }}"}
    whole = stream(url=api.url, requester={"authenticator": auth}, incremental_sync=cursor())
    both = {
        "type": "StateDelegatingStream",
        "name": "things",
        "full_refresh_stream": whole,
        "incremental_stream": whole,
    }
    result = read(manifest(both), {"key": "key-12345"}, "things")
    assert [len(page.records) for page in result.slices[0].pages] == [1]
    assert result.other == []
    assert "key-12345" not in json.dumps(result.values())


def test_a_read_goes_on_from_a_state_and_tells_the_next(api: Api) -> None:
    api.answers["/things"] = {"data": [{"id": 1, "updated_at": "2024-02-10T00:00:00Z"}]}
    values = manifest(stream(url=api.url, incremental_sync=cursor()))
    result = read(values, {}, "things", state={"updated_at": "2024-02-01T00:00:00Z"})
    assert result.slices[0].bounds["start_time"] == "2024-02-01T00:00:00Z"
    assert result.state == {"updated_at": "2024-02-10T00:00:00Z"}


def test_a_stream_that_is_not_there_is_a_mistake_of_the_caller(api: Api) -> None:
    with pytest.raises(ConfigError, match="no stream called nothings"):
        read(manifest(stream(url=api.url)), {}, "nothings")


def test_a_schema_fits_all_records_and_finds_dates() -> None:
    records = [
        {"id": 1, "n": 1, "at": "2024-01-01T00:00:00Z", "day": "2024-01-01", "tags": ["a"], "in": {"x": True}},
        {"id": 2, "n": 1.5, "at": "2024-01-02T10:00:00.5+02:00", "day": "soon", "tags": [], "in": None, "void": None},
    ]
    result = infer_schema(records, ["id"])
    assert result["required"] == ["id"]
    assert result["properties"] == {
        "id": {"type": "integer"},
        "n": {"type": ["null", "number"]},
        "at": {"type": ["null", "string"], "format": "date-time"},
        "day": {"type": ["null", "string"]},
        "tags": {"type": ["null", "array"], "items": {"type": ["null", "string"]}},
        "in": {
            "type": ["null", "object"],
            "additionalProperties": True,
            "properties": {"x": {"type": ["null", "boolean"]}},
        },
        "void": {},
    }
    assert infer_schema([{"a": "x"}, {"a": {"b": 1}}])["properties"]["a"]["type"] == ["null", "string", "object"]
    local = infer_schema([{"t": "2024-01-01 10:00:00"}])["properties"]["t"]
    assert (local["format"], local["airbyte_type"]) == ("date-time", "timestamp_without_timezone")


def test_a_resolved_manifest_has_no_references_and_says_every_type() -> None:
    text = """
version: 6.48.0
check: {stream_names: [a]}
definitions: {requester: {url_base: "https://a.example.com", path: "{{ parameters['path'] }}"}}
streams:
  - $parameters: {path: /a}
    name: a
    retriever: {requester: {$ref: "#/definitions/requester"}, record_selector: {extractor: {field_path: []}}}
"""
    result = resolved(text)
    (item,) = result["streams"]
    assert (result["type"], result["check"]["type"], item["type"]) == (
        "DeclarativeSource",
        "CheckStream",
        "DeclarativeStream",
    )
    assert item["retriever"]["type"] == "SimpleRetriever"
    assert item["retriever"]["requester"]["type"] == "HttpRequester"
    assert item["retriever"]["record_selector"]["extractor"]["type"] == "DpathExtractor"
    assert "$ref" not in json.dumps(result["streams"])


@pytest.mark.parametrize("auth", ["none", "bearer", "basic", "header:X-Key", "query:key"])
@pytest.mark.parametrize("paging", ["none", "link", "page:page", "offset:skip", "cursor:after=meta.next"])
def test_a_draft_has_no_mistakes_and_reads_every_page(api: Api, auth: str, paging: str) -> None:
    def answer(call: Call) -> Any:
        number = int(call.query.get("page") or int(call.query.get("skip", 0)) // 2 + 1)
        number = int(call.query.get("after", number)) if not call.query.get("n") else int(call.query["n"])
        page = {
            "data": {"items": [{"id": 2 * number + single_number} for single_number in range(2)] if number < 4 else []},
            "meta": {},
        }
        if number < 3:
            page["meta"] = {"next": number + 1}
        headers = {"Link": f'<{api.url}/v1/things?n={number + 1}>; rel="next"'} if number < 3 else {}
        return 200, page, headers

    api.answers["/v1/things"] = answer
    text = draft(f"{api.url}/v1/things?open=yes&limit=2", records="data.items", auth=auth, paging=paging)
    assert validate(text) == []
    assert formatted(text) == text
    config = {"api_token": "tok-12345", "username": "ada", "password": "pass-word", "api_key": "key-12345"}
    result = read(text, config, "things")
    assert result.error == ""
    assert len(result.records) == (2 if paging == "none" else 6)
    first = api.calls[0]
    assert (first.query["open"], first.query["limit"]) == ("yes", "2")
    sent = {**first.headers, **first.query}
    expected = {"bearer": "authorization", "basic": "authorization", "header:X-Key": "x-key", "query:key": "key"}
    assert auth == "none" or sent[expected[auth]]


def test_a_draft_without_a_page_size_reads_until_an_empty_page(api: Api) -> None:
    api.answers["/things"] = lambda call: {"data": [{"id": call.query["page"]}] if int(call.query["page"]) < 4 else []}
    result = read(draft(f"{api.url}/things", records="data", paging="page:page"), {}, "things")
    assert len(result.records) == 3


@pytest.mark.parametrize(
    ("url", "more"),
    [("ftp://a", {}), ("nonsense", {}), ("https://u:pw@a.com/x", {}), ("https://a.com/x", {"auth": "magic"})]
    + [("https://a.com/x", {"paging": value}) for value in ("page", "cursor:after", "magic:x")],
)
def test_a_draft_that_cannot_be_is_refused(url: str, more: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        draft(url, **more)
    assert "pw" not in str(caught.value)
    assert caught.value.hint


MESSY = """\
# The zoo's API.


spec:   # the form
  type: Spec
  connection_specification: {type: object, properties: {}}
# all streams
streams:
  - type: DeclarativeStream   \n    name: beasts

    # where they are
    retriever: {}
# shared
definitions:
  text: |
    two\x20\x20

    lines
version: "6.48.0"
type: DeclarativeSource
check: {type: CheckStream, stream_names: [beasts]}
"""


def test_formatting_orders_the_parts_and_keeps_values_and_comments() -> None:
    result = formatted(MESSY)
    assert yaml.safe_load(result) == yaml.safe_load(MESSY)
    keys = [line.partition(":")[0] for line in result.splitlines() if line[:1].isalpha()]
    assert keys == ["version", "type", "check", "definitions", "streams", "spec"]
    for comment in (
        "# The zoo's API.",
        "# the form",
        "# all streams\nstreams:",
        "    # where they are",
        "# shared\ndefinitions:",
    ):
        assert comment in result
    assert formatted(result) == result


def test_formatting_never_moves_an_alias_in_front_of_its_anchor() -> None:
    text = "spec: &a {x: 1}\nversion: '1'\nstreams: [*a]\n"
    assert yaml.safe_load(formatted(text)) == yaml.safe_load(text)
    with pytest.raises(ConfigError):
        formatted("streams: [")


@pytest.mark.slow
def test_formatting_leaves_every_manifest_of_ours_as_it_is() -> None:
    import kitestring

    for path in sorted((Path(kitestring.__file__).parent / "sources" / "manifests").glob("*.yaml")):
        text = path.read_text("utf-8")
        assert yaml.safe_load(formatted(text)) == yaml.safe_load(text)
        assert [line for line in formatted(text).splitlines() if "#" in line] != []


def test_a_builder_watches_no_source_that_it_did_not_open(api: Api) -> None:
    source = DeclarativeSource.of(manifest(stream(url=api.url)), {})
    assert source.connection.observe is None
    source.close()


def test_a_read_of_a_stream_with_one_cursor_for_all_partitions_tells_the_next_state(api: Api) -> None:
    Repositories(api, ["a"])
    reading = read(manifest(replies(api, depends=True)), {}, "replies")
    assert (reading.error, reading.state["state"]) == ("", {"updated_at": "2024-02-10T00:00:00Z"})
    assert [next(iter(parent.values())) for parent in reading.state["kitestring_parents"]] == ["a"]
