"""Rate limits that a manifest sets for its own calls."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kitestring.declarative.datetime_format import Months, parse_duration
from kitestring.declarative.keyword import Node, keyword
from kitestring.http import Budget, Request, Response, requested_wait_s
from kitestring.pattern import PatternError, compiled


@keyword("HTTPAPIBudget")
class HTTPAPIBudget:
    """The rate policies of a source. The first that matches a request applies; response headers correct its count."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.policies: list[Any] = node.children("policies")
        self._remaining_header = str(node.get("ratelimit_remaining_header", "ratelimit-remaining"))
        self._reset_header = str(node.get("ratelimit_reset_header", "ratelimit-reset"))
        self._limit_statuses = frozenset(node.get("status_codes_for_ratelimit_hit", [429]))

    def budgets(self) -> tuple[Budget, ...]:
        budgets: list[Budget] = []
        for index, policy in enumerate(self.policies):
            earlier = self.policies[:index]

            def governs(request: Request, policy: Any = policy, earlier: list[Any] = earlier) -> bool:
                return policy.matches(request) and not any(other.matches(request) for other in earlier)

            budgets.extend(
                Budget(calls, seconds, governs, policy.weight, self.read) for calls, seconds in policy.limits
            )
        return tuple(budgets)

    def read(self, response: Response) -> tuple[int | None, float | None]:
        """The remaining calls and the seconds until the reset (epoch seconds in the header)."""
        remaining, reset = response.headers.get(self._remaining_header), response.headers.get(self._reset_header)
        try:
            seconds = float(reset) - time.time() if reset else None
            if remaining:
                return int(remaining), seconds
        except ValueError:
            return None, None
        if response.status not in self._limit_statuses:
            return None, seconds
        return 0, requested_wait_s(response.headers) if seconds is None else seconds


class CallRatePolicy:
    """A limit for the requests that a matcher accepts; without matchers, for all requests."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.matchers = [
            build_matcher(node, value, f"matchers[{index}]") for index, value in enumerate(node.items("matchers"))
        ]
        self.limits = self._limits(node)

    def _limits(self, node: Node) -> list[tuple[int, float]]:
        return []

    def matches(self, request: Request) -> bool:
        return not self.matchers or any(matcher.matches(request) for matcher in self.matchers)

    def weight(self, request: Request) -> int:
        """How many calls a request counts as, by the first matcher that accepts it."""
        return next((matcher.weight for matcher in self.matchers if matcher.matches(request)), 1)


@keyword("MovingWindowCallRatePolicy")
class MovingWindowCallRatePolicy(CallRatePolicy):
    """A number of calls in any window of an interval. All rates apply at once."""

    def _limits(self, node: Node) -> list[tuple[int, float]]:
        rates = [node.at(value, f"rates[{index}]") for index, value in enumerate(node.items("rates"))]
        return [limit(rate, "limit", "interval") for rate in rates]


@keyword("FixedWindowCallRatePolicy")
class FixedWindowCallRatePolicy(CallRatePolicy):
    """A number of calls per period, enforced as a moving window, which never allows more."""

    def _limits(self, node: Node) -> list[tuple[int, float]]:
        return [limit(node, "call_limit", "period")]


@keyword("UnlimitedCallRatePolicy")
class UnlimitedCallRatePolicy(CallRatePolicy):
    """No limit for the requests it matches; later policies do not apply to them."""


@keyword("HttpRequestRegexMatcher")
class HttpRequestRegexMatcher:
    """Matches requests by method, host, path pattern, parameters and headers. A match counts as `weight` calls."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._method = str(node.get("method", "")).upper()
        self._base = str(node.get("url_base", "")).rstrip("/")
        self._params = {str(k): str(v) for k, v in node.mapping("params").items()}
        self._headers = {str(k).lower(): str(v) for k, v in node.mapping("headers").items()}
        weight = node.integer("weight", 1)
        if not weight or weight < 1:
            raise node.error("is not a positive number of calls", "weight")
        self.weight = weight
        try:
            self._path = compiled(str(node.get("url_path_pattern", "")))
        except PatternError as error:
            raise node.error(f"is wrong: {error.message}", "url_path_pattern") from error

    def matches(self, request: Request) -> bool:
        parts = urlsplit(request.url)
        if self._method and request.method != self._method:
            return False
        if self._base and f"{parts.scheme}://{parts.netloc}" != self._base:
            return False
        if self._path.text and not self._path.search(parts.path.rstrip("/")):
            return False
        if self._params:
            params = dict(parse_qsl(parts.query)) | {k: str(v) for k, v in request.params.items()}
            if not self._params.items() <= params.items():
                return False
        headers = {k.lower(): v for k, v in request.headers.items()}
        return all(headers.get(k) == v for k, v in self._headers.items())


def build_matcher(node: Node, value: Any, name: str) -> Any:
    return node.typed(value, name, "HttpRequestRegexMatcher").build()


def limit(node: Node, calls: str, period: str) -> tuple[int, float]:
    count = node.integer(calls)
    if not count or count < 1:
        raise node.error("is not a positive number of calls", calls)
    try:
        length = parse_duration(node.need(period))
    except ValueError as error:
        raise node.error(str(error), period) from None
    seconds = (
        length.months * 2_629_746 + length.rest.total_seconds()
        if isinstance(length, Months)
        else length.total_seconds()
    )
    if seconds <= 0:
        raise node.error("is not a positive duration", period)
    return count, seconds


@keyword("Rate")
class Rate:
    """A number of calls per interval: a part of `MovingWindowCallRatePolicy`."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.limit = limit(node, "limit", "interval")
