"""Requests as the API gets them."""

from __future__ import annotations

import pytest
from loopback import Api, Open, stream, sync

from kitestring.errors import ConfigError

PAGE = {"data": [{"id": 1}]}


def test_address_parameters_and_headers_are_filled_from_templates(api: Api, open_source: Open) -> None:
    api.answers["/v2/things"] = PAGE
    source = open_source(
        stream(
            url=api.url + "/{{ config.version }}/",
            path="/things",
            requester={
                "request_parameters": {
                    "limit": "{{ config.limit }}",
                    "fields": "{{ ['a', 'b'] }}",
                    "empty": "{{ config.absent }}",
                    "zero": "0",
                },
                "request_headers": {"X-Version": "{{ config.version }}", "X-None": "{{ none }}"},
            },
        ),
        config={"version": "v2", "limit": 5},
    )
    assert sync(source).records == PAGE["data"]
    (call,) = api.calls
    assert call.query == {"limit": "5", "fields": ["a", "b"], "zero": "0"}
    assert call.headers["x-version"] == "v2"
    assert "x-none" not in call.headers


JSON, FORM = "application/json", "application/x-www-form-urlencoded"
TREE = {"a": {"b": "{{ config.n }}", "c": ["{{ config.n }}", 2], "d": "{{ none }}"}}


def body(kind: str, value: object) -> dict[str, object]:
    return {"request_body": {"type": kind, "value": value}}


@pytest.mark.parametrize(
    ("part", "content_type", "sent"),
    [
        ({"request_body_json": TREE}, JSON, b'{"a":{"b":5,"c":[5,2]}}'),
        ({"request_body_json": "{{ {'a': config.n} }}"}, JSON, b'{"a":5}'),
        ({"request_body_data": {"a": "{{ config.n }}", "b": "x y"}}, FORM, b"a=5&b=x%20y"),
        ({"request_body_data": "plain {{ config.n }}"}, None, b"plain 5"),
        (body("RequestBodyPlainText", "p"), None, b"p"),
        (body("RequestBodyUrlEncodedForm", {"a": "1"}), FORM, b"a=1"),
        (body("RequestBodyJsonObject", {"a": "1"}), JSON, b'{"a":1}'),
        (body("RequestBodyGraphQL", {"query": "{ things }"}), JSON, b'{"query":"{ things }"}'),
    ],
)
def test_a_body_is_sent_as_its_kind(
    api: Api, open_source: Open, part: dict[str, object], content_type: str | None, sent: bytes
) -> None:
    api.answers["/things"] = PAGE
    sync(open_source(stream(url=api.url, requester={"http_method": "POST", **part}), config={"n": 5}))
    (call,) = api.calls
    assert call.method == "POST"
    assert call.body == sent
    assert call.headers.get("content-type") == content_type


def test_a_get_carries_its_body_too(api: Api, open_source: Open) -> None:
    api.answers["/things"] = PAGE
    sync(open_source(stream(url=api.url, requester={"request_body_json": {"a": 1}})))
    assert api.calls[0].json == {"a": 1}


def test_the_newer_spelling_of_an_address_works(api: Api, open_source: Open) -> None:
    api.answers["/things"] = PAGE
    sync(open_source(stream(requester={"url_base": None, "path": None, "url": f"{api.url}/things"})))
    assert api.paths() == ["/things"]


def test_base_url_takes_the_place_of_the_host(api: Api, open_source: Open) -> None:
    api.answers["/sandbox/v1/things"] = PAGE
    sync(open_source(stream(url="https://api.example.com/v1"), config={"base_url": f"{api.url}/sandbox/"}))
    assert api.paths() == ["/sandbox/v1/things"]


def test_base_url_plays_several_hosts_and_is_told_which_one_was_meant(api: Api, open_source: Open) -> None:
    api.answers["/things"] = lambda call: {"data": [{"id": call.headers.get("x-forwarded-host", "home")}]}
    shops = {"type": "ListPartitionRouter", "cursor_field": "shop", "values": ["a", "b"]}
    source = open_source(
        stream(
            url="https://{{ stream_partition.shop or 'a' }}.example.com",
            retriever={"partition_router": shops},
            requester={"use_cache": True},
        ),
        config={"base_url": api.url},
    )
    assert sync(source).records == [{"id": "home"}, {"id": "b.example.com"}]


def test_a_manifests_message_names_the_host_that_was_asked(api: Api, open_source: Open) -> None:
    """With `base_url` the vendor's host was not asked, and is not what is wrong."""
    api.answers["/sandbox/things"] = [(404, {})]
    messages = "there is no desk at {{ config['domain'] }} (https://{{ config['domain'] }}/x)"
    component = {"type": "HttpResponseFilter", "http_codes": [404], "action": "FAIL", "error_message": messages}
    handler = {"type": "DefaultErrorHandler", "response_filters": [component]}
    config = {"base_url": f"{api.url}/sandbox", "domain": "acme.example.com"}
    requester = {"error_handler": handler}
    with pytest.raises(ConfigError) as refused:
        sync(open_source(stream(url="https://{{ config['domain'] }}", requester=requester), config=config))
    message = refused.value.message
    assert "acme.example.com" not in message
    assert f"there is no desk at {api.url.partition('://')[2]} ({api.url}/sandbox/x)" in message


def test_a_base_url_of_the_manifest_is_its_own(api: Api, open_source: Open) -> None:
    api.answers["/things"] = PAGE
    spec = {
        "type": "Spec",
        "connection_specification": {"type": "object", "properties": {"base_url": {"type": "string"}}},
    }
    sync(open_source(stream(url="{{ config.base_url }}"), config={"base_url": api.url}, spec=spec))
    assert api.paths() == ["/things"]


@pytest.mark.parametrize(
    ("requester", "fact"),
    [
        ({"url_base": None}, "needs `url` or `url_base`"),
        ({"request_body_json": {"a": 1}, "request_body_data": {"b": 1}}, "exclude each other"),
        ({"request_parameters": ["a"]}, "neither an object nor a text"),
        ({"request_body": {"type": "Soap", "value": 1}}, "Soap is not a known keyword"),
        ({"url_base": "{{ config.host }}", "path": "x"}, "is not complete"),
    ],
)
def test_a_wrong_requester_is_told_with_its_place(open_source: Open, requester: dict[str, object], fact: str) -> None:
    with pytest.raises(ConfigError, match=fact):
        sync(open_source(stream(url="http://127.0.0.1:1", requester=requester)))


def test_two_values_for_one_parameter_are_refused(api: Api, open_source: Open) -> None:
    paginator = {
        "type": "DefaultPaginator",
        "page_size_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "limit"},
        "pagination_strategy": {"type": "PageIncrement", "page_size": 5},
    }
    with pytest.raises(ConfigError, match="two components set limit"):
        sync(
            open_source(
                stream(
                    url=api.url, requester={"request_parameters": {"limit": "6"}}, retriever={"paginator": paginator}
                )
            )
        )


def test_injected_values_reach_nested_bodies_headers_and_forms(api: Api, open_source: Open) -> None:
    api.answers["/things"] = PAGE

    def paged(option: dict[str, object]) -> dict[str, object]:
        return {
            "type": "DefaultPaginator",
            "page_size_option": {"type": "RequestOption", **option},
            "pagination_strategy": {"type": "PageIncrement", "page_size": 5},
        }

    nested = paged({"inject_into": "body_json", "field_path": ["page", "size"]})
    sync(
        open_source(
            stream(
                url=api.url,
                requester={"http_method": "POST", "request_body_json": {"page": {"sort": "id"}}},
                retriever={"paginator": nested},
            )
        )
    )
    assert api.calls[-1].json == {"page": {"size": 5, "sort": "id"}}
    sync(
        open_source(
            stream(url=api.url, retriever={"paginator": paged({"inject_into": "header", "field_name": "X-Size"})})
        )
    )
    assert api.calls[-1].headers["x-size"] == "5"
    sync(
        open_source(
            stream(
                url=api.url,
                requester={"http_method": "POST"},
                retriever={"paginator": paged({"inject_into": "body_data", "field_name": "size"})},
            )
        )
    )
    assert api.calls[-1].form == {"size": "5"}
    with pytest.raises(ConfigError, match="both a text and a form"):
        sync(
            open_source(
                stream(
                    url=api.url,
                    requester={"http_method": "POST", "request_body_data": "text"},
                    retriever={"paginator": paged({"inject_into": "body_data", "field_name": "size"})},
                )
            )
        )


@pytest.mark.parametrize(
    ("option", "fact"),
    [
        ({"inject_into": "cookie", "field_name": "x"}, "is not one of request_parameter"),
        ({"inject_into": "header"}, "either `field_name` or `field_path`"),
        ({"inject_into": "header", "field_path": ["x"]}, "can be set in body_json"),
        ({"field_name": "x"}, "needs `inject_into`"),
    ],
)
def test_a_wrong_option_is_told_with_its_place(open_source: Open, option: dict[str, object], fact: str) -> None:
    paginator = {
        "type": "DefaultPaginator",
        "page_size_option": option,
        "pagination_strategy": {"type": "PageIncrement", "page_size": 5},
    }
    with pytest.raises(ConfigError, match=fact) as caught:
        sync(open_source(stream(url="http://127.0.0.1:1", retriever={"paginator": paginator})))
    assert "streams[0].retriever.paginator.page_size_option" in str(caught.value)


def test_timeouts_of_a_requester_are_its_own(api: Api, open_source: Open) -> None:
    import time

    from kitestring.errors import TransientError

    api.answers["/things"] = lambda call: time.sleep(0.3) or PAGE
    slow = {"read_timeout_in_seconds": 0.05, "error_handler": {"type": "DefaultErrorHandler", "max_retries": 0}}
    with pytest.raises(TransientError, match="did not answer within"):
        sync(open_source(stream(url=api.url, requester=slow)))


def test_parameters_come_in_airbytes_order(api: Api, open_source: Open) -> None:
    queries: list[str] = []
    api.answers["/things"] = PAGE
    option = {"type": "RequestOption", "inject_into": "request_parameter"}
    source = open_source(
        stream(
            url=api.url,
            requester={
                "request_parameters": {"z": "1", "y": "{{ config.n }}"},
                "authenticator": {
                    "type": "ApiKeyAuthenticator",
                    "api_token": "secret",
                    "inject_into": {**option, "field_name": "key"},
                },
            },
            retriever={
                "paginator": {
                    "type": "DefaultPaginator",
                    "page_size_option": {**option, "field_name": "size"},
                    "page_token_option": {**option, "field_name": "page"},
                    "pagination_strategy": {
                        "type": "PageIncrement",
                        "page_size": 5,
                        "inject_on_first_request": True,
                    },
                },
                "partition_router": {
                    "type": "ListPartitionRouter",
                    "cursor_field": "part",
                    "values": ["a"],
                    "request_option": {**option, "field_name": "part"},
                },
            },
        ),
        config={"n": 5},
    )
    source.connection.observe = lambda request, *_: queries.append(request.target().partition("?")[2])
    sync(source)
    assert queries == ["z=1&y=5&key=secret&page=0&size=5&part=a"]


def test_an_empty_url_base_with_the_whole_address_in_the_path_is_taken(api: Api, open_source: Open) -> None:
    api.answers["/things"] = PAGE
    source = open_source(stream(url="", path="{{ config.home }}/things"), config={"home": api.url})
    assert sync(source).records == PAGE["data"]


def test_an_empty_url_base_moves_with_base_url_too(api: Api, open_source: Open) -> None:
    api.answers["/things"] = PAGE
    source = open_source(stream(url="", path="https://example.com/things"), config={"base_url": api.url})
    assert sync(source).records == PAGE["data"]
