"""Where the next page is."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import Api, Call, Open, cursor, stream, sync

from kitestring.declarative.paginator import Headers, links
from kitestring.errors import ConfigError, ConnectorError


def paginator(strategy: dict[str, Any], token: Any = "page", size: Any = None) -> dict[str, Any]:
    result: dict[str, Any] = {"type": "DefaultPaginator", "pagination_strategy": strategy}
    if token:
        option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": token}
        result["page_token_option"] = {"type": "RequestPath"} if token == "path" else option
    if size:
        result["page_size_option"] = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": size}
    return {"paginator": result}


def rows(*ids: int) -> dict[str, Any]:
    return {"data": [{"id": item} for item in ids]}


def ids(result: Any) -> list[int]:
    return [record["id"] for record in result.records]


@pytest.mark.parametrize(
    ("strategy", "tokens"),
    [
        ({"type": "PageIncrement", "page_size": 2}, [None, "1", "2"]),
        ({"type": "PageIncrement", "page_size": "{{ config.size }}", "start_from_page": 1}, [None, "2", "3"]),
        (
            {"type": "PageIncrement", "page_size": "2", "inject_on_first_request": True, "start_from_page": 1},
            ["1", "2", "3"],
        ),
        ({"type": "OffsetIncrement", "page_size": 2}, [None, "2", "4"]),
        ({"type": "OffsetIncrement", "page_size": 2, "inject_on_first_request": True}, ["0", "2", "4"]),
    ],
)
def test_counting_ends_with_a_short_page(api: Api, open_source: Open, strategy: Any, tokens: list[Any]) -> None:
    api.answers["/things"] = [rows(1, 2), rows(3, 4), rows(5)]
    source = open_source(stream(url=api.url, retriever=paginator(strategy, size="limit")), config={"size": 2})
    assert ids(sync(source)) == [1, 2, 3, 4, 5]
    assert [call.query.get("page") for call in api.calls] == tokens
    assert {call.query["limit"] for call in api.calls} == {"2"}


def test_without_a_page_size_counting_ends_with_an_empty_page(api: Api, open_source: Open) -> None:
    api.answers["/things"] = [rows(1, 2), rows(3), rows()]
    assert ids(sync(open_source(stream(url=api.url, retriever=paginator({"type": "PageIncrement"}))))) == [1, 2, 3]
    assert len(api.calls) == 3


def test_counting_looks_at_the_page_and_not_at_what_a_filter_left(api: Api, open_source: Open) -> None:
    api.answers["/things"] = [rows(1, 2), rows(3, 4), rows(5)]
    selector = {"record_filter": {"type": "RecordFilter", "condition": "{{ record.id > 4 }}"}}
    parts = paginator({"type": "OffsetIncrement", "page_size": 2})
    assert ids(sync(open_source(stream(url=api.url, retriever=parts, selector=selector)))) == [5]


@pytest.mark.parametrize(
    ("value", "stop", "token"),
    [
        ("{{ response.next }}", "{{ not response.next }}", "page"),
        ("{{ response['next'] }}", None, "page"),
        ("{{ headers['x-next'] }}", "{{ 'x-next' not in headers }}", "page"),
        ("{{ last_record['id'] }}", "{{ last_page_size < 2 }}", "page"),
        ("{{ last_record['id'] }}", "{{ last_page_size < page_size }}", "page"),
    ],
)
def test_a_cursor_is_read_from_the_page(api: Api, open_source: Open, value: str, stop: str | None, token: str) -> None:
    api.answers["/things"] = [(200, {**rows(1, 2), "next": 2}, {"X-Next": "2"}), rows(3)]
    strategy = {
        "type": "CursorPagination",
        "cursor_value": value,
        "page_size": 2,
        **({"stop_condition": stop} if stop else {}),
    }
    assert ids(sync(open_source(stream(url=api.url, retriever=paginator(strategy, token))))) == [1, 2, 3]
    assert [call.query.get("page") for call in api.calls] == [None, "2"]


def test_a_link_is_followed_without_repeating_parameters(api: Api, open_source: Open) -> None:
    link = f'<{api.url}/things?page=2&kind=a>; rel="next", <{api.url}/things?page=9>; rel="last"'
    api.answers["/things"] = [(200, rows(1), {"Link": link}), rows(2)]
    strategy = {
        "type": "CursorPagination",
        "cursor_value": "{{ headers['link']['next']['url'] }}",
        "stop_condition": "{{ 'next' not in headers['link'] }}",
    }
    source = open_source(
        stream(url=api.url, retriever=paginator(strategy, "path"), requester={"request_parameters": {"kind": "a"}})
    )
    assert ids(sync(source)) == [1, 2]
    assert api.calls[1].query == {"page": "2", "kind": "a"}


def test_a_relative_path_is_followed(api: Api, open_source: Open) -> None:
    api.answers["/v1/things"] = {**rows(1), "next": "things/2"}
    api.answers["/v1/things/2"] = {**rows(2), "next": "/v1/things/3"}
    api.answers["/v1/things/3"] = rows(3)
    strategy = {"type": "CursorPagination", "cursor_value": "{{ response.next }}"}
    assert ids(sync(open_source(stream(url=f"{api.url}/v1", retriever=paginator(strategy, "path"))))) == [1, 2, 3]


def test_of_a_list_on_top_the_first_element_is_the_response(api: Api, open_source: Open) -> None:
    api.answers["/things"] = [[{"id": 1, "next": 5}], [{"id": 2}]]
    strategy = {"type": "CursorPagination", "cursor_value": "{{ response.next }}"}
    selector = {"extractor": {"type": "DpathExtractor", "field_path": []}}
    assert ids(sync(open_source(stream(url=api.url, retriever=paginator(strategy), selector=selector)))) == [1, 2]


def test_one_page_is_all_without_a_paginator(api: Api, open_source: Open) -> None:
    api.answers["/things"] = rows(1)
    assert ids(sync(open_source(stream(url=api.url, retriever={"paginator": {"type": "NoPagination"}})))) == [1]


def test_an_empty_page_that_comes_for_ever_is_told(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {**rows(), "next": "same"}
    with pytest.raises(ConnectorError, match="repeats with the token 'same'"):
        sync(
            open_source(
                stream(
                    url=api.url,
                    retriever=paginator({"type": "CursorPagination", "cursor_value": "{{ response.next }}"}),
                )
            )
        )
    assert len(api.calls) < 6


@pytest.mark.parametrize("circle", [1, 2, 3, 5])
def test_pages_that_go_round_in_a_circle_are_told(api: Api, open_source: Open, circle: int) -> None:
    def page(call: Call) -> Any:
        number = int(call.query.get("page", "p0")[1:])
        return {**rows(number), "next": f"p{(number + 1) % circle}"}

    api.answers["/things"] = page
    strategy = {"type": "CursorPagination", "cursor_value": "{{ response.next }}"}
    with pytest.raises(ConnectorError, match="the same page repeats"):
        sync(open_source(stream(url=api.url, retriever=paginator(strategy))))
    assert len(api.calls) < 20


def test_a_page_number_that_the_api_ignores_ends_with_an_error(api: Api, open_source: Open) -> None:
    api.answers["/things"] = rows(1, 2)
    counted = {"type": "PageIncrement", "start_from_page": 1}
    with pytest.raises(ConnectorError, match="21 pages in a row have the same records"):
        sync(open_source(stream(url=api.url, primary_key="id", retriever=paginator(counted))))
    assert len(api.calls) == 21


@pytest.mark.parametrize("more", [{}, {"incremental_sync": cursor()}])
def test_equal_pages_without_a_key_may_be_distinct_records(api: Api, open_source: Open, more: Any) -> None:
    page = {"data": [{"id": 1, "updated_at": "2024-02-01T00:00:00Z"}]}
    api.answers["/things"] = [*[page] * 25, rows()]
    counted = {"type": "PageIncrement", "start_from_page": 1}
    paged = stream(url=api.url, primary_key=None, retriever=paginator(counted), **more)
    assert ids(sync(open_source(paged))) == [1] * 25


def test_equal_pages_whose_key_comes_from_the_page_number_are_distinct_records(api: Api, open_source: Open) -> None:
    api.answers["/things"] = [*[{"data": [{"count": 0}]}] * 25, rows()]
    counted = {"type": "PageIncrement", "start_from_page": 1, "inject_on_first_request": True}
    number = {"path": ["id"], "value": "{{ next_page_token['next_page_token'] }}", "value_type": "integer"}
    added = [{"type": "AddFields", "fields": [{"type": "AddedFieldDefinition", **number}]}]
    paged = stream(url=api.url, primary_key="id", retriever=paginator(counted), transformations=added)
    assert ids(sync(open_source(paged))) == list(range(1, 26))


def test_the_same_cursor_with_other_records_goes_on(api: Api, open_source: Open) -> None:
    api.answers["/things"] = [*({**rows(number), "next": "queue"} for number in range(9)), rows()]
    strategy = {"type": "CursorPagination", "cursor_value": "{{ response.next }}"}
    assert ids(sync(open_source(stream(url=api.url, retriever=paginator(strategy))))) == list(range(9))


def test_parameters_of_the_slice_can_be_left_out_of_later_pages(api: Api, open_source: Open) -> None:
    api.answers["/things"] = [rows(1, 2), rows(3)]
    option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "color"}
    router = {"type": "ListPartitionRouter", "values": ["red"], "cursor_field": "color", "request_option": option}
    parts = {
        **paginator({"type": "PageIncrement", "page_size": 2}),
        "partition_router": router,
        "ignore_stream_slicer_parameters_on_paginated_requests": True,
    }
    sync(open_source(stream(url=api.url, retriever=parts)))
    assert [call.query for call in api.calls] == [{"color": "red"}, {"page": "1"}]


@pytest.mark.parametrize(
    ("strategy", "size", "fact"),
    [
        ({"type": "PageIncrement"}, "limit", "needs a `page_size`"),
        ({"type": "PageIncrement", "page_size": "{{ config.size }}x"}, None, "a number is expected"),
        ({"type": "CursorPagination"}, None, "needs `cursor_value`"),
        ({"type": "CustomPaginationStrategy", "class_name": "x.Y"}, None, "Python class x.Y"),
        ({"type": "PageIncrements"}, None, "did you mean PageIncrement"),
    ],
)
def test_a_wrong_paginator_is_told_with_its_place(open_source: Open, strategy: Any, size: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact) as caught:
        sync(
            open_source(stream(url="http://127.0.0.1:1", retriever=paginator(strategy, size=size)), config={"size": 1})
        )
    assert "streams[0].retriever.paginator" in str(caught.value)


def test_a_link_header_is_read_by_relation() -> None:
    result = links('<https://a/1?x=1,2>; rel="next"; title="more, much more", <https://a/9>; rel=last, <https://a/0>')
    assert result["next"]["url"] == "https://a/1?x=1,2"
    assert result["last"]["url"] == "https://a/9"
    assert result["https://a/0"]["url"] == "https://a/0"
    assert links("") == {}


def test_headers_compare_without_case_and_link_is_both_text_and_table() -> None:
    headers = Headers({"X-A": "1", "link": '<u>; rel="next"'})
    assert headers["x-a"] == headers.get("X-A") == "1"
    assert "X-a" in headers
    assert headers["link"]["next"]["url"] == "u"
    assert headers["Link"].startswith("<u>")
    assert headers.get("absent", 5) == 5


def test_the_size_of_the_last_page_is_that_before_the_filter_unless_airbytes_count_is_wanted(
    api: Api, open_source: Open
) -> None:
    def page(call: Any) -> Any:
        number = int(call.query.get("page", 1))
        return {
            "data": [{"id": n, "keep": n > 4} for n in range(number * 2 - 1, min(number * 2, 7) + 1)],
            "next": number + 1,
        }

    api.answers["/things"] = page
    strategy = {
        "type": "CursorPagination",
        "page_size": 2,
        "cursor_value": "{{ response.next }}",
        "stop_condition": "{{ last_page_size < 2 }}",
    }
    option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "page"}
    paginator = {"type": "DefaultPaginator", "page_token_option": option, "pagination_strategy": strategy}
    things = stream(
        url=api.url,
        retriever={"paginator": paginator},
        selector={"record_filter": {"type": "RecordFilter", "condition": "{{ record.keep }}"}},
    )
    assert [row["id"] for row in sync(open_source(things)).records] == [5, 6, 7]
    assert len(api.calls) == 4
    assert sync(open_source(things, config={"filtered_page_size": True})).records == []


def test_a_cursor_can_know_which_page_it_is_on(api: Api, open_source: Open) -> None:
    api.answers["/things"] = lambda call: {"data": [{"id": int(call.query.get("page", 1))}]}
    strategy = {
        "type": "CursorPagination",
        "cursor_value": "{{ ((next_page_token or {}).get('next_page_token') or 1) + 1 }}",
        "stop_condition": "{{ next_page_token and next_page_token['next_page_token'] == 3 }}",
    }
    option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "page"}
    paginator = {"type": "DefaultPaginator", "page_token_option": option, "pagination_strategy": strategy}
    result = sync(open_source(stream(url=api.url, retriever={"paginator": paginator}))).records
    assert [row["id"] for row in result] == [1, 2, 3]


@pytest.mark.parametrize("token", ["1e5", "0x1F", "1_000", '"quoted"', "0012"])
def test_a_token_is_sent_as_it_came_whatever_it_looks_like(api: Api, open_source: Open, token: str) -> None:
    pages = iter([{"data": [{"id": 1}], "next": token}, {"data": [{"id": 2}], "next": None}])
    api.answers["/things"] = lambda call: next(pages)
    place = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "cursor"}
    strategy = {"type": "CursorPagination", "cursor_value": "{{ response['next'] }}"}
    paginator = {"type": "DefaultPaginator", "page_token_option": place, "pagination_strategy": strategy}
    sync(open_source(stream(url=api.url, retriever={"paginator": paginator})))
    assert [call.query.get("cursor") for call in api.calls] == [None, token]


@pytest.mark.parametrize("token", ["0", "None", "False", "", "[]"])
def test_a_token_that_says_nothing_ends_the_list(api: Api, open_source: Open, token: str) -> None:
    api.answers["/things"] = {"data": [{"id": 1}], "next": token}
    place = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "cursor"}
    strategy = {"type": "CursorPagination", "cursor_value": "{{ response['next'] }}"}
    paginator = {"type": "DefaultPaginator", "page_token_option": place, "pagination_strategy": strategy}
    sync(open_source(stream(url=api.url, retriever={"paginator": paginator})))
    assert len(api.calls) == 1
