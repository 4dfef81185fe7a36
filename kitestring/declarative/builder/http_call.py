"""One HTTP call that somebody made, by cURL or in a browser, as the plan of a stream: its credentials become inputs."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kitestring import json_codec
from kitestring.declarative.builder import paging
from kitestring.declarative.builder.manifest_plan import (
    Input,
    ManifestPlan,
    StreamPlan,
    api_key_authenticator,
    config_template,
    literal_text,
    literal_value,
    snake,
    title_of,
)
from kitestring.errors import ConfigError
from kitestring.http.message import is_form
from kitestring.redact import is_credential

UNNAMED = "Untitled connector"
BROWSER_HEADERS = frozenset(
    {
        *("host", "connection", "content-length", "accept-encoding", "accept-language", "user-agent", "origin"),
        *("referer", "pragma", "cache-control", "dnt", "te", "upgrade-insecure-requests", "priority"),
        *("if-none-match", "if-modified-since", "expect", "transfer-encoding", "proxy-connection", "range"),
    }
)
"""Headers that belong to a client or a connection, not to the API."""
TOKEN = re.compile(
    r"eyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]+)?"
    r"|(?:gh[pousr]_|[a-z]{3,10}_pat_|sk-|sk_live_|sk_test_|rk_live_|xox[abeoprs]-|glpat-|shpat_|shpss_|AKIA|ASIA|AIza|ya29\."
    r"|pat-|ntn_|secret_|lin_api_|lin_oauth_|SG\.|dop_v1_|hf_|npm_|pypi-|phc_|phx_|figd_|NRAK-|rzp_live_|whsec_)"
    r"[\w.-]{10,}"
)
"""Matches tokens of well-known kinds, anywhere in a text."""
VARIABLE = re.compile(r"\$\{?[A-Za-z_]\w*\}?|<[A-Za-z][\w -]*>|\{\{?\s*[A-Za-z_][\w ]*\}?\}|YOUR[_-]\w+", re.ASCII)
"""A placeholder of a documentation in place of a credential."""
PAGING_NAMES = frozenset({*paging.CURSOR_NAMES, *paging.PAGE_NAMES, *paging.OFFSET_NAMES, *paging.SIZE_NAMES})


@dataclass(slots=True)
class HttpCall:
    """A call: headers in order, the body as text. `user`: a pair of basic authentication, as cURL's `-u` has it."""

    method: str
    url: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""
    user: str | None = None

    def header(self, wanted: str) -> str:
        return next((value for name, value in self.headers if name.lower() == wanted), "")


def origin_of(url: str) -> str:
    """`https://host` of an address, without user and password. `ConfigError` for one that is no address of HTTP."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise not_an_address(url) from None
    if (
        parts.scheme.lower() not in ("http", "https")
        or not parts.hostname
        or re.search(r"[\s\"'<>\\^`{|}]", parts.netloc)
    ):
        raise not_an_address(url)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme.lower()}://{host}" + (f":{port}" if port is not None else "")


def name_of(origin: str) -> str:
    """What a connector of an address is called at first: the host. A number is no name, nor is this machine."""
    host = str(urlsplit(origin).hostname)
    is_number = ":" in host or re.fullmatch(r"[\d.]+", host) is not None
    return UNNAMED if is_number or host == "localhost" or host.endswith(".localhost") else host


def not_an_address(url: str) -> ConfigError:
    shown = url.partition("?")[0].rpartition("@")[2][:100]
    return ConfigError(
        f"{shown!r} is not an address of HTTP",
        hint="Use the full address of a list, such as https://api.example.com/v1/things.",
    )


class CallReader:
    """Adds calls to a manifest's plan. A credential that several calls share becomes one input."""

    def __init__(self, plan: ManifestPlan) -> None:
        self.plan, self.notes = plan, list[str]()
        self._inputs: dict[str, str] = {}  # value → the input that has it
        self._authenticators: dict[str, dict[str, Any]] = {}

    def stream(self, call: HttpCall) -> StreamPlan:
        """The plan of a stream that makes this call."""
        parts = urlsplit(call.url)
        origin = origin_of(call.url)
        if parts.username and call.user is None:
            call.user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        auth = self._authenticator(call)
        path = self._hidden(unquote(parts.path)).lstrip("/")
        plan = StreamPlan(name_of_path(parts.path), path, call.method.upper())
        plan.url_base = "" if origin == self.plan.url_base else origin
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name == auth.query:
                continue
            shown = self._parameter(name, value)
            before = plan.parameters.get(name)
            plan.parameters[name] = (
                shown if before is None else [*([before] if isinstance(before, str) else before), shown]
            )
        self._add_headers(plan, call, auth)
        self._add_body(plan, call)
        if plan.method == "GET":
            recognise_paging(plan, self.notes)
        if auth.values is not None:
            if self.plan.authenticator is None:
                self.plan.authenticator = auth.values
            elif self.plan.authenticator != auth.values:
                plan.authenticator = auth.values
        return plan

    def _authenticator(self, call: HttpCall) -> Authentication:
        if call.user is not None:
            return Authentication(self._basic(call.user), header="authorization")
        text = call.header("authorization")
        if text:
            scheme, _, value = text.partition(" ")
            if scheme.lower() == "bearer" and value.strip():
                template = self._secret("api_token", "API token", value.strip())
                return Authentication({"type": "BearerAuthenticator", "api_token": template}, header="authorization")
            if scheme.lower() == "basic" and (pair := decoded_pair(value)) is not None:
                return Authentication(self._basic(pair), header="authorization")
            if value and re.fullmatch(r"[A-Za-z][\w-]*", scheme):
                template = f"{scheme} {self._secret('api_token', 'API token', value.strip())}"
            else:
                template = self._secret("api_key", "API key", text.strip())
            return Authentication(api_key_authenticator(template, "header", "Authorization"), header="authorization")
        for name, value in call.headers:
            if is_secret_header(name, value) and name.lower() != "cookie":
                template = self._secret("api_key", "API key", value.strip())
                return Authentication(api_key_authenticator(template, "header", name), header=name.lower())
        for name, value in parse_qsl(urlsplit(call.url).query, keep_blank_values=True):
            if is_secret_parameter(name, value):
                template = self._secret("api_key", "API key", value)
                return Authentication(api_key_authenticator(template, "request_parameter", name), query=name)
        if cookie := call.header("cookie"):
            self.notes.append(
                "The call signs in by a cookie, which ends with the session of the browser that it is of."
            )
            template = self._secret("cookie", "Cookie", cookie)
            return Authentication(api_key_authenticator(template, "header", "Cookie"), header="cookie")
        return Authentication(None)

    def _basic(self, pair: str) -> dict[str, Any]:
        user, _, password = pair.partition(":")
        username = self._input("username", "User name", user, secret=not password)
        return {
            "type": "BasicHttpAuthenticator",
            "username": username,
            **({"password": self._secret("password", "Password", password)} if password else {}),
        }

    def _secret(self, name: str, title: str, value: str) -> str:
        return self._input(name, title, value, secret=True)

    def _input(self, name: str, title: str, value: str, *, secret: bool) -> str:
        """The template of the input with this value. A placeholder becomes an input without a value."""
        known = self._inputs.get(value)
        if known is None:
            placeholder = VARIABLE.fullmatch(value) is not None
            wanted = Input(name, title, secret=secret, value=None if placeholder else value)
            known = self._inputs[value] = self.plan.add_input(wanted)
        return config_template(known)

    def secrets(self) -> list[str]:
        """The values of secret inputs, which must not be in the manifest."""
        return [str(item.value) for item in self.plan.inputs.values() if item.secret and item.value]

    def _hidden(self, text: str) -> str:
        """A text as a template, with all that looks like a token, or is one that is known, replaced by inputs."""
        pieces: list[str] = []
        end = 0
        for start, stop in sorted(self._tokens_in(text)):
            if start < end:
                continue
            pieces += [literal_text(text[end:start]), self._secret("token", "Token", text[start:stop])]
            end = stop
        return "".join([*pieces, literal_text(text[end:])])

    def _tokens_in(self, text: str) -> Iterator[tuple[int, int]]:
        for match in TOKEN.finditer(text):
            yield match.span()
        for value in self.secrets():
            place = text.find(value) if len(value) >= 4 else -1
            while place >= 0:
                yield place, place + len(value)
                place = text.find(value, place + 1)

    def _parameter(self, name: str, value: str) -> str:
        if is_secret_parameter(name, value):
            return self._secret(snake(name) or "api_key", title_of(name), value)
        return self._hidden(value)

    def _add_headers(self, plan: StreamPlan, call: HttpCall, auth: Authentication) -> None:
        for name, value in call.headers:
            lower = name.lower()
            if lower in BROWSER_HEADERS or lower.startswith(("sec-", ":", "x-forwarded-")) or lower == auth.header:
                continue
            if (lower, value.strip()) in (("accept", "*/*"), ("accept", "")):
                continue
            if lower == "content-type" and (not call.body or is_json(value) or is_form(value)):
                continue
            if is_secret_header(name, value):
                plan.headers[name] = self._secret(snake(name), title_of(name), value)
            else:
                plan.headers[name] = self._hidden(value)

    def _add_body(self, plan: StreamPlan, call: HttpCall) -> None:
        kind = call.header("content-type")
        if not call.body:
            return
        if is_form(kind) or (not kind and not call.body.lstrip().startswith(("{", "["))):
            pairs = parse_qsl(call.body, keep_blank_values=True)
            if pairs:
                plan.body_form = {literal_text(name): self._parameter(name, value) for name, value in pairs}
                return
        try:
            values = json_codec.loads(call.body)
        except json_codec.JsonError:
            self.notes.append("The body of the call is neither JSON nor a form; it is left out.")
            return
        if isinstance(values, dict):
            plan.body_json = self._body_value(values)
        else:
            self.notes.append("The body of the call is JSON, but no object; it is left out.")

    def _body_value(self, value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            return self._parameter(name, value)
        if isinstance(value, dict):
            return {literal_text(key): self._body_value(inner, key) for key, inner in value.items()}
        return [self._body_value(inner, name) for inner in value] if isinstance(value, list) else literal_value(value)


@dataclass(slots=True)
class Authentication:
    """The authenticator of a call, and the header or parameter that it replaces."""

    values: dict[str, Any] | None
    header: str = ""
    query: str = ""


def decoded_pair(text: str) -> str | None:
    try:
        pair = base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return pair if ":" in pair else None


def is_secret_header(name: str, value: str) -> bool:
    return bool(value.strip()) and (
        is_credential(name) or TOKEN.search(value) is not None or snake(name).endswith(("_token", "_key", "_secret"))
    )


def is_secret_parameter(name: str, value: str) -> bool:
    """Whether a parameter or a field of a body holds a credential. The token of a page does not count."""
    if not value or paging.plain_name(name) in PAGING_NAMES:
        return False
    return is_credential(name) or is_credential(snake(name)) or TOKEN.fullmatch(value) is not None


def is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


VERBS = ("search", "list", "query", "find", "filter", "export", "get", "all")


def name_of_path(path: str) -> str:
    """The name of a stream by its path: the last word of it that is no verb (`tickets/search`)."""
    words = [snake(part.partition(".")[0]) for part in unquote(path).split("/")]
    named = [word for word in words if word and not is_identifier(word) and not re.fullmatch(r"v\d+|api|rest", word)]
    while len(named) > 1 and named[-1] in VERBS:
        named.pop()
    return named[-1][:60] if named else "records"


def is_identifier(part: str) -> bool:
    """Whether a part of a path is the id of something: a number, a UUID, or what looks like a token."""
    plain = part.replace("-", "").replace("_", "")
    return (
        part.isdigit()
        or TOKEN.fullmatch(part) is not None
        or (len(plain) >= 16 and any(map(str.isdigit, plain)) and any(map(str.isalpha, plain)))
    )


def recognise_paging(plan: StreamPlan, notes: list[str]) -> None:
    """Take paging parameters of the call out of it and into a paginator, where their names say enough."""
    names = list(plan.parameters)
    page_name = paging.parameter(names, paging.PAGE_NAMES)
    offset_name = paging.parameter(names, paging.OFFSET_NAMES)
    place = page_name or offset_name
    start = plan.parameters.get(place, "")
    if not place or not isinstance(start, str) or not (start.isdecimal() and len(start) < 10):
        return
    del plan.parameters[place]
    # The size of a page stays a parameter: the API may grant less, and a read would end with the first page.
    if page_name:
        plan.paginator = paging.by_page(page_name, min(int(start), 1))
    else:
        plan.paginator = paging.by_offset(offset_name)
    notes.append(f"{plan.name}: the parameter {place} was taken as its paging. A test read shows whether it is.")
