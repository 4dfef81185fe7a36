"""The retry policy: accept a response, retry, or give up with a clear error."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeAlias

from kitestring import json_codec
from kitestring.errors import AuthError, ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.http.message import EXCERPT, Response


@dataclass(frozen=True, slots=True)
class Return:
    """The response is the answer."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after `after_s` seconds; None leaves the pause to the session (exponential backoff with full jitter).

    `counts=False`: the server works and asked to wait, so this attempt does not count. Only the session's `max_wait_s`
    limits such waits. `renews`: the credential has expired, whatever the status is; as after a 401 it is renewed first,
    once for each call.
    """

    after_s: float | None
    reason: str
    counts: bool = True
    renews: bool = False


@dataclass(frozen=True, slots=True)
class Raise:
    """Give up."""

    error: KitestringError


Verdict: TypeAlias = "Return | Retry | Raise"


class Policy(Protocol):
    """Judges each attempt. `attempt` counts from 1; one of `response` and `error` is given.

    `error` is a `TransientError` (connection, timeout, an answer that breaks off), a `ConfigError`
    (certificate, address) or whatever the call's `verify` raised.
    """

    def judge(self, attempt: int, response: Response | None, error: Exception | None) -> Verdict: ...


class Retries:
    """The default policy: 5xx, 408, 425, 429 and broken connections are retried, everything else is final.

    The server's request goes first: Retry-After (RFC 9110, seconds or a date), then the reset of RateLimit headers
    where nothing remains. For a wait longer than `longest_wait_s` the call gives up and passes the time on in
    `TransientError.retry_after_s`. A failed request may still have had an effect: set `attempts=1` where it must not be
    sent twice.
    """

    def __init__(self, attempts: int = 6, longest_wait_s: float = 3700.0) -> None:
        self.attempts = attempts
        self.longest_wait_s = longest_wait_s

    def judge(self, attempt: int, response: Response | None, error: Exception | None) -> Verdict:
        if response is None:
            return self._judge_error(attempt, error)
        status = response.status
        if status < 400:
            return Return()
        limited = is_rate_limit(response)
        if not limited and status not in (408, 425) and status < 500:
            return Raise(refusal(response))
        server_wait_s = requested_wait_s(response.headers)
        reason = "rate limit" if limited else f"status {status}"
        if limited and server_wait_s and server_wait_s <= self.longest_wait_s and self.attempts > 1:
            return Retry(server_wait_s, reason, counts=False)
        if attempt < self.attempts and (server_wait_s or 0) <= self.longest_wait_s:
            return Retry(server_wait_s or None, reason)
        request = f", asking to wait {server_wait_s:.0f} s" if server_wait_s else ""
        return Raise(
            TransientError(
                f"{response.request_line} answered {status} at attempt {attempt}{request}: {vendor_message(response)}",
                hint="Try again later; fewer calls at a time may help." if limited else "Try again later.",
                retry_after_s=server_wait_s,
                status=status,
            )
        )

    def _judge_error(self, attempt: int, error: Exception | None) -> Verdict:
        if isinstance(error, TransientError):
            if attempt < self.attempts:
                return Retry(error.retry_after_s, error.message)
            return Raise(error)
        if isinstance(error, KitestringError):
            return Raise(error)
        return Raise(ConnectorError(f"a call failed in an unforeseen way: {error!r}"))


def refusal(response: Response) -> KitestringError:
    """The error for a 4xx that a retry cannot mend."""
    message = f"{response.request_line} answered {response.status}: {vendor_message(response)}"
    if response.status == 401:
        return AuthError(message, hint="Check the credentials.", status=401)
    if response.status == 403:
        return AuthError(message, hint="Give these credentials the right to read this.", status=403)
    if response.status == 404:
        return ConfigError(message, hint="Check the address and the names in the configuration.", status=404)
    return ConfigError(message, hint="Check the configuration.", status=response.status)


def is_rate_limit(response: Response) -> bool:
    """429, or the 403 with which GitHub and others say the same (docs.github.com, "Rate limits for the REST API")."""
    if response.status == 429:
        return True
    if response.status != 403:
        return False
    return "retry-after" in response.headers or _remaining(response.headers) == 0


_RESETS = ("x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset", "x-ratelimit-reset-requests")
_REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def requested_wait_s(headers: Mapping[str, str]) -> float | None:
    """The seconds the server asks to wait, or None.

    Retry-After in seconds or as a date (measured against the server's own Date header, so that clocks may differ);
    otherwise the RateLimit reset of an exhausted limit: epoch seconds or milliseconds, or seconds from now.
    """
    after = headers.get("retry-after")
    if after:
        seconds = _number(after)
        if seconds is not None:
            return seconds
        try:
            return max(0.0, parsedate_to_datetime(after).timestamp() - _server_now(headers))
        except (ValueError, TypeError):
            pass
    if (_remaining(headers) or 0) > 0:
        return None
    for name in _RESETS:
        value = _number(headers.get(name, ""))
        if value is None:
            continue
        if value > 1e12:
            value /= 1000
        # A reset names the second in which it happens; add one to be past it.
        return max(0.0, value - _server_now(headers) + 1) if value > 1e9 else value
    draft = re.search(r"\b(?:reset|t)=(\d+)", headers.get("ratelimit", ""))
    return float(draft[1]) if draft else None


def _remaining(headers: Mapping[str, str]) -> float | None:
    for name in _REMAINING:
        value = _number(headers.get(name, ""))
        if value is not None:
            return value
    return None


def _number(text: str) -> float | None:
    text = text.strip().removesuffix("s")
    return float(text) if _NUMBER.fullmatch(text) else None


def _server_now(headers: Mapping[str, str]) -> float:
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return time.time()


def vendor_message(response: Response) -> str:
    """The server's explanation: from the usual JSON fields, else its text.

    A failure of the server (5xx) or an HTML page explains nothing to the user: it may hold addresses, stack traces or
    records, and would fill the log. For these the message gives only the kind and the size.
    """
    body = response.body[:65536]
    if not body.strip():
        return "no explanation"
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status >= 500 or body.lstrip()[:1] == b"<" or "html" in kind:
        kind = {"text/html": "HTML", "application/json": "JSON"}.get(kind, kind) or "no named type"
        return f"an answer in {kind} of {len(response.body):,} bytes"
    try:
        message = _sentence(json_codec.loads(response.body))
    except json_codec.JsonError:
        text = body.decode("utf-8", "replace")
        message = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    return (message or "no explanation")[: EXCERPT * 2]


_PLACES = (
    *("message", "error_description", "detail", "description", "title", "errorMessage", "error_message"),
    *("error", "errors", "errorMessages", "messages", "reason", "details", "fault", "msg"),
)


def _sentence(node: Any, depth: int = 0) -> str:
    """Depth first; `{"error": "invalid_grant", "description": "…"}` gives both halves."""
    if isinstance(node, str):
        return node.strip()
    if depth > 3:
        return ""
    if isinstance(node, list):
        return "; ".join(filter(None, (_sentence(item, depth + 1) for item in node[:3])))
    if not isinstance(node, dict):
        return ""
    parts = [s for key in _PLACES if (s := _sentence(node.get(key), depth + 1))]
    if not parts and depth:
        parts = [s for value in node.values() if (s := _sentence(value, depth + 1))]
    unique = [
        p for i, p in enumerate(parts) if not any(p in q for j, q in enumerate(parts) if j != i and (q != p or j < i))
    ]
    return ": ".join(unique[:3])
