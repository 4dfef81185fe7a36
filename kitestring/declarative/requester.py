"""`HttpRequester`: builds a request from templates and sends it with the stream's error handler."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from kitestring import activity, json_codec
from kitestring.declarative.error_handler import Actions, DefaultErrorHandler, ErrorPolicy
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.request_option import WITH_BODY, Options
from kitestring.declarative.slice import Slice
from kitestring.declarative.template import Context, Template
from kitestring.errors import ConfigError, KitestringError
from kitestring.http.message import Response

log = logging.getLogger("kitestring.declarative")

Token = Mapping[str, Any]
"""`{"next_page_token": value}`, as templates see it."""
TEXTS: tuple[type, ...] = (str, list)
Fill = Callable[[Context], Any]


def context_of(part: Slice, token: Token | None) -> dict[str, Any]:
    return {"stream_slice": part, "next_page_token": token, **part.extra_fields}


@keyword("HttpRequester")
class HttpRequester:
    """Sends the requests of one retriever. `cached`: responses are cached while the source is read."""

    def __init__(self, node: Node, name: str = "", cached: bool = False, verify: Any = None, **_: Any) -> None:
        self.node = node
        self.name = name
        self.connection = node.context.connection
        self._method = node.text("http_method", "GET", types=(str,))
        self._url, self._base, self._path = (node.text(part, "") for part in ("url", "url_base", "path"))
        if node.get("url") is None and node.get("url_base") is None:
            raise node.error("HttpRequester needs `url` or `url_base`")
        use_cache = node.get("use_cache")
        self.cached = use_cache is True or (cached and use_cache is not False)
        self.verify = verify
        self.handler = node.child("error_handler") or DefaultErrorHandler(node)
        self.policy = ErrorPolicy(self.handler, lambda text: self.connection.rename_host(text, self.home()))
        self.auth = node.child("authenticator", home=self.home, name=name)
        in_query = getattr(self.auth, "place", "") == "request_parameter"
        self.credential: str | None = str(self.auth.path[-1]) if in_query else None
        """The query parameter of the credentials."""
        self._session = (
            node.number("connect_timeout_in_seconds"),
            node.number("read_timeout_in_seconds"),
            node.flag("use_tcp_keepalive"),
        )
        self._params = text_fields(node, "request_parameters")
        self._headers = text_fields(node, "request_headers", types=None)
        self._form, self._json = self._bodies(node)
        self.property_key = next(
            (k for k, v in mapping_of(node, "request_parameters").items() if isinstance(v, Mapping)), ""
        )

    def _bodies(self, node: Node) -> tuple[Fill | None, Fill | None]:
        form, whole = node.get("request_body_data"), node.get("request_body_json")
        body = node.child("request_body")
        if body is not None:
            form, whole = body.form or form, body.json or whole
        if form and whole:
            raise node.error("`request_body_data` and `request_body_json` exclude each other")
        return (
            text_templates(node, form, "request_body_data") if form else None,
            fill_nested(node, whole, "request_body_json") if whole else None,
        )

    def home(self) -> str:
        """The API's base address, evaluated without a slice: its host is replaced by `base_url`. Empty if it depends on
        the slice."""
        context = context_of(Slice(), None)
        try:
            return str(self._base(context) or self._url(context) or self._path(context))
        except ConfigError:
            return ""

    def url(self, context: Context, path: str | None) -> str:
        """The address. `path` comes from the paginator, relative or absolute."""
        base = str(self._base(context)) or str(self._url(context))
        path = path or str(self._path(context)).lstrip("/")
        address = urljoin(base if base.endswith("/") else base + "/", path) if path else base
        base = base or address
        if not address.startswith(("http://", "https://")):
            raise ConfigError(
                f"stream {self.name}: the address {address!r} is not complete",
                hint="Check the configuration that the manifest builds its address from.",
            )
        return self.connection.rebase_url(address, base)

    def _replaced_host(self, context: Context) -> str:
        """The host that `base_url` replaces, if it depends on the slice: one server may serve several hosts."""
        if not self.connection.base_url:
            return ""
        host = urlsplit(str(self._base(context)) or str(self._url(context))).netloc
        return host if host != urlsplit(self.home()).netloc else ""

    def send(
        self,
        part: Slice,
        token: Token | None = None,
        extra: Options | None = None,
        path: str | None = None,
        stream: bool = False,
        extra_context: Mapping[str, Any] | None = None,
        properties: list[str] | None = None,
        fresh: bool = False,
    ) -> tuple[Any, str]:
        """The response and the error handler's action (`SUCCESS`, `IGNORE`, …). `fresh`: skip the cache."""
        context = context_of(part, token)
        if extra_context:
            context.update(extra_context)
        # The requester's options first, then credentials, then pages and partitions: Airbyte's order.
        options = Options()
        url = self.url(context, path)
        params = self._params(context)
        if isinstance(params, Mapping):
            options.add("request_parameter", params)
        headers = self._headers(context)
        if isinstance(headers, Mapping):
            options.add("header", headers)
        host = self._replaced_host(context)
        if host:
            options.headers.setdefault("X-Forwarded-Host", host)
        if properties is not None:
            options.add("request_parameter", {self.property_key: ",".join(properties)} if self.property_key else {})
        method = str(self._method(context)).upper()
        has_body = method in WITH_BODY
        if has_body:
            self._fill_body(options, context)
        if self.credential is not None:
            options.params.setdefault(self.credential, None)
        if extra is not None:
            options.join(extra)
        query = new_params(url, options.params)
        form: Any = options.form if has_body and options.form else None
        whole: Any = options.json if has_body and options.json and form is None else None
        body = form.encode() if isinstance(form, str) else None
        key = (method, url, json_codec.dumps([host, query, form, whole])) if self.cached and not stream else None
        if key is not None:
            cached = self.connection.cached(key)
            if cached is not None and not fresh:
                return cached, Actions.SUCCESS
        response = self.connection.session(*self._session).request(
            method,
            url,
            params=query,
            headers=options.headers,
            json=whole,
            form=form if body is None else None,
            body=body,
            stream=stream,
            policy=self.policy,
            auth=self.auth,
            verify=self.verify,
        )
        self.connection.clock.observe_date(response)
        action = Actions.SUCCESS
        if self.handler.special or response.status >= 400:
            resolution = self.handler.resolve(response)
            action = resolution.action
            if action == Actions.IGNORE:
                if response.status >= 400 or reports_error(response):
                    activity.omit(f"the response of {response.request_line} (status {response.status}) was ignored")
                log.warning(
                    "stream %s: ignored the response of %s (status %d): %s",
                    self.name,
                    response.request_line,
                    response.status,
                    (resolution.message and self.connection.rename_host(resolution.message, self.home()))
                    or "the manifest ignores this response",
                    extra={"stream": self.name, "status": response.status},
                )
        if key is not None and action == Actions.SUCCESS:
            return self.connection.cache(key, response), action
        return response, action

    def _fill_body(self, options: Options, context: Context) -> None:
        if self._form is not None:
            form = self._form(context)
            if isinstance(form, Mapping):
                options.add("body_data", form)
            elif form:
                options.form = str(form)
        if self._json is not None:
            whole = self._json(context)
            if isinstance(whole, Mapping):
                options.add("body_json", whole)
            elif isinstance(whole, str) and whole:
                raise self.node.error(f"is {whole!r:.80}, an object is expected", "request_body_json")
            elif whole:
                options.json = whole


@keyword("RequestBodyPlainText")
class RequestBodyPlainText:
    """A text as the body."""

    json: Any = None

    def __init__(self, node: Node, **_: Any) -> None:
        self.form = node.need("value")


@keyword("RequestBodyUrlEncodedForm")
class RequestBodyUrlEncodedForm(RequestBodyPlainText):
    """A form as the body."""


@keyword("RequestBodyJsonObject")
class RequestBodyJsonObject:
    """A JSON object as the body."""

    form: Any = None

    def __init__(self, node: Node, **_: Any) -> None:
        value = node.need("value")
        self.json = {k: v for k, v in value.items() if k != "type"} if isinstance(value, Mapping) else value


@keyword("RequestBodyGraphQL")
class RequestBodyGraphQL(RequestBodyJsonObject):
    """A GraphQL query with its variables as a JSON body."""


def new_params(url: str, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters that the address does not already have with the same value (links to next pages often do)."""
    query = urlsplit(url).query
    if not query:
        return params
    in_url = {k: v[0] for k, v in parse_qs(query).items()}
    return {k: v for k, v in params.items() if k not in in_url or str(v) != in_url[k]}


def mapping_of(node: Node, name: str) -> Mapping[str, Any]:
    value = node.get(name, {})
    return value if isinstance(value, Mapping) else {}


def text_fields(node: Node, name: str, types: tuple[type, ...] | None = TEXTS) -> Fill:
    return text_templates(node, node.get(name, {}), name, types)


def text_templates(node: Node, value: Any, name: str, types: tuple[type, ...] | None = TEXTS) -> Fill:
    """A flat object of templates, or a template for one. Values that render to nothing are dropped."""
    if isinstance(value, str):
        return node.template(value, types=None)
    if not isinstance(value, Mapping):
        raise node.error("is neither an object nor a text", name)
    pairs = [
        (node.template(str(k), types=(str,)), node.template(v, types=types, empty=None))
        for k, v in value.items()
        if not isinstance(v, Mapping)
    ]
    if all(k.constant and v.constant for k, v in pairs):
        filled: list[dict[str, Any]] = []

        def fill_once(context: Context) -> dict[str, Any]:
            if not filled:
                filled.append(fill_pairs(pairs, context))
            return filled[0]

        return fill_once
    return lambda context: fill_pairs(pairs, context)


def fill_pairs(pairs: list[tuple[Template, Template]], context: Context) -> dict[str, Any]:
    return {k(context): filled for k, v in pairs if (filled := v(context)) is not None}


def fill_nested(node: Node, value: Any, name: str) -> Fill:
    """An object of any depth whose texts are templates."""
    if isinstance(value, str):
        return node.template(value, empty=None if name != "request_body_json" else "")
    if isinstance(value, Mapping):
        pairs = [(node.template(str(k)), fill_nested(node, v, f"{name}.{k}")) for k, v in value.items()]
        return lambda context: {k(context): filled for k, v in pairs if (filled := v(context)) is not None}
    if isinstance(value, list):
        parts = [fill_nested(node, v, f"{name}[{i}]") for i, v in enumerate(value)]
        return lambda context: [part(context) for part in parts]
    return lambda _: value


def reports_error(response: Response) -> bool:
    """Whether a response that is no HTTP error says in its body that something was refused."""
    try:
        body = response.json()
    except KitestringError:
        return False
    return isinstance(body, Mapping) and (bool(body.get("error") or body.get("errors")) or body.get("ok") is False)
