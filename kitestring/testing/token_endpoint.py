"""The token endpoint of a vendor's stand-in: tokens that end, refresh tokens that work once, and a journal of it all.

A stand-in owns one, answers its token address with it, and asks it in `authorize`:

    self.tokens = TokenEndpoint({"larkspur": "secret"}, lifetime_s=60)

    @route("POST", "/oauth/tokens")
    def token(self, call: Call) -> Any:
        return self.tokens.answer(call)

    allowed = self.tokens.allows(value)
"""

from __future__ import annotations

import threading
import time
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import Any, Literal
from urllib.parse import parse_qs, unquote

import orjson

from kitestring.testing.stand_in import Answer, Call

Rotation = Literal["ends_pair", "ends_refresh", "kept", "none"]
GRANTS = ("client_credentials", "authorization_code", "refresh_token")


@dataclass(slots=True)
class Exchange:
    """One request for a token: its client and grant, the answer's status, and when it began and ended."""

    grant: str
    client: str
    began: float
    ended: float = 0.0
    status: int = 0
    error: str = ""


@dataclass(slots=True)
class Pair:
    """An access token and, where the grant gives one, its refresh token."""

    access_token: str
    refresh_token: str | None
    client: str
    scope: str
    until: float
    refresh_until: float = float("inf")


@dataclass(slots=True)
class _Code:
    client: str
    scope: str
    challenge: str
    redirect_uri: str


@dataclass(slots=True)
class TokenEndpoint:
    """Answers token requests (RFC 6749) as form, JSON or query, the client in the body or as Basic in the header.

    `clients` maps id to secret: change it while the server runs to rotate a secret or to delete a client. `lifetime_s`
    None makes tokens that never end and are told with `expires_in: null`. `rotation` says what a refresh does to the
    pair that it renews: `ends_pair` ends both tokens at once, `ends_refresh` the refresh token only, `kept` nothing
    (and the answer repeats the refresh token); with `none` there are no refresh tokens. `delay_s` holds every request
    open for a while, so that two at once are seen as such. `extra` joins every answer.
    """

    clients: dict[str, str]
    lifetime_s: float | None = 60.0
    rotation: Rotation = "ends_pair"
    grants: Collection[str] = GRANTS
    client_in: Collection[str] = ("body", "header")
    sent_as: Collection[str] = ("form", "json", "query")
    scope: str = "read"
    refresh_lifetime_s: float | None = None
    delay_s: float = 0.0
    prefix: str = "token"
    extra: Mapping[str, Any] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    most_at_once: int = 0
    """The largest number of requests that were open at one moment."""
    _open: int = 0
    _codes: dict[str, _Code] = field(default_factory=dict)
    _access: dict[str, Pair] = field(default_factory=dict)
    _refresh: dict[str, Pair] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # What a stand-in asks

    def answer(self, call: Call) -> Answer:
        exchange = Exchange("", "", time.monotonic())
        with self._lock:
            self.exchanges.append(exchange)
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
        try:
            if self.delay_s:
                time.sleep(self.delay_s)
            with self._lock:
                answer = self._answered(call, exchange)
        finally:
            with self._lock:
                self._open -= 1
        exchange.ended, exchange.status = time.monotonic(), answer.status
        if answer.status != 200:
            exchange.error = answer.body["error"]
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def pair_of(self, access_token: str) -> Pair | None:
        """The pair of an access token that is good now."""
        pair = self._access.get(access_token)
        return pair if pair is not None and time.monotonic() < pair.until else None

    def allows(self, access_token: str) -> bool:
        return self.pair_of(access_token) is not None

    # What a test does

    def granted(self, client: str = "", *, scope: str = "", refreshable: bool = True) -> Pair:
        """A new pair, as if a person had consented."""
        with self._lock:
            return self._new_pair(client or next(iter(self.clients)), scope or self.scope, refreshable)

    def code(self, client: str = "", *, scope: str = "", challenge: str = "", redirect_uri: str = "") -> str:
        """The code that the vendor's consent page returns; it works once. `challenge` is the S256 one of PKCE."""
        code = f"code-{next(self._numbers)}"
        self._codes[code] = _Code(client or next(iter(self.clients)), scope or self.scope, challenge, redirect_uri)
        return code

    def end_access(self) -> None:
        """End every access token before its time; refresh tokens go on."""
        self._access.clear()

    def end_all(self) -> None:
        """Withdraw the consent: every token ends."""
        self._access.clear()
        self._refresh.clear()

    def of_grant(self, grant: str, status: int = 200) -> list[Exchange]:
        """The requests for this grant that were answered with this status."""
        return [e for e in list(self.exchanges) if e.grant == grant and e.status == status]

    @property
    def refreshes(self) -> list[Exchange]:
        return self.of_grant("refresh_token")

    # Tokens

    def _answered(self, call: Call, exchange: Exchange) -> Answer:
        fields = self._fields(call)
        if fields is None:
            return _refused(400, "invalid_request", f"the parameters are not sent as {' or '.join(self.sent_as)}")
        exchange.grant = grant = str(fields.get("grant_type", ""))
        client, secret = self._client(call, fields)
        exchange.client = client
        if client not in self.clients or secret != self.clients[client]:
            return _refused(401, "invalid_client", "Client authentication failed: unknown client or wrong secret")
        if grant not in GRANTS or grant not in self.grants:
            return _refused(400, "unsupported_grant_type", f"the grant {grant or 'type'} is not supported")
        if grant == "client_credentials":
            scope = str(fields.get("scope") or self.scope)
            if not {*scope.split()} <= {*self.scope.split()}:
                return _refused(400, "invalid_scope", "The requested scope is invalid, unknown, or malformed.")
            return self._token_answer(self._new_pair(client, scope, refreshable=False))
        if grant == "authorization_code":
            return self._of_code(client, fields)
        return self._of_refresh(client, str(fields.get("refresh_token", "")))

    def _of_code(self, client: str, fields: Mapping[str, Any]) -> Answer:
        code = self._codes.pop(str(fields.get("code", "")), None)
        verifier = str(fields.get("code_verifier", ""))
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if (
            code is None
            or code.client != client
            or (code.redirect_uri and code.redirect_uri != fields.get("redirect_uri"))
            or (code.challenge and code.challenge != challenge)
        ):
            return _refused(400, "invalid_grant", "The provided authorization grant is invalid, expired, or revoked")
        return self._token_answer(self._new_pair(client, code.scope, refreshable=True))

    def _of_refresh(self, client: str, token: str) -> Answer:
        pair = self._refresh.get(token)
        if pair is None or pair.client != client or time.monotonic() >= pair.refresh_until:
            return _refused(400, "invalid_grant", "The provided refresh token is invalid, expired, or revoked")
        if self.rotation == "ends_pair":
            self._access.pop(pair.access_token, None)
        if self.rotation != "kept":
            del self._refresh[token]
        renewed = self._new_pair(client, pair.scope, refreshable=self.rotation != "kept")
        if self.rotation == "kept":
            renewed.refresh_token = token
        return self._token_answer(renewed)

    def _new_pair(self, client: str, scope: str, refreshable: bool) -> Pair:
        number, now = next(self._numbers), time.monotonic()
        pair = Pair(
            f"{self.prefix}-access-{number}",
            f"{self.prefix}-refresh-{number}" if refreshable and self.rotation != "none" else None,
            client,
            scope,
            float("inf") if self.lifetime_s is None else now + self.lifetime_s,
            float("inf") if self.refresh_lifetime_s is None else now + self.refresh_lifetime_s,
        )
        self._access[pair.access_token] = pair
        if pair.refresh_token is not None:
            self._refresh[pair.refresh_token] = pair
        return pair

    def _token_answer(self, pair: Pair) -> Answer:
        lifetime = None if self.lifetime_s is None else max(int(self.lifetime_s), 1)
        body = {"access_token": pair.access_token, "token_type": "bearer", "scope": pair.scope, "expires_in": lifetime}
        if pair.refresh_token is not None:
            body["refresh_token"] = pair.refresh_token
        return Answer(200, {**body, **self.extra})

    def _fields(self, call: Call) -> Mapping[str, Any] | None:
        kind = call.headers.get("content-type", "").partition(";")[0].strip()
        if kind == "application/json":
            try:
                fields = orjson.loads(call.body)
            except orjson.JSONDecodeError:
                return None
            return fields if isinstance(fields, dict) and "json" in self.sent_as else None
        if call.body:
            form = parse_qs(call.body.decode("utf-8", "replace"), keep_blank_values=True)
            return {k: v[-1] for k, v in form.items()} if "form" in self.sent_as else None
        return {k: v[-1] for k, v in call.params.items()} if "query" in self.sent_as else None

    def _client(self, call: Call, fields: Mapping[str, Any]) -> tuple[str, str]:
        scheme, _, value = call.headers.get("authorization", "").partition(" ")
        if scheme == "Basic" and "header" in self.client_in:
            try:
                name, _, secret = b64decode(value).decode().partition(":")
            except (Base64Error, UnicodeDecodeError):
                return "", ""
            return unquote(name), unquote(secret)
        if "body" in self.client_in:
            return str(fields.get("client_id", "")), str(fields.get("client_secret", ""))
        return "", ""


def _refused(status: int, error: str, description: str) -> Answer:
    return Answer(status, {"error": error, "error_description": description})
