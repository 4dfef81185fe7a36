"""Several interchangeable tokens with quotas of their own: when one is exhausted, the next takes over."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kitestring.declarative.api_budget import build_matcher
from kitestring.declarative.datetime_format import Months, parse_duration, parse_iso
from kitestring.declarative.keyword import Node, keyword
from kitestring.errors import AuthError, ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.http import Request, Response
from kitestring.paths import value_at

log = logging.getLogger("kitestring.declarative")

SHORTEST_WAIT_S = 5.0
"""The minimum wait if all tokens are exhausted: a reset in the past must not cause a loop of quota requests."""
LONGEST_PAUSE_S = 10.0
"""The longest pause before a call while quotas run low."""
SKEW_S = 60.0
"""Tolerance between the resets of the quota endpoint and of the headers (the same in airbyte-cdk 7.39.1)."""


@keyword("QuotaStatusSource")
class QuotaStatusSource:
    """The endpoint that reports the remaining quotas of a token: a part of the authenticator below."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.url = node.needed_text("url", types=(str,))
        self.method = str(node.get("http_method", "GET"))
        self.headers = {str(k): node.template(v, types=(str,)) for k, v in node.mapping("request_headers").items()}
        self.untracked = frozenset(node.items("unavailable_status_codes"))


@keyword("TokenQuota")
class TokenQuota:
    """One kind of quota: the calls it counts, and where the API reports its remaining calls."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.name = str(node.need("name"))
        self.matchers = [build_matcher(node, value, f"matchers[{i}]") for i, value in enumerate(node.items("matchers"))]
        node.need("remaining_path"), node.need("reset_path")
        self.paths = {what: [str(s) for s in node.items(f"{what}_path")] for what in ("remaining", "reset", "limit")}
        self.headers = {what: str(node.get(f"{what}_header", "")) for what in ("remaining", "reset", "limit")}
        self.exhausted_by = frozenset(node.items("exhaustion_status_codes"))
        self.reads_headers = any(self.headers.values()) or bool(self.exhausted_by)

    def counts(self, request: Request) -> bool:
        return any(matcher.matches(request) for matcher in self.matchers)

    def header_number(self, headers: Mapping[str, str], what: str) -> float | None:
        """A number in a response header, or a time as epoch seconds."""
        value = headers.get(self.headers[what]) if self.headers[what] else None
        try:
            return None if value is None else epoch(value) if what == "reset" else int(value)
        except ValueError:
            return None


@dataclass
class QuotaState:
    """The remaining calls of one quota of one token. `tracked` is false if the API does not count."""

    remaining: int
    reset: float
    limit: int
    tracked: bool = True

    @property
    def exhausted(self) -> bool:
        return self.tracked and self.remaining <= 0


@keyword("RateLimitedMultipleTokenAuthenticator")
class RateLimitedMultipleTokenAuthenticator:
    """Signs each call with a token that has quota left; waits for a reset if none has."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._connection = node.context.connection
        self._header, self._method = str(node.get("header", "Authorization")), str(node.get("auth_method", "Bearer"))
        self._tokens = self._tokens_of(node)
        self.secrets = tuple(self._tokens)
        self._all_tokens = self._tokens
        self._source: QuotaStatusSource = node.needed_child("quota_status_source", "QuotaStatusSource")
        self._quotas: list[TokenQuota] = node.children("quotas", "TokenQuota")
        if not self._quotas:
            raise node.error("needs at least one quota", "quotas")
        try:
            longest = parse_duration(node.constant("max_wait_time", "PT2H"))
        except ValueError as error:
            raise node.error(str(error), "max_wait_time") from None
        self._longest_s = (longest.rest if isinstance(longest, Months) else longest).total_seconds()
        fraction, least = node.number("budget_reserve_fraction", 0.1), node.number("budget_min_reserve", 50)
        self._fraction = 0.1 if fraction is None else fraction
        self._min_reserve = 50.0 if least is None else least
        self._quota_states: dict[tuple[str, str], QuotaState] = {}
        self._active = 0
        self._thread = threading.local()
        self._lock = threading.RLock()

    def _tokens_of(self, node: Node) -> list[str]:
        value = node.need("tokens")
        if isinstance(value, list):
            parts = [str(node.template(part, types=(str,))({})) for part in value]
        else:
            parts = str(node.constant("tokens", types=(str,))).split(str(node.get("token_delimiter", ",")))
        tokens = [part.strip() for part in parts if part.strip()]
        if not tokens:
            raise ConfigError("the configuration has no token", hint="Give at least one access token.")
        return tokens

    # Called by a session.

    def apply(self, request: Request) -> None:
        self._thread.token = token = self._token_for(self._quota_of(request))
        request.headers[self._header] = self._header_value(token)

    def refresh(self, response: Response) -> bool:
        """Drop a revoked token; the others stay in use."""
        token = getattr(self._thread, "token", None)
        with self._lock:
            if token in self._tokens and len(self._tokens) > 1:
                self._leave_out(token, f"{response.request_line} answered {response.status}")
            return token is not None and token not in self._tokens

    def observe(self, request: Request, response: Response) -> bool:
        """Update the quota from a response. True: this token is exhausted and another is not, so no wait is needed."""
        quota = self._quota_of(request)
        token = next(
            (other for other in self._tokens if request.headers.get(self._header) == self._header_value(other)), None
        )
        with self._lock:
            state = self._quota_states.get((token or "", quota.name))
            if state is None or not state.tracked or not quota.reads_headers:
                return False
            self._correct(state, quota, response)
            return state.exhausted and any(
                self._quota_states[other, quota.name].remaining > 0 for other in self._tokens if other != token
            )

    def _correct(self, state: QuotaState, quota: TokenQuota, response: Response) -> None:
        remaining, reset = (
            quota.header_number(response.headers, "remaining"),
            quota.header_number(response.headers, "reset"),
        )
        limit = quota.header_number(response.headers, "limit")
        refused = response.status in quota.exhausted_by
        if remaining is None and refused:
            remaining = 0
        if limit and (reset is None or reset >= state.reset):
            state.limit = int(limit)
        if reset is not None and reset > state.reset:
            state.reset, state.remaining = reset, int(state.limit if remaining is None else remaining)
        elif remaining is not None and ((remaining <= 0 and refused) or reset is None or reset >= state.reset - SKEW_S):
            # Responses arrive out of order: within one window the count only falls.
            state.remaining = min(state.remaining, int(remaining))

    # The choice of the next token.

    def _header_value(self, token: str) -> str:
        return f"{self._method} {token}".strip()

    def _quota_of(self, request: Request) -> TokenQuota:
        """The first quota that counts this call, else one that counts all calls, else the first."""
        for quota in self._quotas:
            if quota.counts(request):
                return quota
        return next((quota for quota in self._quotas if not quota.matchers), self._quotas[0])

    def _token_for(self, quota: TokenQuota) -> str:
        deadline: float | None = None
        while True:
            with self._lock:
                if not self._quota_states:
                    self._read_quotas()
                token, pause = self._take_token(quota)
                if token is None:
                    deadline = deadline or time.monotonic() + self._longest_s
                    pause = self._until_reset(quota, deadline)
            if token is not None:
                self._connection.pause(pause)
                return token
            log.info("all tokens are exhausted (%s), waiting %.0f s", quota.name, pause, extra={"seconds": pause})
            self._connection.pause(pause)
            with self._lock:
                if all(self._quota_states[other, quota.name].exhausted for other in self._tokens):
                    self._read_quotas()

    def _take_token(self, quota: TokenQuota) -> tuple[str | None, float]:
        """Take one call from a token with quota left. Returns the token and the pause before the call."""
        for _ in self._tokens:
            token = self._tokens[self._active]
            state = self._quota_states[token, quota.name]
            if not state.tracked:
                self._active = (self._active + 1) % len(self._tokens)
                return token, 0.0
            if state.remaining > 0:
                state.remaining -= 1
                pause = self._pause(quota, state)
                return token, pause if pause >= 0.1 else 0.0
            self._active = (self._active + 1) % len(self._tokens)
        return None, 0.0

    def _pause(self, quota: TokenQuota, active: QuotaState) -> float:
        """If all tokens are below their reserve, the remaining calls are spread over the time until the reset."""
        all_left = [self._quota_states[token, quota.name] for token in self._tokens]
        total = sum(max(0, state.remaining) for state in all_left)
        low = all(
            state.tracked and state.remaining <= max(self._min_reserve, state.limit * self._fraction)
            for state in all_left
        )
        return min(max(0.0, active.reset - time.time()) / total, LONGEST_PAUSE_S) if low and total else 0.0

    def _until_reset(self, quota: TokenQuota, deadline: float) -> float:
        wait = min(self._quota_states[token, quota.name].reset for token in self._tokens) - time.time()
        allowed = deadline - time.monotonic()
        if allowed <= 0 or wait >= allowed:
            raise TransientError(
                f"all {len(self._tokens)} tokens are exhausted ({quota.name}), the next reset is in "
                f"{max(0.0, wait):.0f} s, the longest wait is {self._longest_s:.0f} s",
                hint="Try again later, or give more tokens.",
                retry_after_s=max(0.0, wait),
            )
        return min(max(wait, SHORTEST_WAIT_S), allowed)

    def _read_quotas(self) -> None:
        """Read the remaining quotas of every token from the API."""
        states: dict[tuple[str, str], QuotaState] = {}
        for token in list(self._tokens):
            try:
                page = self._page(token)
            except AuthError as error:
                if len(self._tokens) == 1:
                    raise
                self._leave_out(token, error.message)
                continue
            for quota in self._quotas:
                states[token, quota.name] = (
                    QuotaState(0, time.time(), 0, tracked=False) if page is None else self._quota_state(page, quota)
                )
        self._quota_states = states

    def _leave_out(self, token: str, reason: str) -> None:
        """Drop a token that the API refuses."""
        place = self._all_tokens.index(token) + 1
        log.warning("token %d of %d was refused and is no longer used: %s", place, len(self._all_tokens), reason)
        self._tokens = [other for other in self._tokens if other != token]
        self._active = 0

    def _page(self, token: str) -> Any:
        """The API's response about quotas; None if it does not count."""
        source = self._source
        url = str(source.url({}))
        headers = {name: str(text({})) for name, text in source.headers.items()}
        session = self._connection.session()
        session.hide(token)
        try:
            response = session.request(
                source.method,
                self._connection.rebase_url(url, url),
                headers={**headers, self._header: self._header_value(token)},
            )
        except KitestringError as error:
            if error.fields.get("status") in source.untracked:
                return None
            raise
        return response.json()

    def _quota_state(self, page: Any, quota: TokenQuota) -> QuotaState:
        remaining, reset = self._at(page, quota, "remaining"), self._at(page, quota, "reset")
        limit = self._at(page, quota, "limit") if quota.paths["limit"] else None
        try:
            count = int(remaining)
            return QuotaState(count, epoch(reset), int(limit) if limit is not None else count)
        except (TypeError, ValueError) as error:
            raise ConnectorError(f"the quota {quota.name} cannot be read from the API's response: {error}") from error

    def _at(self, page: Any, quota: TokenQuota, what: str) -> Any:
        value = value_at(page, quota.paths[what])
        if value is None:
            raise ConnectorError(
                f"the API's response about quotas has no {'.'.join(quota.paths[what])} ({quota.name})",
                hint=f"Correct `{what}_path` in the manifest.",
            )
        return value


def epoch(value: Any) -> float:
    """Epoch seconds of a number of seconds or of an ISO 8601 text. Raises ValueError."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = parse_iso(str(value)).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(f"{value!r} is not a date or time")
    return seconds
