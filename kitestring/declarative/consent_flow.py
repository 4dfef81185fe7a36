"""The consent of an account (OAuth 2.0, RFC 6749, 4.1) as the `advanced_auth` of a manifest describes it.

The templates are those of Airbyte's declarative OAuth:
https://docs.airbyte.com/platform/connector-development/config-based/advanced-topics/oauth
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus, urlsplit

from kitestring.declarative.manifest import References
from kitestring.declarative.sandbox import environment, start_rendering
from kitestring.declarative.template import render_text
from kitestring.errors import AuthError, ConfigError
from kitestring.http.message import is_form
from kitestring.paths import set_value, value_at

PARAMETERS = {
    "client_id": "client_id",
    "client_secret": "client_secret",
    "auth_code": "code",
    "state": "state",
    "redirect_uri": "redirect_uri",
    "scope": "scope",
}
"""The parameters of the templates, with the names that they usually have in a request."""
ENCODED = frozenset({"redirect_uri", "scope"})
"""Parameters that are encoded in `{{ …_param }}`."""
JOINED_BY = {"space": " ", "comma": ",", "plus": "+"}
NESTED = re.compile(r"\{\{((?:[^{}|]*\{\{[^{}]*\}\})+[^{}|]*)\|\s*(\w+)\s*\}\}")
"""`{{ {{ redirect_uri_value }} | urlEncoder }}`: a filter over a text with templates, as older manifests have it."""
SPEC = "spec.advanced_auth.oauth_config_specification"
STATE_LENGTH = 43
EXPIRY = "token_expiry_date"


def code_challenge(verifier: Any) -> str:
    """The S256 code challenge of a verifier (RFC 7636)."""
    digest = hashlib.sha256(str(verifier).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def base64_text(value: Any) -> str:
    return base64.b64encode(str(value).encode()).decode()


def url_text(value: Any) -> str:
    return quote_plus(str(value))


FILTERS = {
    "urlencode": url_text,
    "urlEncoder": url_text,
    "b64encode": base64_text,
    "base64Encoder": base64_text,
    "codeChallengeS256": code_challenge,
}


@lru_cache(maxsize=1)
def consent_environment() -> Any:
    """The sandbox of templates, with the filters of Airbyte's platform."""
    sandbox = environment().overlay()
    sandbox.filters = {**sandbox.filters, **FILTERS}
    return sandbox


class ConsentFlow:
    """The addresses, parameters and answer of a consent. The templates see a configuration's plain values too.

    `specification` is an `oauth_config_specification`. `ConfigError` where it has no addresses.
    """

    def __init__(self, specification: Mapping[str, Any]) -> None:
        self._specification = specification
        request = specification.get("oauth_connector_input_specification")
        self._request: Mapping[str, Any] = request if isinstance(request, Mapping) else {}
        for name in ("consent_url", "access_token_url"):
            if not isinstance(self._request.get(name), str):
                raise ConfigError(
                    f"the manifest describes no consent: {SPEC}.oauth_connector_input_specification has no {name}",
                    hint="Fill in the consent in the authentication of the connector.",
                )

    @property
    def specification(self) -> dict[str, Any]:
        return dict(self._specification)

    @property
    def state_key(self) -> str:
        """The name of the state in the redirect of the vendor."""
        return self._key("state")

    @property
    def code_key(self) -> str:
        """The name of the code in the redirect of the vendor."""
        return self._key("auth_code")

    @property
    def state_length(self) -> int:
        """The largest length that the vendor accepts as a state."""
        limits = self._request.get("state")
        longest = limits.get("max") if isinstance(limits, Mapping) else None
        return min(max(longest, 8), 128) if isinstance(longest, int) else STATE_LENGTH

    def address(self, config: Mapping[str, Any], redirect_uri: str, state: str) -> str:
        """The page at which the account consents. `ConfigError` without a client, or for no web address."""
        values = self._values(config, client_id=self._client(config, "client_id"))
        values |= self._named({"redirect_uri": redirect_uri, "state": state}, values)
        return self._web_address("consent_url", values)

    def token_request(
        self, config: Mapping[str, Any], redirect_uri: str, state: str, code: str
    ) -> tuple[str, dict[str, str], dict[str, dict[str, str]]]:
        """The address of the token request, its headers, and its body: `json` or `form` with fields, or nothing."""
        secret = self._client(config, "client_secret")
        values = self._values(config, client_id=self._client(config, "client_id"), client_secret=secret)
        values |= self._named({"redirect_uri": redirect_uri, "state": state, "auth_code": code}, values)
        headers = self._rendered("access_token_headers", values)
        fields = self._rendered("access_token_params", values)
        kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
        body = {("form" if is_form(kind) else "json"): fields} if fields else {}
        headers = {name: value for name, value in headers.items() if name.lower() != "content-type" or not fields}
        return self._web_address("access_token_url", values), {"Accept": "application/json", **headers}, body

    def defects(self, inputs: Sequence[str]) -> Iterator[tuple[str, ConfigError]]:
        """The templates that fail, by their fields. `inputs`: the names of the options of the form."""
        names = ("client_id", "client_secret", "redirect_uri", "state", "auth_code")
        known = self._values(dict.fromkeys(inputs, "example"), **dict.fromkeys(names, "example"))
        for field in ("consent_url", "access_token_url"):
            try:
                rendered(str(self._request[field]), known, field)
            except ConfigError as error:
                yield field, error
        for field in ("access_token_headers", "access_token_params"):
            try:
                self._rendered(field, known)
            except ConfigError as error:
                yield field, error

    def secrets(self, config: Mapping[str, Any]) -> list[str]:
        """The texts of a configuration that an answer or a log must not show."""
        return [self._client(config, "client_secret")]

    def options(self, answer: Any, now: datetime | None = None) -> dict[str, Any]:
        """The values for the configuration from the vendor's answer. `AuthError` where it lacks one."""
        if not isinstance(answer, Mapping) or answer.get("error"):
            reason = answer.get("error") if isinstance(answer, Mapping) else "no object"
            raise AuthError(f"the vendor does not accept the consent: {str(reason)[:100]}", hint="Sign in again.")
        extracted: dict[str, Any] = {}
        for item in self._request.get("extract_output") or ["refresh_token"]:
            path = [part for part in re.split(r"[.\[\]'\"]+", str(item).removeprefix("$")) if part]
            value = value_at(answer, path)
            if not isinstance(value, str | int | float) or value == "":
                raise AuthError(
                    f"the vendor answered the consent without {'.'.join(path)}",
                    hint="Correct extract_output, or ask the vendor for such a token by its scopes.",
                )
            extracted[path[-1]] = value
        expires = value_at(answer, [str(self._request.get("token_expiry_key") or "expires_in")])
        if isinstance(expires, int | float) or (isinstance(expires, str) and expires.isdigit()):
            seconds = min(float(expires), 1e9)
            extracted[EXPIRY] = ((now or datetime.now(UTC)) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
        return self._placed(extracted, answer)

    def _placed(self, extracted: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        """The extracted values at their places in the configuration."""
        output = self._specification.get("complete_oauth_output_specification")
        properties = output.get("properties") if isinstance(output, Mapping) else None
        config: dict[str, Any] = {}
        if not isinstance(properties, Mapping):
            return {name: value for name, value in extracted.items() if name != EXPIRY}
        for name, description in properties.items():
            described = description if isinstance(description, Mapping) else {}
            in_answer = described.get("path_in_oauth_response")
            value = value_at(answer, in_answer) if isinstance(in_answer, list) else extracted.get(name)
            if value is None and name in (output.get("required") or () if isinstance(output, Mapping) else ()):
                raise AuthError(
                    f"the vendor answered the consent without {name}",
                    hint=f"Add it to extract_output, or correct {SPEC}.complete_oauth_output_specification.",
                )
            if value is not None:
                set_value(config, path_in_config(described, str(name)), value)
        return config

    def client_places(self, name: str) -> list[list[str]]:
        """Where a configuration may have the `client_id` or the `client_secret`, the first place first."""
        key = self._key(name)
        output = self._specification.get("complete_oauth_server_output_specification")
        properties = output.get("properties") if isinstance(output, Mapping) else None
        described = (properties.get(key) or properties.get(name)) if isinstance(properties, Mapping) else None
        places = [path_in_config(described, key)] if isinstance(described, Mapping) else []
        return [*places, [key], ["credentials", key]]

    def _client(self, config: Mapping[str, Any], name: str) -> str:
        """The id or the secret of the application that is registered at the vendor. `ConfigError` without it."""
        places = self.client_places(name)
        for path in places:
            value = value_at(dict(config), path)
            if isinstance(value, str) and value:
                return value
        raise ConfigError(
            f"the consent needs the application's {name}, and the inputs have none at {'.'.join(places[0])}",
            hint="Register an application at the vendor, and fill in its id and its secret.",
        )

    def _values(self, config: Mapping[str, Any], **known: str) -> dict[str, str]:
        """What the templates see: plain values of the configuration and of the specification, and the parameters."""
        values = {str(name): str(value) for name, value in [*plain(config), *plain(self._request)]}
        values.pop("scope", None)
        scopes = joined(self._request, "scopes") or str(self._request.get("scope") or "")
        values |= self._named({**known, "scope": scopes}, values)
        return {**values, "optional_scope_value": joined(self._request, "optional_scopes")}

    def _named(self, known: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
        """Each parameter as `NAME_key`, `NAME_value`, `NAME_param`, and by the name that it has in a request."""
        named: dict[str, str] = {}
        for name, value in known.items():
            key = self._key(name)
            named[f"{name}_key"] = named[key] = key
            named[key] = named[f"{name}_value"] = value
            named[f"{name}_param"] = f"{key}={url_text(value) if name in ENCODED else value}"
        return named

    def _key(self, name: str) -> str:
        return str(self._request.get(f"{name}_key") or PARAMETERS[name])

    def _rendered(self, field: str, values: Mapping[str, str]) -> dict[str, str]:
        """A table of templates, names and values."""
        table = self._request.get(field)
        items = table.items() if isinstance(table, Mapping) else ()
        return {rendered(str(name), values, field): rendered(str(value), values, field) for name, value in items}

    def _web_address(self, field: str, values: Mapping[str, str]) -> str:
        url = rendered(str(self._request[field]), values, field).strip()
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s\\]", url):
            raise ConfigError(f"the {field} of the consent is no web address: {url[:200]}", hint="Correct it.")
        return url


def flow_of(manifest: Mapping[str, Any]) -> ConsentFlow:
    """The consent of a manifest, resolved or not. `ConfigError` where it describes none."""
    spec = References(manifest).resolve(manifest.get("spec"), "spec")
    value = value_at(spec, ["advanced_auth", "oauth_config_specification"]) if isinstance(spec, dict) else None
    return ConsentFlow(value if isinstance(value, Mapping) else {})


def path_in_config(described: Mapping[str, Any], name: str) -> list[str]:
    path = described.get("path_in_connector_config")
    return [str(part) for part in path] if isinstance(path, list) and path else [name]


def plain(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The members that are texts or numbers."""
    for name, value in values.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            yield name, value


def joined(request: Mapping[str, Any], field: str) -> str:
    """A list of scopes as one text."""
    scopes = request.get(field)
    names = [str(item.get("scope") if isinstance(item, Mapping) else item) for item in scopes or ()]
    return JOINED_BY.get(str(request.get("scopes_join_strategy")), " ").join(names)


def rendered(text: str, values: Mapping[str, str], place: str) -> str:
    """A template with values. `ConfigError` for a malformed one, and for a name without a value."""
    from jinja2 import TemplateError, meta

    sandbox = consent_environment()
    try:
        start_rendering()
        while (nested := NESTED.search(text)) and nested[2] in FILTERS:
            inner = FILTERS[nested[2]](rendered(nested[1].strip(), values, place))
            text = text[: nested.start()] + inner + text[nested.end() :]
        missing = meta.find_undeclared_variables(sandbox.parse(text)) - values.keys()
        if missing:
            raise ConfigError(
                f"the {place} of the consent names {', '.join(sorted(missing))}, and there is no such value",
                hint=f"It may name {', '.join(f'{name}_value' for name in PARAMETERS)}, and inputs.",
            )
        return render_text(sandbox.from_string(text), dict(values))
    except (TemplateError, TypeError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        fact = getattr(error, "message", None) or error  # as a text, an error of syntax has lines of a traceback
        raise ConfigError(
            f"the {place} of the consent is a template that fails: {fact}", hint="Correct the template."
        ) from error
