"""Error handlers: response filters, their actions, and the waits before another attempt."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kitestring import json_codec
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.template import EvaluationError
from kitestring.errors import AuthError, ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.http import Raise, Response, Retry, Return, Verdict, requested_wait_s, vendor_message
from kitestring.pattern import Pattern, PatternError, compiled


class Actions:
    """The actions of a filter."""

    SUCCESS, IGNORE, FAIL, RETRY, RATE_LIMITED = "SUCCESS", "IGNORE", "FAIL", "RETRY", "RATE_LIMITED"
    RESET_PAGINATION, REFRESH = "RESET_PAGINATION", "REFRESH_TOKEN_THEN_RETRY"
    REDUCE_PAGE_SIZE, SPLIT_WINDOW = "REDUCE_PAGE_SIZE", "SPLIT_REQUEST_WINDOW"
    FINAL = frozenset({SUCCESS, IGNORE, RETRY, RESET_PAGINATION, REDUCE_PAGE_SIZE, SPLIT_WINDOW})
    """A composite handler stops at these."""
    RETRYING = frozenset({RETRY, RATE_LIMITED, REFRESH})
    ALL = frozenset({*FINAL, *RETRYING, FAIL})


@dataclass(frozen=True, slots=True)
class Resolution:
    """The action for a response. `failure`: the failure type that the manifest names."""

    action: str
    message: str = ""
    failure: str = ""


SUCCESS = Resolution(Actions.SUCCESS)


def by_status(status: int) -> Resolution:
    """The default action for a status, if no filter matches."""
    if status < 400:
        return SUCCESS
    if status == 429:
        return Resolution(Actions.RATE_LIMITED)
    if status in (408, 409, 425) or status >= 500:
        return Resolution(Actions.RETRY)
    return Resolution(Actions.FAIL)


@keyword("HttpResponseFilter")
class HttpResponseFilter:
    """An action for responses with a status, a matching predicate or a message. Without any of the three it matches
    no response."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.action = node.get("action")
        if self.action is not None and self.action not in Actions.ALL:
            raise node.error(f"{self.action!r} is not one of {', '.join(sorted(Actions.ALL))}", "action")
        try:
            self.codes = frozenset(int(code) for code in node.items("http_codes"))
        except (TypeError, ValueError):
            raise node.error("has an entry that is not a status code", "http_codes") from None
        self.contains = str(node.get("error_message_contains", ""))
        predicate = node.get("predicate")
        self.predicate = node.condition(predicate) if predicate else None
        self.message = node.text("error_message", "", tolerant=True)
        self.failure = str(node.get("failure_type", ""))
        self._has_own_message = bool(node.get("error_message"))

    def match(self, response: Response) -> Resolution | None:
        if self.action is None:
            return None
        if response.status in self.codes or self._matches_predicate(response) or self._has_message(response):
            message = str(self.message(filter_context(response))) if self._has_own_message else ""
            return Resolution(self.action, message, self.failure if self.action == Actions.FAIL else "")
        return None

    def _matches_predicate(self, response: Response) -> bool:
        return self.predicate is not None and self.predicate(filter_context(response))

    def _has_message(self, response: Response) -> bool:
        return bool(self.contains) and self.contains in error_text(response)


def filter_context(response: Response) -> dict[str, Any]:
    """The template context of filters, built once per response. A page that is not JSON is an empty object."""
    context: dict[str, Any] | None = getattr(response, "derived", None)
    if context is not None:
        return context
    try:
        page = json_codec.loads(response.body)
    except json_codec.JsonError:
        page = {}
    parts = urlsplit(response.url)
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    context = {"response": page, "headers": response.headers, "request_url": address}
    if hasattr(response, "derived"):
        response.derived = context
    return context


_ERROR_KEYS = (
    *("message", "messages", "error", "errors", "failures", "failure", "detail", "err"),
    *("error_message", "msg", "reason", "status_message"),
)


def error_text(response: Response) -> str:
    """The message of an error page, found under the names that APIs use; else the page."""

    def sentence(node: Any) -> str:
        if isinstance(node, str):
            return node
        if isinstance(node, list):
            return ", ".join(filter(None, map(sentence, node)))
        if isinstance(node, dict):
            return sentence(next((node[key] for key in _ERROR_KEYS if node.get(key)), None))
        return ""

    try:
        return sentence(json_codec.loads(response.body))
    except json_codec.JsonError:
        return response.text


@keyword("DefaultErrorHandler")
class DefaultErrorHandler:
    """The first matching filter decides, else the status: 5xx, 408, 409, 425 and 429 are retried, others fail."""

    def __init__(self, node: Node, **_: Any) -> None:
        mine = node.type == "DefaultErrorHandler"
        self.filters: list[HttpResponseFilter] = node.children("response_filters") if mine else []
        self.strategies: list[Any] = node.children("backoff_strategies") if mine else []
        self.max_retries = (node.integer("max_retries", 5) if mine else 5) or 0
        self.special = any(
            f.predicate or f.contains or f.action in SPECIAL or any(code < 400 for code in f.codes)
            for f in self.filters
        )
        """True if a response without an error status may match, or if an action does more than retry."""
        self.actions = frozenset(f.action for f in self.filters)

    def resolve(self, response: Response) -> Resolution:
        for response_filter in self.filters:
            resolution = response_filter.match(response)
            if resolution is not None:
                return resolution
        return by_status(response.status)


SPECIAL = frozenset({Actions.RESET_PAGINATION, Actions.REDUCE_PAGE_SIZE, Actions.SPLIT_WINDOW, Actions.IGNORE})


@keyword("CompositeErrorHandler")
class CompositeErrorHandler:
    """Tries its handlers in order until one accepts, ignores or retries; else the last result counts."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.handlers: list[Any] = node.children("error_handlers")
        if not self.handlers:
            raise node.error("needs at least one handler", "error_handlers")
        self.max_retries = self.handlers[0].max_retries
        self.strategies = [strategy for handler in self.handlers for strategy in handler.strategies]
        self.special = any(handler.special for handler in self.handlers)
        self.actions: frozenset[Any] = frozenset().union(*(handler.actions for handler in self.handlers))

    def resolve(self, response: Response) -> Resolution:
        resolution = SUCCESS
        for handler in self.handlers:
            resolution = handler.resolve(response)
            if resolution.action in Actions.FINAL:
                break
        return resolution


class ErrorPolicy:
    """Adapts a handler to the session's retry policy. `renamed` puts the real host into the handler's messages."""

    def __init__(self, handler: Any, renamed: Callable[[str], str] = str) -> None:
        self.handler = handler
        self.renamed = renamed

    def judge(self, attempt: int, response: Response | None, error: Exception | None) -> Verdict:
        if response is None:
            if isinstance(error, TransientError):
                if attempt <= self.handler.max_retries:
                    return Retry(self._wait(None, attempt)[0], error.message)
                return Raise(error)
            if isinstance(error, KitestringError):
                return Raise(error)
            return Raise(ConnectorError(f"unexpected error in a call: {error!r}"))
        if response.status < 400 and not self.handler.special:
            return Return()
        resolution = self.handler.resolve(response)
        if resolution.message:
            resolution = replace(resolution, message=self.renamed(resolution.message))
        if resolution.action == Actions.FAIL:
            return Raise(error_for(response, resolution))
        if resolution.action not in Actions.RETRYING:
            return Return()
        try:
            wait_s, by_server = self._wait(response, attempt)
        except TransientError as too_long:
            return Raise(too_long)
        limited = resolution.action == Actions.RATE_LIMITED
        delay_s = wait_s
        if delay_s is None:
            delay_s, by_server = requested_wait_s(response.headers), True
        if limited and by_server and delay_s and self.handler.max_retries:
            return Retry(delay_s, "rate limit", counts=False)
        if attempt <= self.handler.max_retries:
            reason = resolution.message or ("rate limit" if limited else f"status {response.status}")
            return Retry(delay_s, reason, renews=resolution.action == Actions.REFRESH)
        message = resolution.message or vendor_message(response)
        return Raise(
            TransientError(
                f"{response.request_line} answered {response.status} at attempt {attempt}: {message}",
                hint="Try again later.",
                retry_after_s=delay_s,
                status=response.status,
            )
        )

    def _wait(self, response: Response | None, attempt: int) -> tuple[float | None, bool]:
        """Seconds to wait, and whether the server requested them (else the strategy computed them)."""
        for strategy in self.handler.strategies:
            wait_s: float | None = strategy.wait_s(response, attempt)
            if wait_s:
                return wait_s, not isinstance(strategy, ConstantBackoffStrategy | ExponentialBackoffStrategy)
        return None, False


def error_for(response: Response, resolution: Resolution) -> KitestringError:
    """The error for a response that fails the stream."""
    status, kind = response.status, resolution.failure
    message = f"{response.request_line} answered {status}: {resolution.message or vendor_message(response)}"
    if kind == "system_error" and status < 400:
        return ConnectorError(message, hint="The API does not respond as the manifest expects.", status=status)
    if kind == "transient_error":
        return TransientError(message, hint="Try again later.", status=status)
    if kind == "config_error":
        return ConfigError(message, hint="Check the configuration.", status=status)
    if status in (401, 403):
        hint = "Check the credentials." if status == 401 else "Grant these credentials access to this resource."
        return AuthError(message, hint=hint, status=status)
    return ConfigError(message, hint="Check the configuration, or what the credentials may read.", status=status)


@keyword("ConstantBackoffStrategy")
class ConstantBackoffStrategy:
    """Waits the same time before every attempt."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._seconds = node.needed_text("backoff_time_in_seconds")
        self._jitter = node.number("jitter_range_in_seconds")
        self._node = node

    def wait_s(self, response: Response | None, attempt: int) -> float | None:
        return with_jitter(seconds_of(self._node, "backoff_time_in_seconds", self._seconds({})), self._jitter)


@keyword("ExponentialBackoffStrategy")
class ExponentialBackoffStrategy:
    """Waits factor × 2^attempt seconds."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._factor = node.text("factor", 5)
        self._jitter = node.number("jitter_range_in_seconds")
        self._node = node

    def wait_s(self, response: Response | None, attempt: int) -> float | None:
        return with_jitter(seconds_of(self._node, "factor", self._factor({})) * 2**attempt, self._jitter)


@keyword("WaitTimeFromHeader")
class WaitTimeFromHeader:
    """Waits the seconds in a header."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._header = node.needed_text("header")
        self._regex = pattern(node)
        self._longest = node.number("max_waiting_time_in_seconds")

    def wait_s(self, response: Response | None, attempt: int) -> float | None:
        return check_wait(number_in(response, str(self._header({})), self._regex), self._longest)


@keyword("WaitUntilTimeFromHeader")
class WaitUntilTimeFromHeader:
    """Waits until the time in a header (epoch seconds), at least `min_wait`."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._header = node.needed_text("header")
        self._regex = pattern(node)
        self._least = node.number("min_wait")
        self._longest = node.number("max_waiting_time_in_seconds")

    def wait_s(self, response: Response | None, attempt: int) -> float | None:
        until = number_in(response, str(self._header({})), self._regex)
        if not until:
            return check_wait(self._least, self._longest)
        wait = until - time.time()
        if self._least:
            return check_wait(max(wait, self._least), self._longest)
        return None if wait < 0 else check_wait(wait, self._longest)


@keyword("WaitTimeFromResponse")
class WaitTimeFromResponse:
    """Waits the seconds that a template reads from the response."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._seconds = node.needed_text("wait_time_in_seconds")
        self._longest = node.number("max_waiting_time_in_seconds")

    def wait_s(self, response: Response | None, attempt: int) -> float | None:
        if response is None:
            return None
        try:
            seconds = float(self._seconds(filter_context(response)))
        except (TypeError, ValueError, EvaluationError):
            return None
        return check_wait(seconds, self._longest) if 0 <= seconds < float("inf") else None


def seconds_of(node: Node, name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise node.error(f"is {value!r}, a number of seconds is expected", name) from None


def with_jitter(wait: float, jitter: float | None) -> float:
    return random.uniform(wait, wait + jitter * 2) if jitter else wait


def check_wait(wait: float | None, longest: float | None) -> float | None:
    if wait and longest is not None and wait >= longest:
        raise TransientError(
            f"the API requests a wait of {wait:.0f} s, the manifest allows less than {longest:.0f} s",
            hint="Try again later.",
            retry_after_s=wait,
        )
    return wait


def pattern(node: Node) -> Pattern | None:
    text = node.get("regex")
    if not text:
        return None
    try:
        return compiled(str(node.constant("regex", types=(str,))))
    except PatternError as error:
        raise node.error(f"is wrong: {error.message}", "regex") from error


def number_in(response: Response | None, header: str, regex: Pattern | None) -> float | None:
    headers: Mapping[str, str] = response.headers if response is not None else {}
    value = headers.get(header) or ""
    match = regex.match(value) if regex else None
    try:
        return float(match.group() if match else value)
    except ValueError:
        return None
