"""What loses records or credentials although every request succeeds is found before it happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from loopback import cursor, manifest, stream

import kitestring
from kitestring.declarative.builder import examine
from kitestring.declarative.manifest import load, resolve
from kitestring.errors import ConfigError

SINCE = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "since"}
COUNTED = {"type": "DefaultPaginator", "pagination_strategy": {"type": "PageIncrement", "page_size": 50}}


def paged(**strategy: Any) -> dict[str, Any]:
    return {"paginator": {"type": "DefaultPaginator", "pagination_strategy": {"type": "CursorPagination", **strategy}}}


def rules(*streams: dict[str, Any], **more: Any) -> list[str]:
    return [finding.rule for finding in examine(resolve(manifest(*streams, **more))) if not finding.accepted]


def thing(**more: Any) -> dict[str, Any]:
    return stream(url="https://api.example", primary_key="id", **more)


MARKED = {
    "cursor_value": "{{ response.get('meta', {}).get('after') }}",
    "stop_condition": "{{ not response.get('meta', {}).get('has_more') }}",
    "page_size": 100,
}


@pytest.mark.parametrize(
    "strategy",
    [
        MARKED,
        {"cursor_value": "{{ response.get('next') }}"},
        {"cursor_value": "{{ response['next'] }}"},
        {"cursor_value": "{{ response['after'] }}", "stop_condition": "{{ response.get('end_of_stream', true) }}"},
    ],
)
def test_a_full_page_without_a_mark_that_ends_the_stream_is_found(strategy: dict[str, Any]) -> None:
    assert rules(thing(retriever=paged(**strategy))) == ["unmarked-end"]


@pytest.mark.parametrize(
    "strategy",
    [
        {
            "cursor_value": "{{ headers['link']['next']['url'] }}",
            "stop_condition": "{{ 'next' not in headers['link'] }}",
        },
        {"cursor_value": "{{ last_record['id'] }}", "stop_condition": "{{ last_page_size < 100 }}"},
    ],
)
def test_an_end_that_is_marked_otherwise_is_fine(strategy: dict[str, Any]) -> None:
    assert "unmarked-end" not in rules(thing(retriever=paged(**strategy)))


def test_an_error_handler_that_fails_the_unmarked_page_is_a_guard() -> None:
    filters = [{"type": "HttpResponseFilter", "action": "FAIL", "predicate": "{{ 'meta' not in response }}"}]
    handler = {"type": "DefaultErrorHandler", "response_filters": filters}
    guarded = thing(retriever=paged(**MARKED), requester={"error_handler": handler})
    assert rules(guarded) == []
    handler["response_filters"][0]["action"] = "IGNORE"
    assert rules(guarded) == ["unmarked-end"]


def test_a_guard_beside_a_handler_that_accepts_the_page_is_none() -> None:
    filters = [{"type": "HttpResponseFilter", "action": "FAIL", "predicate": "{{ 'meta' not in response }}"}]
    handlers = [{"type": "DefaultErrorHandler"}, {"type": "DefaultErrorHandler", "response_filters": filters}]
    guarded = thing(
        retriever=paged(**MARKED),
        requester={"error_handler": {"type": "CompositeErrorHandler", "error_handlers": handlers}},
    )
    assert rules(guarded) == ["unmarked-end"]
    handlers.reverse()
    assert rules(guarded) == ["unmarked-end"]
    handlers[1] = handlers[0]
    assert rules(guarded) == []


def test_the_records_of_an_unmarked_page_lie_where_the_parameters_say() -> None:
    full = "{{ 'meta' not in response and response['rows'] | length >= 100 }}"
    filters = [{"type": "HttpResponseFilter", "action": "FAIL", "predicate": full}]
    guarded = thing(
        retriever=paged(**MARKED),
        requester={"error_handler": {"type": "DefaultErrorHandler", "response_filters": filters}},
        **{"$parameters": {"field": "rows"}},
    )
    guarded["retriever"]["record_selector"]["extractor"]["field_path"] = ["{{ parameters['field'] }}"]
    assert rules(guarded) == []


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"sort": "updated", "direction": "asc"}, ["drifting-pages"]),
        ({}, ["drifting-pages"]),
        ({"sort": "updated", "direction": "desc"}, []),
        ({"sort": "-updated_at"}, []),
    ],
)
def test_counted_pages_that_drift_are_found(parameters: dict[str, str], expected: list[str]) -> None:
    changed = thing(
        incremental_sync=cursor(start_time_option=SINCE),
        requester={"request_parameters": parameters},
        retriever={"paginator": COUNTED},
    )
    assert rules(changed) == expected


def test_pages_that_link_to_the_next_number_drift_as_well() -> None:
    linked = paged(cursor_value="{{ headers['link']['next']['url'] }}", stop_condition="{{ not headers['link'] }}")
    requester = {"request_parameters": {"sort": "updated", "direction": "asc"}}
    assert rules(thing(incremental_sync=cursor(), requester=requester, retriever=linked)) == ["drifting-pages"]


@pytest.mark.parametrize(
    ("field", "back", "expected"),
    [
        ("committed_date", None, ["late-records"]),
        ("created_at", "PT0S", ["late-records"]),
        ("created_at", "P30D", []),
        ("updated_at", None, []),
    ],
)
def test_cursors_that_miss_what_comes_late_are_found(field: str, back: str | None, expected: list[str]) -> None:
    more = {"lookback_window": back} if back else {}
    assert rules(thing(incremental_sync={**cursor(), "cursor_field": field, **more})) == expected


def test_one_cursor_for_partitions_that_may_be_added_is_found_also_in_parents() -> None:
    single_cursor = cursor(global_substream_cursor=True)
    router = {"type": "ListPartitionRouter", "values": ["a"], "cursor_field": "repository"}
    flat = thing(incremental_sync=single_cursor, retriever={"partition_router": router})
    assert rules(flat) == ["one-cursor"]
    parent = {"type": "ParentStreamConfig", "stream": flat, "parent_key": "id", "partition_field": "thread"}
    child = stream(
        "replies",
        url="https://api.example",
        primary_key="id",
        incremental_sync=single_cursor,
        retriever={"partition_router": {"type": "SubstreamPartitionRouter", "parent_stream_configs": [parent]}},
    )
    assert [(f.rule, f.stream) for f in examine(resolve(manifest(child)))] == [("one-cursor", "things")]


def test_credentials_that_nothing_renews_or_hides_are_found() -> None:
    authenticator: dict[str, Any] = {
        "type": "SelectiveAuthenticator",
        "authenticator_selection_path": ["credentials", "kind"],
        "authenticators": {"oauth2.0": {"type": "BearerAuthenticator", "api_token": "{{ config.credentials.token }}"}},
    }
    fields = {"kind": {"type": "string", "const": "oauth2.0"}, "refresh_token": {"type": "string"}}
    form = {"type": "object", "properties": {"credentials": {"oneOf": [{"properties": fields}]}}}
    spec = {"type": "Spec", "connection_specification": form}
    result = rules(thing(requester={"authenticator": authenticator}), spec=spec)
    assert result == ["token-without-refresh", "token-without-refresh", "open-secret"]
    oauth = {"type": "OAuthAuthenticator", "token_refresh_endpoint": "https://api.example/token"}
    authenticator["authenticators"]["oauth2.0"] = oauth
    fields["refresh_token"]["airbyte_secret"] = True  # type: ignore[assignment]
    assert rules(thing(requester={"authenticator": authenticator}), spec=spec) == ["refresh-not-kept"]
    oauth["refresh_token_updater"] = {}  # type: ignore[assignment]
    assert rules(thing(requester={"authenticator": authenticator}), spec=spec) == []


def test_a_finding_is_accepted_with_a_reason_and_an_acceptance_without_a_finding_is_one() -> None:
    unmarked = thing(retriever=paged(**MARKED))
    accepted = {"doctor": [{"rule": "unmarked-end", "streams": ["things"], "reason": "it says so"}]}
    (finding,) = examine(resolve(manifest(unmarked, metadata=accepted)))
    assert finding.accepted == "it says so"
    assert rules(thing(), metadata=accepted) == ["unused-acceptance"]
    accepted["doctor"][0]["streams"] = ["things", "others"]
    assert rules(unmarked, metadata=accepted) == ["unused-acceptance"]


OURS = sorted((Path(kitestring.__file__).parent / "sources" / "manifests").glob("*.yaml"))


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_manifests_have_nothing_that_they_do_not_account_for(path: Path) -> None:
    assert [finding for finding in examine(load(path)) if not finding.accepted] == []


def test_streams_under_a_condition_and_templates_of_streams_are_examined() -> None:
    unmarked = thing(retriever=paged(cursor_value="{{ response.next }}"))
    conditional = {"type": "ConditionalStreams", "condition": "{{ true }}", "streams": [unmarked], "name": "x"}
    assert rules(conditional) == ["unmarked-end"]
    dynamic = {"type": "DynamicDeclarativeStream", "stream_template": unmarked}
    assert rules(dynamic_streams=[dynamic]) == ["unmarked-end"]


@pytest.mark.parametrize(
    "odd", [{"metadata": {"doctor": [{}]}}, {"metadata": "x"}, {"streams": [{"retriever": {"paginator": "x"}}]}]
)
def test_what_is_no_manifest_is_refused_with_the_command_that_says_why(odd: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="cannot be examined") as caught:
        examine(odd)
    assert "kitestring manifest validate" in caught.value.hint
