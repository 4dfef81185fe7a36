"""`REDUCE_PAGE_SIZE`: a page that the API refuses is asked for again, smaller."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import NO_WAIT, Api, Call, Open, stream, sync

from kitestring.errors import ConfigError, TransientError

REFUSED = {
    "type": "DefaultErrorHandler",
    "backoff_strategies": [NO_WAIT],
    "response_filters": [{"type": "HttpResponseFilter", "http_codes": [413, 502], "action": "REDUCE_PAGE_SIZE"}],
}


def things(url: str, strategy: str = "OffsetIncrement", size: int = 8, **reduction: Any) -> dict[str, Any]:
    option = {"type": "RequestOption", "inject_into": "request_parameter"}
    return stream(
        url=url,
        requester={"error_handler": REFUSED},
        retriever={
            "page_size_reduction": {"type": "PageSizeReduction", "backoff_seconds": 0, **reduction},
            "paginator": {
                "type": "DefaultPaginator",
                "page_size_option": {**option, "field_name": "limit"},
                "page_token_option": {**option, "field_name": "offset"},
                "pagination_strategy": {"type": strategy, "page_size": size},
            },
        },
    )


def upto(most: int, count: int = 10) -> Any:
    """An API that refuses pages of more than `most` records."""

    def answer(call: Call) -> Any:
        limit, offset = int(call.query["limit"]), int(call.query.get("offset", 0))
        if limit > most:
            return 502, {"message": "too heavy"}
        return {"data": [{"id": number} for number in range(count)[offset : offset + limit]]}

    return answer


def page_requests(api: Api) -> list[tuple[int, int]]:
    return [(int(call.query.get("offset", 0)), int(call.query["limit"])) for call in api.calls]


def test_a_refused_page_is_asked_for_again_smaller_and_the_size_stays(api: Api, open_source: Open) -> None:
    api.answers["/things"] = upto(4)
    result = sync(open_source(things(api.url)))
    assert [record["id"] for record in result.records] == list(range(10))
    assert page_requests(api) == [(0, 8), (0, 4), (4, 4), (8, 4)]


def test_the_size_is_restored_after_a_page_where_the_manifest_says_so(api: Api, open_source: Open) -> None:
    api.answers["/things"] = upto(4)
    result = sync(open_source(things(api.url, reset_policy="AFTER_SUCCESSFUL_PAGE")))
    assert [record["id"] for record in result.records] == list(range(10))
    assert page_requests(api) == [(0, 8), (0, 4), (4, 8), (4, 4), (8, 8), (8, 4)]


def test_an_api_that_refuses_the_smallest_page_ends_the_stream_with_the_manifests_advice(
    api: Api, open_source: Open
) -> None:
    api.answers["/things"] = upto(0)
    advice = "Choose fewer fields."
    with pytest.raises(TransientError, match="refuses every page, after the smallest page of 2") as caught:
        sync(open_source(things(api.url, minimum_page_size=2, retries_at_minimum_page_size=1, failure_message=advice)))
    assert caught.value.hint == advice
    assert [size for _, size in page_requests(api)] == [8, 4, 2, 2]


def test_reductions_in_a_row_are_limited(api: Api, open_source: Open) -> None:
    api.answers["/things"] = upto(0)
    with pytest.raises(TransientError, match="after 2 reductions in a row"):
        sync(open_source(things(api.url, max_attempts=2)))
    assert [size for _, size in page_requests(api)] == [8, 4, 2]


def test_numbered_pages_cannot_be_reduced(api: Api, open_source: Open) -> None:
    with pytest.raises(ConfigError, match=r"page_size_reduction: needs a DefaultPaginator"):
        sync(open_source(things(api.url, "PageIncrement")))


def test_the_action_without_a_reduction_names_what_is_missing(api: Api, open_source: Open) -> None:
    api.answers["/things"] = (502, {"message": "too heavy"})
    with pytest.raises(ConfigError, match="`page_size_reduction` is missing"):
        sync(open_source(stream(url=api.url, requester={"error_handler": REFUSED})))
