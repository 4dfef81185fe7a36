"""OAuth 2.0: fetch access tokens, renew them before they expire, store single-use refresh tokens."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from kitestring.credentials import CredentialStore
from kitestring.declarative import datetime_format
from kitestring.declarative.authenticator import Home, RenewedToken, SharedToken, digest_of, share_as
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.request_option import RequestOption
from kitestring.declarative.template import EvaluationError
from kitestring.errors import AuthError, ConfigError
from kitestring.http import Raise, Retries, UnreadableError, Verdict
from kitestring.paths import set_value, value_at

RENEWED_FIELDS = frozenset({"refresh_token", "access_token_value", "token_expiry_date"})
"""The fields that a renewal changes. They do not identify a credential whose valid pair is in the configuration: their
templates are rendered once, before or after a renewal."""
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@keyword("OAuthAuthenticator")
class OAuthAuthenticator(RenewedToken):
    """A bearer token from a token endpoint (RFC 6749), or the configured access token if there is no endpoint.

    With `refresh_token_updater` each refresh returns a new refresh token: both tokens and the expiry are written into
    the configuration and stored before the new token is used. One process renews at a time and adopts what another has
    renewed. An access token without a refresh token is used until the API refuses it.
    """

    def __init__(self, node: Node, home: Home = str, **_: Any) -> None:
        super().__init__()
        self._node, self._home = node, home
        self._connection = node.context.connection
        self._text = {
            key: node.text(key, default, types=(str,))
            for key, default in (
                ("client_id_name", "client_id"),
                ("client_id", ""),
                ("client_secret_name", "client_secret"),
                ("client_secret", ""),
                ("refresh_token_name", "refresh_token"),
                ("refresh_token", ""),
                ("token_refresh_endpoint", ""),
                ("access_token_name", "access_token"),
                ("access_token_value", ""),
                ("expires_in_name", "expires_in"),
                ("grant_type_name", "grant_type"),
                ("grant_type", "refresh_token"),
                ("token_expiry_date", ""),
            )
        }
        self._body = {k: node.template(v, empty=None) for k, v in node.mapping("refresh_request_body").items()}
        self._headers = {k: node.template(v, types=(str,)) for k, v in node.mapping("refresh_request_headers").items()}
        self._scopes = node.items("scopes")
        self._refused_by = frozenset(node.items("refresh_token_error_status_codes"))
        self._refusal_key = str(node.get("refresh_token_error_key", ""))
        self._refusals = node.items("refresh_token_error_values")
        self._in_query = node.flag("send_refresh_request_as_query_params")
        option = node.child("request_option", "RequestOption")
        self._token_alone = isinstance(option, RequestOption)
        if isinstance(option, RequestOption):
            self.place, self.path = option.place, option.path
        self._expiry_format = str(node.get("token_expiry_date_format", ""))
        asserts = node.get("use_profile_assertion", False)
        self._assertion = node.child("profile_assertion") if node.condition(asserts)({}) else None
        updater = node.mapping("refresh_token_updater")
        self._updater = {
            "access_token": updater.get("access_token_config_path", ["credentials", "access_token"]),
            "refresh_token": updater.get("refresh_token_config_path", ["credentials", "refresh_token"]),
            "expiry": updater.get("token_expiry_date_config_path", ["credentials", "token_expiry_date"]),
        }
        self._single_use = "refresh_token_updater" in node.values
        if self._single_use:
            self._text["refresh_token_name"] = node.template(
                updater.get("refresh_token_name", "refresh_token"), types=(str,)
            )
        self._begin()

    def _begin(self) -> None:
        """Use the configured access token while it is valid."""
        if self._single_use:
            token = value_at(self._node.config, self._updater["access_token"])
            expiry = value_at(self._node.config, self._updater["expiry"])
        else:
            token, expiry = self._value("access_token_value"), self._value("token_expiry_date")
        if not token:
            return
        own = self._own
        if expiry and self._value("token_refresh_endpoint"):
            own.text, own.until = str(token), time.monotonic() + self._remaining_s(expiry)
        elif not self._value("token_refresh_endpoint") or not self._renewable():
            own.text, own.until = str(token), float("inf")
        self.secrets = (str(token),)

    def header_value(self, token: str) -> str:
        return token if self._token_alone else super().header_value(token)

    def _renewable(self) -> bool:
        """Whether the access token can be renewed."""
        return self._value("grant_type") != "refresh_token" or not self._single_use or bool(self._refresh_token())

    def _remaining_s(self, expiry: Any) -> float:
        try:
            return (self._parse_time(str(expiry)) - datetime_format.now()).total_seconds()
        except ValueError as error:
            # No defect of the manifest, which is also built for an example of a configuration.
            raise EvaluationError(f"the expiry date of the access token is {expiry!r}, which is not a date") from error

    def identity(self) -> tuple[Any, ...] | None:
        if not self._value("token_refresh_endpoint") or self._assertion is not None:
            return None
        return (
            self._connection.base_url,
            {key: self._value(key) for key in self._text if not (self._single_use and key in RENEWED_FIELDS)},
            self._refresh_token() if self._value("grant_type") == "refresh_token" else None,
            self._scopes,
            {key: template({}) for key, template in self._body.items()},
            {key: template({}) for key, template in self._headers.items()},
            self._in_query,
        )

    def _refresh_token(self) -> Any:
        if self._single_use:
            return value_at(self._node.config, self._updater["refresh_token"])
        return self._value("refresh_token") or None

    def _renew(self) -> None:
        store: CredentialStore | None = self._node.context.values.get("credentials")
        if not self._single_use or store is None:
            with self._connection.renewal():
                super()._renew()
            return
        key = self._credential_key()
        with store.renewing(key) as stored:
            if stored is not None and self._adopt_stored(stored):
                return
            with self._connection.renewal():
                super()._renew()
                self._keep(store, self.current)
                self._enter(self.current)

    def _credential_key(self) -> str:
        """The key of this credential in the store, made from its first refresh token.

        Nothing else of the manifest or the configuration counts: a changed client secret renews the same pair.
        """
        current = self.current
        if current.key is None:
            first = self._value("token_refresh_endpoint"), self._value("client_id"), self._refresh_token()
            current.key = digest_of(("refresh token", self._connection.base_url, *first))
        return current.key

    def _adopt_stored(self, stored: Mapping[str, Any]) -> bool:
        """Adopt the pair that another process has renewed. False if it is already in use, or expired too."""
        current = self.current
        refresh, token = (value_at(stored, self._updater[name]) for name in ("refresh_token", "access_token"))
        if not refresh or str(refresh) == (current.refresh or self._refresh_token()):
            return False
        if not token:  # a user entered a new refresh token: the old access token is no longer used
            current.text, current.refresh = None, str(refresh)
            self._connection.hide(current.refresh)
            return False
        expiry = value_at(stored, self._updater["expiry"])
        seconds = self._remaining_s(expiry) if expiry else 0.0
        current.text, current.refresh, current.until = str(token), str(refresh), time.monotonic() + seconds
        current.expires = datetime_format.now() + timedelta(seconds=seconds)
        self._enter(current)
        return current.valid

    def _adopt(self, current: SharedToken) -> None:
        """Also store a pair that another authenticator fetched: a spent refresh token must stay in no configuration."""
        if current.text and current.text not in self.secrets:
            self._connection.hide(current.text)
        super()._adopt(current)
        if not self._single_use or current.refresh is None or current.text is None:
            return
        if current.text == value_at(self._node.config, self._updater["access_token"]):
            return
        store: CredentialStore | None = self._node.context.values.get("credentials")
        if store is not None:
            with store.renewing(self._credential_key()) as stored:
                # Another process may have renewed this pair again: what it stored is newer.
                if stored is None or value_at(stored, self._updater["refresh_token"]) in (None, "", current.spent):
                    self._keep(store, current)
        self._enter(current)

    def _pair(self, current: SharedToken) -> list[tuple[Any, Any]]:
        """The paths and values of the configuration that a renewal changes."""
        expiry = current.expires.isoformat() if current.expires else ""
        values = {"access_token": current.text, "refresh_token": current.refresh, "expiry": expiry}
        return [(self._updater[name], value) for name, value in values.items()]

    def _keep(self, store: CredentialStore, current: SharedToken) -> None:
        changed: dict[str, Any] = {}
        config = copy.deepcopy(dict(self._node.config))
        for path, value in self._pair(current):
            set_value(changed, path, value)
            set_value(config, path, value)
        # Filtered last: the manifest chooses the paths, and may name an option of the platform.
        options = self._node.context.values.get("options", frozenset())
        store.keep(
            self._credential_key(), changed, {name: value for name, value in config.items() if name not in options}
        )

    def _enter(self, current: SharedToken) -> None:
        """Put a stored pair into the configuration. A pair that is not stored yet waits for the next request."""
        self._credential_key()  # computed before the refresh token changes
        self._connection.hide(*(text for text in (current.text, current.refresh) if text))
        for path, value in self._pair(current):
            set_value(self._node.config, path, value)
        identity = self.identity()
        if identity is not None:
            share_as(identity, current)

    def _value(self, key: str) -> str:
        return str(self._text[key]({}))

    def _parse_time(self, text: str) -> datetime:
        if text.isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        return datetime_format.parse_iso(text)

    def fetch(self) -> tuple[str, float | None]:
        endpoint = self._value("token_refresh_endpoint")
        if not endpoint:
            raise AuthError("the access token was refused and cannot be renewed", hint="Set a new access token.")
        endpoint = self._connection.rebase_url(endpoint, self._home() if self._connection.base_url else "")
        payload = self._payload()
        headers = {k: str(v({})) for k, v in self._headers.items()}
        as_json = any(k.lower() == "content-type" and "json" in v.lower() for k, v in headers.items())
        # A vendor's error may repeat what it received.
        secret, refresh = self._value("client_secret"), self.current.refresh or self._refresh_token()
        self._connection.hide(*(str(text) for text in (secret, refresh) if text))
        try:
            response = self._connection.renewal_session().request(
                "POST",
                endpoint,
                headers=headers,
                policy=self,
                verify=lambda response: response.json(),
                params=payload if self._in_query else None,
                json=payload if as_json and not self._in_query else None,
                form=None if as_json or self._in_query else payload,
            )
        except ConfigError as error:
            if error.fields.get("status") in (400, 404, 422):
                raise AuthError(
                    f"the token endpoint refused the credentials: {error.message}", hint="Authorise this source again."
                ) from error
            raise
        body = response.json()
        token = find_value(body, self._value("access_token_name"))
        if not token:
            raise AuthError(
                f"the token endpoint returned no {self._value('access_token_name')}{error_detail(body)}",
                hint="Authorise this source again.",
            )
        seconds = self._lifetime(find_value(body, self._value("expires_in_name")))
        self._connection.hide(str(token))
        if self._single_use:
            # Both are stored before the token is used.
            refresh = find_value(body, self._value("refresh_token_name"))
            spent = self.current.refresh or self._refresh_token()
            self.current.spent = None if spent is None else str(spent)
            self.current.refresh = self.current.spent if refresh is None else str(refresh)
            self.current.expires = datetime_format.now() + timedelta(seconds=seconds)
        return str(token), seconds

    def judge(self, attempt: int, response: Any, error: Exception | None) -> Verdict:
        """The policy of the token request: a refresh token that is refused by the manifest's rules is not retried."""
        if response is not None and 400 <= response.status < 500:
            try:
                page = response.json()
            except UnreadableError:
                page = None
            if isinstance(page, Mapping):
                if response.status in self._refused_by and page.get(self._refusal_key) in self._refusals:
                    message = f"{response.request_line} refused the refresh token ({page[self._refusal_key]})"
                    return Raise(AuthError(message, hint="Authorise this source again.", status=response.status))
                refusal = standard_error(response, page)
                if refusal is not None:
                    return Raise(refusal)
        return Retries().judge(attempt, response, error)

    def _payload(self) -> dict[str, Any]:
        if self._assertion is not None:
            return {self._value("grant_type_name"): JWT_GRANT, "assertion": self._assertion.token()}
        payload: dict[str, Any] = {self._value("grant_type_name"): self._value("grant_type")}
        if "Authorization" not in self._headers:
            payload[self._value("client_id_name")] = self._value("client_id")
            payload[self._value("client_secret_name")] = self._value("client_secret")
        refresh = self.current.refresh or self._refresh_token()
        if refresh is None and self._value("grant_type") == "refresh_token":
            raise AuthError("the configuration has no refresh token", hint="Authorise this source again.")
        payload[self._value("refresh_token_name")] = refresh
        if self._scopes:
            payload["scopes"] = self._scopes
        for key, template in self._body.items():
            payload.setdefault(key, template({}))
        return {k: v for k, v in payload.items() if v is not None}

    def _lifetime(self, expires: Any) -> float:
        """The lifetime of a token in seconds; an hour if the endpoint does not name it."""
        if expires is None:
            return 3600.0
        try:
            if self._expiry_format:
                return (self._parse_time(str(expires)) - datetime_format.now()).total_seconds()
            return float(expires)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the token endpoint returned the unreadable expiry {expires!r}") from error

    def refresh(self, response: Any) -> bool:
        """Renew the token, if it can be renewed; else the user sees the API's own refusal."""
        return bool(self._value("token_refresh_endpoint")) and self._renewable() and super().refresh(response)


REFUSALS = {
    "invalid_client": (
        "does not accept the OAuth client: it is unknown, was deleted, or its secret was changed",
        "Check client_id and client_secret in the configuration against the client at the vendor.",
    ),
    # Atlassian's code for the same.
    "access_denied": (
        "refuses access to the OAuth client: it is unknown, was deleted, or its secret was changed",
        "Check client_id and client_secret in the configuration against the client at the vendor.",
    ),
    "unauthorized_client": (
        "does not allow this OAuth client to get a token in this way",
        "Allow it in the client's settings at the vendor, or create a client of the required kind.",
    ),
    "invalid_scope": (
        "does not grant this OAuth client the requested scopes",
        "Allow these scopes in the client's settings at the vendor, or request others in the configuration.",
    ),
    "invalid_grant": (
        "does not accept the grant: the refresh token was used, has expired or was revoked",
        "Authorise this source again.",
    ),
}
"""The error codes of a token endpoint (RFC 6749, 5.2), with reason and hint."""


def standard_error(response: Any, page: Mapping[str, Any]) -> AuthError | None:
    """The error for a response with a standard error code; None for any other."""
    code = page.get("error")
    if not isinstance(code, str) or code not in REFUSALS:
        return None
    reason, hint = REFUSALS[code]
    detail = page.get("error_description")
    description = f": {detail}" if isinstance(detail, str) and detail else ""
    return AuthError(f"{response.request_line} {reason} ({code}{description})", hint=hint, status=response.status)


def error_detail(body: Any) -> str:
    """The error inside a response with a good status (Slack)."""
    error = body.get("error") if isinstance(body, Mapping) else None
    return f" ({error:.80})" if isinstance(error, str) else ""


def find_value(node: Any, name: str, depth: int = 0) -> Any:
    """The first value of this name anywhere in a response, up to five levels deep."""
    if depth > 5:
        return None
    if isinstance(node, Mapping):
        if name in node:
            return node[name]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            value = find_value(inner, name, depth + 1)
            if value is not None:
                return value
    return None
