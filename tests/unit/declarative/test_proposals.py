"""Proposals by requests to an API: what is proven is right, what is not proven says so, and each has its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from loopback import Api, Call
from stand_ins.github import GitHubStandIn
from stand_ins.harbour import KEY as HARBOUR_KEY
from stand_ins.harbour import HarbourStandIn
from stand_ins.library import BOOKS, LibraryStandIn

from kitestring.declarative.builder import read, validate
from kitestring.declarative.builder.assistance import assist
from kitestring.declarative.builder.beginning import Beginning, begin
from kitestring.declarative.builder.cursor_proposals import CursorField, documented_names
from kitestring.declarative.builder.proposals import Proposals, propose
from kitestring.declarative.builder.stream_proposal import Draft
from kitestring.declarative.builder.suggestion import Suggestions
from kitestring.errors import ConfigError
from kitestring.testing.zendesk import API_TOKEN, EMAIL, ZendeskStandIn


def put(values: Any, path: list[Any], value: Any) -> None:
    """Set a value as the editor does; None takes it out."""
    *parents, last = path
    for part in parents:
        values = values[part] if isinstance(values, list) else values.setdefault(part, {})
    if value is None:
        del values[last]
    else:
        values[last] = value


def applied(text: str, result: Proposals, *names: str) -> Any:
    """The manifest with the first proposal of each kind."""
    values, seen = yaml.safe_load(text), set(names)
    for proposal in result.proposals:
        if proposal.what in seen or not names:
            seen.discard(proposal.what)
            put(values, list(proposal.path), proposal.value)
            for edit in proposal.also:
                put(values, list(edit.path), edit.value)
    assert not seen
    assert validate(yaml.safe_dump(values)) == []
    return values


def kinds(result: Proposals) -> dict[str, str]:
    return {proposal.what: proposal.confidence for proposal in result.proposals}


def curl(url: str, path: str, options: str) -> Beginning:
    return begin("curl", f"curl '{url}/{path}' {options}")


@pytest.mark.parametrize(
    ("path", "title", "count"),
    [
        ("books", "number in page", len(BOOKS)),
        ("authors", "meta.next_cursor in after", 7),
        ("loans?status=open", "offset in offset", 30),
        ("members", "last id in starting_after", 5),
        ("branches", "address at links.next", 5),
        ("books/7/copies", "Link header", 3),
    ],
)
def test_a_connector_from_one_address_reads_everything_after_its_proposals(path: str, title: str, count: int) -> None:
    with LibraryStandIn() as library:
        begun = curl(library.url, f"v1/{path}", f"-H 'X-Library-Key: {library.key}'")
        result = propose(begun.manifest, begun.test_configuration, begun.streams[0].name)
        assert result.requests == len(library.requests)
        pagination = next(proposal for proposal in result.proposals if proposal.what == "pagination")
        assert title in pagination.title
        assert (pagination.confidence, "Page 2" in pagination.evidence) == ("proven", True)
        values = applied(begun.manifest, result)
        reading = read(values, begun.test_configuration, begun.streams[0].name, most_pages=50)
        assert (reading.error, len(reading.records)) == ("", count)
        assert reading.schema_difference == []
    assert library.key not in json.dumps(result.values())


def test_what_the_manifest_has_right_already_is_a_note() -> None:
    with LibraryStandIn() as library:
        begun = curl(library.url, "v1/authors", f"-H 'X-Library-Key: {library.key}'")
        config = begun.test_configuration
        values = applied(begun.manifest, propose(begun.manifest, config, "authors"))
        result = propose(values, config, "authors", ["records", "pagination", "key", "schema", "auth"])
    assert result.proposals == []
    assert [note.partition(":")[0] for note in result.notes] == [
        "Authentication",
        "Records",
        "Pagination",
        "Key",
        "Schema",
    ]


def test_zendesk_gets_its_cursor_and_start_time() -> None:
    with ZendeskStandIn(export_page=150) as zendesk:
        begun = curl(
            zendesk.url, "api/v2/incremental/tickets/cursor.json?start_time=1500000000", f"-u {EMAIL}/token:{API_TOKEN}"
        )
        name, config = begun.streams[0].name, begun.test_configuration
        result = propose(begun.manifest, config, name)
        assert kinds(result) == dict.fromkeys(("records", "pagination", "key", "cursor", "schema"), "proven")
        values = applied(begun.manifest, result)
        reading = read(values, config, name, most_pages=50)
        assert (reading.error, len(reading.records)) == ("", 400)
        again = read(values, config, name, state=reading.state, most_pages=50)
        assert (again.error, len(again.records) < 10) == ("", True)
    assert API_TOKEN not in json.dumps(result.values())


def test_github_gets_its_link_header_and_since() -> None:
    with GitHubStandIn() as github:
        repository = next(iter(github.repositories))
        begun = curl(github.url, f"repos/{repository}/issues?state=all", f"-H 'Authorization: Bearer {github.token}'")
        result = propose(begun.manifest, begun.test_configuration, "issues")
        cursor = next(proposal for proposal in result.proposals if proposal.what == "cursor")
        assert (cursor.value["start_time_option"]["field_name"], cursor.confidence) == ("since", "proven")
        values = applied(begun.manifest, result)
        reading = read(values, begun.test_configuration, "issues", most_pages=100)
        plain = read(applied(begun.manifest, result, "pagination"), begun.test_configuration, "issues", most_pages=100)
        assert reading.error == ""
        assert {row["id"] for row in reading.records} == {row["id"] for row in plain.records}


# -- pagination


def numbered(total: int, size: int, first: int = 1, most: int = 1000) -> Any:
    def answer(call: Call) -> Any:
        page, wanted = int(call.query.get("page", first)), min(int(call.query.get("limit", size)), most)
        begin = (page - first) * wanted
        return {"data": [{"id": n} for n in range(total)[max(begin, 0) : max(begin + wanted, 0)]]}

    return answer


def things(api: Api, **more: Any) -> str:
    """A manifest of the list at /things whose records are at `data`."""
    begun = begin("url", url=f"{api.url}/things")
    return begun.manifest.replace("field_path: []", "field_path: [data]")


@pytest.mark.parametrize(("first", "start"), [(1, 1), (0, 0)])
def test_pages_count_from_where_the_api_counts_from(api: Api, first: int, start: int) -> None:
    api.answers["/things"] = numbered(45, 10, first)
    text = things(api)
    result = propose(text, {}, "things", ["pagination"])
    (proposal,) = result.proposals
    assert proposal.value["pagination_strategy"]["start_from_page"] == start
    assert len(read(applied(text, result), {}, "things", most_pages=50).records) == 45


def test_a_larger_page_is_proposed_only_where_full_pages_came(api: Api) -> None:
    text = things(api)
    api.answers["/things"] = numbered(450, 10)
    result = propose(text, {}, "things", ["pagination"])
    larger, usual = result.proposals
    assert larger.value["page_size_option"]["field_name"] == "limit"
    assert larger.value["pagination_strategy"]["page_size"] == 100
    assert "page_size" not in usual.value["pagination_strategy"]
    assert len(read(applied(text, result, "pagination"), {}, "things", most_pages=50).records) == 450
    # A limit of the API below the size that is asked for would end the read after one page: it is found.
    api.answers["/things"] = numbered(450, 10, most=50)
    result = propose(text, {}, "things", ["pagination"])
    assert result.proposals[0].value["pagination_strategy"]["page_size"] == 50
    assert len(read(applied(text, result, "pagination"), {}, "things", most_pages=50).records) == 450


def test_the_pagination_that_is_set_is_tried_first_and_said(api: Api) -> None:
    api.answers["/things"] = numbered(450, 10)
    values = applied(things(api), propose(things(api), {}, "things", ["pagination"]), "pagination")
    before = len(api.calls)
    result = propose(values, {}, "things", ["pagination"])
    assert (result.proposals, len(api.calls) - before) == ([], 3)
    assert result.notes == ["Pagination: it is set already, by number in page, and page 2 came with other records."]
    # One short page: nothing to prove it on.
    api.answers["/things"] = numbered(4, 10)
    result = propose(values, {}, "things", ["pagination"])
    assert result.proposals == []
    assert "set already, by number in page. It brought no second page" in result.notes[0]


def test_the_size_of_a_page_is_proposed_for_a_pagination_without_it(api: Api) -> None:
    api.answers["/things"] = numbered(45, 10)
    values = yaml.safe_load(things(api))
    retriever = values["streams"][0]["retriever"]
    option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "page"}
    strategy = {"type": "PageIncrement", "start_from_page": 1, "inject_on_first_request": True}
    retriever["paginator"] = {
        "type": "DefaultPaginator",
        "page_token_option": option,
        "pagination_strategy": strategy,
    }
    retriever["requester"]["request_parameters"] = {"limit": "20"}
    (proposal,) = propose(values, {}, "things", ["pagination"]).proposals
    assert proposal.value["pagination_strategy"] == {**strategy, "page_size": 20}
    assert [edit.path[-1] for edit in proposal.also] == ["limit"]
    values = applied(yaml.safe_dump(values), Proposals([proposal]))
    before = len(api.calls)
    assert len(read(values, {}, "things", most_pages=50).records) == 45
    assert len(api.calls) - before == 3  # the third page has five: no request for an empty one


def test_an_api_that_ignores_every_parameter_gets_no_paging(api: Api) -> None:
    api.answers["/things"] = {"data": [{"id": n} for n in range(20)]}
    result = propose(things(api), {}, "things", ["pagination"])
    assert result.proposals == []
    assert "20 records" in result.notes[0]


def test_a_cursor_that_leads_back_to_page_one_is_no_paging(api: Api) -> None:
    api.answers["/things"] = {"data": [{"id": 1}, {"id": 2}], "next_cursor": "same"}
    assert kinds(propose(things(api), {}, "things", ["pagination"])) == {"pagination": "likely"}


def test_an_address_of_another_host_is_not_followed(api: Api) -> None:
    api.answers["/things"] = {"data": [{"id": 1}], "next": "http://127.0.0.1:9/steal"}
    result = propose(things(api), {}, "things", ["pagination"])
    assert all("address" not in proposal.title for proposal in result.proposals)


def test_a_parameter_that_the_paginator_sends_leaves_the_request(api: Api) -> None:
    def answer(call: Call) -> Any:
        begin = int(call.query.get("cursor") or 0)
        return {
            "data": [{"id": n} for n in range(begin, begin + 2)],
            "next_cursor": str(begin + 2) if begin < 6 else None,
        }

    api.answers["/things"] = answer
    text = begin("url", url=f"{api.url}/things?cursor=0").manifest.replace("field_path: []", "field_path: [data]")
    result = propose(text, {}, "things", ["pagination"])
    (proposal,) = result.proposals
    assert [edit.path[-2:] for edit in proposal.also] == [["request_parameters", "cursor"]]
    assert len(read(applied(text, result), {}, "things", most_pages=50).records) == 8


def test_the_page_in_a_json_body_is_proposed_and_leaves_the_body() -> None:
    with HarbourStandIn() as harbour:
        body = '{"filter": {"state": "any"}, "page": {"number": 1, "size": 20}}'
        begun = curl(harbour.url, "v2/parcels/search", f"-H 'X-Harbour-Key: {HARBOUR_KEY}' --json '{body}'")
        result = propose(
            begun.manifest, begun.test_configuration, begun.streams[0].name, ["records", "pagination", "key"]
        )
        pagination = next(proposal for proposal in result.proposals if proposal.what == "pagination")
        assert (pagination.title, pagination.confidence) == (
            "Pages by number in page.number of the body, from 1, 50 records each",
            "proven",
        )
        values = applied(begun.manifest, result, "records", "pagination", "key")
        requester = values["streams"][0]["retriever"]["requester"]
        assert requester["request_body_json"] == {"filter": {"state": "any"}}
        before = len(harbour.requests)
        reading = read(values, begun.test_configuration, begun.streams[0].name, most_pages=20)
        assert [record["id"] for record in reading.records] == [parcel["id"] for parcel in harbour.parcels]
        assert len(harbour.requests) - before == 3


def test_a_time_in_the_json_body_is_proposed_beside_what_it_sends() -> None:
    with HarbourStandIn() as harbour:
        body = '{"filter": {"state": "any"}, "page": {"number": 1, "size": 20}}'
        begun = curl(harbour.url, "v2/parcels/search", f"-H 'X-Harbour-Key: {HARBOUR_KEY}' --json '{body}'")
        name, config = begun.streams[0].name, begun.test_configuration
        result = propose(begun.manifest, config, name)
        cursor = next(proposal for proposal in result.proposals if proposal.what == "cursor")
        assert cursor.title == "Cursor changed_at, asked for by filter.changed_after of the body"
        assert (cursor.confidence, cursor.warning) == ("proven", "")
        values = applied(begun.manifest, result, "records", "pagination", "key", "cursor")
        state = read(values, config, name, most_pages=20).state
        before = len(harbour.requests)
        assert [row["id"] for row in read(values, config, name, state=state).records] == [harbour.parcels[-1]["id"]]
        assert len(harbour.requests) - before == 1


@pytest.mark.parametrize(
    ("sent", "accepted", "documentation"),
    [
        ({"filter": {"state": "any"}}, ("filter", "touched_since"), "Set <code>filter.touched_since</code> to a time."),
        ({"query": {"state": "any"}}, ("query", "not_before_from"), "Give `not_before_from` for the rest."),
        ({"updated": {"since": ""}}, ("updated", "since"), ""),
        ({"limit": 50}, ("updated_since",), ""),
        ({"where": {}}, ("where", "modified_at", "gte"), ""),
    ],
)
def test_the_place_of_a_time_in_a_body_comes_from_the_body_the_documentation_or_usual_names(
    api: Api, sent: Any, accepted: tuple[str, ...], documentation: str
) -> None:
    rows = [{"id": n, "modified_at": f"2024-01-{n:02}T00:00:00Z"} for n in range(1, 20)]

    def answer(call: Call) -> Any:
        since: Any = json.loads(call.body)
        for part in accepted:
            since = (since.get(part) if isinstance(since, dict) else None) or ""
        return {"data": [row for row in rows if str(row["modified_at"]) >= since]}

    api.answers["/things"] = answer
    begun = curl(api.url, "things", f"--json '{json.dumps(sent)}'")
    text = begun.manifest.replace("field_path: []", "field_path: [data]")
    result = assist(text, {}, "things", Suggestions(), documentation=documentation)
    (cursor,) = [proposal for proposal in result.proposals if proposal.what == "cursor"]
    assert cursor.confidence == "proven"
    option = cursor.value["start_time_option"]
    assert (option["inject_into"], option.get("field_path") or [option["field_name"]]) == ("body_json", list(accepted))
    values = applied(text, result, "cursor")
    state = read(values, {}, "things").state
    assert [row["id"] for row in read(values, {}, "things", state=state).records] == [19]


def test_a_long_word_in_a_documentation_costs_no_time() -> None:
    field = CursorField("changed_at", ["%Y-%m-%d"], [], True)
    assert documented_names("a" * 60_000 + " filter.changed_after " + "_" * 60_000, field)[0] == "filter.changed_after"


def test_a_cursor_that_misses_changes_has_a_warning(api: Api) -> None:
    api.answers["/things"] = {"data": [{"code": f"D{n}", "opened_on": f"20{n + 10}-04-01"} for n in range(1, 7)]}
    (proposal,) = propose(things(api), {}, "things", ["cursor"]).proposals
    assert proposal.warning == "opened_on does not move when a record changes: changes would be missed."
    assert "missed" not in proposal.evidence


def test_a_cursor_of_the_answer_is_tried_in_the_json_body(api: Api) -> None:
    def answer(call: Call) -> Any:
        begin = int(json.loads(call.body).get("cursor") or 0)
        following = str(begin + 2) if begin < 6 else None
        return {"data": [{"id": n} for n in range(begin, begin + 2)], "next_cursor": following}

    api.answers["/things"] = answer
    begun = curl(api.url, "things", """--json '{"sort": "id"}'""")
    result = propose(begun.manifest, begun.test_configuration, "things", ["records", "pagination"])
    values = applied(begun.manifest, result, "records", "pagination")
    assert len(read(values, begun.test_configuration, "things", most_pages=20).records) == 8


def test_endless_tries_end_with_the_budget(api: Api) -> None:
    def answer(call: Call) -> Any:
        number = len(api.calls)
        return {"data": [{"id": number, "updated_at": f"2024-01-01T00:00:{number % 60:02}Z"} for _ in range(2)]}

    api.answers["/things"] = answer
    result = propose(things(api), {}, "things", most=20)
    assert (len(api.calls), result.requests, result.most) == (20, 20, 20)
    assert result.notes[-1].startswith("20 requests were made, as many as are allowed. Not tried to the end: ")
    assert result.notes[-1].endswith("cursor, schema.")


# -- records, keys, cursors, schemas


@pytest.mark.parametrize(
    ("answer", "path", "confidence"),
    [
        ([{"id": 1}], [], "proven"),
        (
            {"meta": {"tags": ["x"]}, "result": {"things": [{"id": 1}], "users": [{"id": 2}, {"id": 3}]}},
            ["result", "things"],
            "proven",
        ),
        ({"things": {"a": {"id": 1, "n": 2}, "b": {"id": 2, "n": 3}}}, ["things", "*"], "proven"),
        ({"items": []}, ["items"], "likely"),
    ],
)
def test_records_are_found_where_an_answer_has_them(api: Api, answer: Any, path: list[str], confidence: str) -> None:
    api.answers["/things"] = lambda call: answer
    text = begin("url", url=f"{api.url}/things").manifest.replace("field_path: []", "field_path: [elsewhere]")
    proposal = propose(text, {}, "things", ["records"]).proposals[0]
    assert (proposal.value, proposal.confidence) == (path, confidence)


def test_a_key_that_repeats_between_partitions_is_no_key(api: Api) -> None:
    for team in ("a", "b"):
        api.answers[f"/{team}/things"] = {"data": [{"id": n, "title": f"{team}{n}"} for n in range(3)]}
    values = yaml.safe_load(things(api))
    retriever = values["streams"][0]["retriever"]
    retriever["partition_router"] = {"type": "ListPartitionRouter", "values": ["a", "b"], "cursor_field": "team"}
    retriever["requester"]["path"] = "{{ stream_partition['team'] }}/things"
    result = propose(values, {}, "things", ["key"])
    assert result.proposals == []
    assert "within a partition" in result.notes[0]


@pytest.mark.parametrize(
    ("times", "formats"),
    [
        (["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"], ["%Y-%m-%dT%H:%M:%SZ"]),
        (["2024-01-01T00:00:00.123Z", "2024-01-02T00:00:00.000Z"], ["%Y-%m-%dT%H:%M:%S.%_msZ"]),
        (["2024-01-01T00:00:00+02:00", "2024-01-02T00:00:00Z"], ["%Y-%m-%dT%H:%M:%S%z"]),
        (["2024-01-01T00:00:00Z", "2024-01-02T00:00:00.5Z"], ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"]),
        (["2024-01-01", "2024-01-02"], ["%Y-%m-%d"]),
        ([1704067200, 1704153600], ["%s"]),
        ([1704067200000, 1704153600000], ["%ms"]),
    ],
)
def test_the_formats_of_a_cursor_are_recognised(api: Api, times: list[Any], formats: list[str]) -> None:
    api.answers["/things"] = {"data": [{"id": n, "updated_at": time} for n, time in enumerate(times)]}
    (proposal,) = propose(things(api), {}, "things", ["cursor"]).proposals
    assert (proposal.value["cursor_field"], proposal.value["cursor_datetime_formats"]) == ("updated_at", formats)
    assert proposal.confidence == "likely"


@pytest.mark.parametrize("times", [["soon", "2024-01-01"], [1, 2], [None, "2024-01-01"], ["2024-01-01T00:00:00Z", 5]])
def test_a_field_that_is_no_time_in_all_records_is_no_cursor(api: Api, times: list[Any]) -> None:
    api.answers["/things"] = {"data": [{"id": n, "updated_at": time} for n, time in enumerate(times)]}
    assert propose(things(api), {}, "things", ["cursor"]).proposals == []


def test_a_proven_cursor_reads_only_what_changed_and_takes_the_input_of_the_start(api: Api) -> None:
    rows = [{"id": n, "modified": f"2024-01-{n:02}T00:00:00Z"} for n in range(1, 20)]

    def answer(call: Call) -> Any:
        return {"data": [row for row in rows if str(row["modified"]) >= call.query.get("modified_since", "")]}

    api.answers["/things"] = answer
    text = things(api)
    result = propose(text, {}, "things", ["cursor"])
    assert kinds(result) == {"cursor": "proven"}
    values = applied(text, result)
    assert values["spec"]["connection_specification"]["properties"]["start_date"]["format"] == "date-time"
    assert len(read(values, {}, "things").records) == 19
    assert len(read(values, {"start_date": "2024-01-15T00:00:00Z"}, "things").records) == 5
    state = read(values, {}, "things").state
    assert [row["id"] for row in read(values, {}, "things", state=state).records] == [19]


def test_a_list_with_the_newest_first_is_a_feed(api: Api) -> None:
    api.answers["/things"] = {"data": [{"id": n, "updated": f"2024-01-{n:02}"} for n in range(20, 1, -1)]}
    (proposal,) = propose(things(api), {}, "things", ["cursor"]).proposals
    assert proposal.value["is_data_feed"] is True


# -- authentication


@pytest.mark.parametrize(
    ("header", "expected", "kind"),
    [
        ("authorization", "Bearer geheim-4711", "BearerAuthenticator"),
        ("authorization", "Token geheim-4711", "ApiKeyAuthenticator"),
        ("x-api-key", "geheim-4711", "ApiKeyAuthenticator"),
    ],
)
def test_the_way_that_the_api_takes_a_secret_is_proven(api: Api, header: str, expected: str, kind: str) -> None:
    api.answers["/things"] = lambda call: (
        {"data": [{"id": 1}]} if call.headers.get(header) == expected else (401, {"error": f"not {call.headers}"})
    )
    values = yaml.safe_load(things(api))
    form = {"type": "object", "properties": {"key": {"type": "string", "airbyte_secret": True}}}
    values["spec"]["connection_specification"] = form
    config = {"key": "geheim-4711"}
    result = propose(values, config, "things", ["auth"])
    (proposal,) = result.proposals
    assert (proposal.value["type"], proposal.path) == (kind, ["definitions", "requester", "authenticator"])
    assert len(read(applied(yaml.safe_dump(values), result), config, "things").records) == 1
    assert "geheim" not in json.dumps(result.values())


def test_a_refusal_without_a_secret_says_what_is_missing(api: Api) -> None:
    api.answers["/things"] = (401, {}, {"WWW-Authenticate": 'Bearer realm="x"'})
    result = propose(things(api), {}, "things", ["auth"])
    assert result.proposals == []
    assert "401" in result.notes[0]
    assert "Bearer realm" in result.notes[0]


# -- places


def test_a_place_follows_references_but_not_for_what_one_stream_may_override() -> None:
    values = {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["b"]},
        "definitions": {
            "requester": {"type": "HttpRequester", "url_base": "https://a.example"},
            "retriever": {"type": "SimpleRetriever", "requester": {"$ref": "#/definitions/requester"}},
            "stream": {"type": "DeclarativeStream", "name": "b", "retriever": "#/definitions/retriever"},
        },
        "streams": [
            {"type": "DeclarativeStream", "name": "a", "retriever": {"$ref": "#/definitions/retriever"}},
            {"$ref": "#/definitions/stream"},
        ],
    }
    first, second = Draft(values, "a"), Draft(values, "b")
    assert first.place("primary_key") == ["streams", 0, "primary_key"]
    assert first.place("retriever", "paginator") == ["streams", 0, "retriever", "paginator"]
    assert first.place("retriever", "requester", "path") == ["definitions", "retriever", "requester", "path"]
    assert first.place("retriever", "requester", "authenticator", shared=True) == [
        *("definitions", "requester", "authenticator"),
    ]
    assert second.place("primary_key") == ["streams", 1, "primary_key"]
    assert second.place("retriever", "paginator") == ["definitions", "retriever", "paginator"]
    with pytest.raises(ConfigError, match="no stream called c"):
        Draft(values, "c")
