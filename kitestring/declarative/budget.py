"""Rate limits that a manifest sets for its own calls."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.moment import Months, parse_duration
from kitestring.http import Budget, Request


@keyword("HTTPAPIBudget")
class HTTPAPIBudget:
    """The policies of a source; the first that matches a request governs it."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.policies: list[Any] = node.children("policies")

    def budgets(self) -> tuple[Budget, ...]:
        found: list[Budget] = []
        for index, policy in enumerate(self.policies):
            earlier = self.policies[:index]

            def governs(request: Request, policy: Any = policy, earlier: list[Any] = earlier) -> bool:
                return policy.matches(request) and not any(one.matches(request) for one in earlier)

            found.extend(Budget(calls, seconds, governs) for calls, seconds in policy.limits)
        return tuple(found)


class CallRatePolicy:
    """A limit for the requests that one of its matchers recognises; without matchers, for all."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.matchers = [
            build_matcher(node, value, f"matchers[{index}]") for index, value in enumerate(node.items("matchers"))
        ]
        self.limits = self._limits(node)

    def _limits(self, node: Node) -> list[tuple[int, float]]:
        return []

    def matches(self, request: Request) -> bool:
        return not self.matchers or any(one.matches(request) for one in self.matchers)


@keyword("MovingWindowCallRatePolicy")
class MovingWindowCallRatePolicy(CallRatePolicy):
    """So many calls in any window of an interval; several rates hold together."""

    def _limits(self, node: Node) -> list[tuple[int, float]]:
        rates = [node.at(value, f"rates[{index}]") for index, value in enumerate(node.items("rates"))]
        return [limit(rate, "limit", "interval") for rate in rates]


@keyword("FixedWindowCallRatePolicy")
class FixedWindowCallRatePolicy(CallRatePolicy):
    """So many calls per period, kept as a moving window, which never allows more."""

    def _limits(self, node: Node) -> list[tuple[int, float]]:
        return [limit(node, "call_limit", "period")]


@keyword("UnlimitedCallRatePolicy")
class UnlimitedCallRatePolicy(CallRatePolicy):
    """No limit for what it matches, whatever later policies say."""


@keyword("HttpRequestRegexMatcher")
class HttpRequestRegexMatcher:
    """Requests by method, host, path pattern, parameters and headers."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._method = str(node.get("method", "")).upper()
        self._base = str(node.get("url_base", "")).rstrip("/")
        self._params = {str(k): str(v) for k, v in node.mapping("params").items()}
        self._headers = {str(k).lower(): str(v) for k, v in node.mapping("headers").items()}
        try:
            self._path = re.compile(str(node.get("url_path_pattern", "")))
        except re.error as error:
            raise node.wrong(f"is no regular expression: {error}", "url_path_pattern") from error

    def matches(self, request: Request) -> bool:
        parts = urlsplit(request.url)
        if self._method and request.method != self._method:
            return False
        if self._base and f"{parts.scheme}://{parts.netloc}" != self._base:
            return False
        if self._path.pattern and not self._path.search(parts.path):
            return False
        if any(str(request.params.get(k)) != v for k, v in self._params.items()):
            return False
        headers = {k.lower(): v for k, v in request.headers.items()}
        return all(headers.get(k) == v for k, v in self._headers.items())


def build_matcher(node: Node, value: Any, name: str) -> Any:
    return node.typed(value, name, "HttpRequestRegexMatcher").build()


def limit(node: Node, calls: str, period: str) -> tuple[int, float]:
    count = node.integer(calls)
    if not count or count < 1:
        raise node.wrong("is no positive number of calls", calls)
    try:
        length = parse_duration(node.need(period))
    except ValueError as error:
        raise node.wrong(str(error), period) from None
    seconds = (
        length.months * 2_629_746 + length.rest.total_seconds()
        if isinstance(length, Months)
        else length.total_seconds()
    )
    if seconds <= 0:
        raise node.wrong("is no positive duration", period)
    return count, seconds


@keyword("Rate")
class Rate:
    """So many calls per interval: a part of `MovingWindowCallRatePolicy`."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.limit = limit(node, "limit", "interval")
