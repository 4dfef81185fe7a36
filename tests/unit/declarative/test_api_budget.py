"""Budgets of calls in a manifest: policies, weights, and what the API reports."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import Api, Open, stream, sync

from kitestring.errors import ConfigError

PAGE = {"data": [{"id": 1}]}


@pytest.mark.parametrize(
    "policy",
    [
        {"type": "MovingWindowCallRatePolicy", "rates": [{"limit": "2", "interval": "PT0.3S"}], "matchers": []},
        {
            "type": "FixedWindowCallRatePolicy",
            "call_limit": 2,
            "period": "PT0.3S",
            "matchers": [{"method": "GET", "url_path_pattern": "^/th"}],
        },
    ],
)
def test_a_budget_spreads_the_calls(api: Api, open_source: Open, policy: Any) -> None:
    import time

    api.answers["/things"] = PAGE
    source = open_source(stream(url=api.url), api_budget={"type": "HTTPAPIBudget", "policies": [policy]})
    began = time.monotonic()
    for _ in range(3):
        sync(source)
    assert time.monotonic() - began >= 0.25


def test_headers_close_a_budget_until_the_reset(api: Api, open_source: Open) -> None:
    import time

    reset = str(int(time.time()) + 2)
    api.answers["/things"] = [(200, PAGE, {"X-Left": "0", "X-Reset": reset}), PAGE]
    policy = {"type": "MovingWindowCallRatePolicy", "rates": [{"limit": 100, "interval": "PT1H"}], "matchers": []}
    names = {"ratelimit_remaining_header": "X-Left", "ratelimit_reset_header": "X-Reset"}
    budget = {"type": "HTTPAPIBudget", "policies": [policy], **names}
    source = open_source(stream(url=api.url), api_budget=budget)
    for _ in range(2):
        sync(source)
    assert time.time() >= int(reset)


def test_a_heavy_request_counts_as_several(api: Api, open_source: Open) -> None:
    import time

    api.answers["/things"] = PAGE
    matchers = [{"url_path_pattern": "^/things$", "weight": 2}]
    policy = {
        "type": "MovingWindowCallRatePolicy",
        "rates": [{"limit": 2, "interval": "PT0.3S"}],
        "matchers": matchers,
    }
    source = open_source(stream(url=api.url), api_budget={"type": "HTTPAPIBudget", "policies": [policy]})
    began = time.monotonic()
    for _ in range(2):
        sync(source)
    assert time.monotonic() - began >= 0.25


def test_the_first_policy_that_matches_governs(api: Api, open_source: Open) -> None:
    import time

    api.answers["/things"] = PAGE
    policies = [
        {
            "type": "UnlimitedCallRatePolicy",
            "matchers": [{"url_base": api.url, "params": {"a": "1"}, "headers": {"X-A": "b"}}],
        },
        {"type": "MovingWindowCallRatePolicy", "rates": [{"limit": 1, "interval": "PT1H"}], "matchers": []},
    ]
    requester = {"request_parameters": {"a": "1"}, "request_headers": {"x-a": "b"}}
    source = open_source(
        stream(url=api.url, requester=requester), api_budget={"type": "HTTPAPIBudget", "policies": policies}
    )
    began = time.monotonic()
    for _ in range(3):
        sync(source)
    assert time.monotonic() - began < 1200  # a second request of the other policy would wait for an hour


@pytest.mark.parametrize(
    ("policy", "fact"),
    [
        ({"type": "FixedWindowCallRatePolicy", "call_limit": 0, "period": "PT1S"}, "not a positive number of calls"),
        ({"type": "FixedWindowCallRatePolicy", "call_limit": 1, "period": "1s"}, "ISO 8601"),
        ({"type": "FixedWindowCallRatePolicy", "call_limit": 1, "period": "PT0S"}, "not a positive duration"),
        ({"type": "UnlimitedCallRatePolicy", "matchers": [{"url_path_pattern": "("}]}, "not a regular expression"),
        ({"type": "UnlimitedCallRatePolicy", "matchers": [{"weight": 0}]}, "not a positive number of calls"),
    ],
)
def test_a_wrong_budget_is_told_with_its_place(open_source: Open, policy: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact) as caught:
        open_source(stream(), api_budget={"type": "HTTPAPIBudget", "policies": [policy]})
    assert "api_budget.policies[0]" in str(caught.value)
