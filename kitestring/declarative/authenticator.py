"""Authenticators with fixed credentials, and the choice between several."""

from __future__ import annotations

import hashlib
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from weakref import WeakValueDictionary

from kitestring import json_codec
from kitestring.declarative.datetime_format import Months, parse_duration
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.manifest import PARAMETERS
from kitestring.declarative.request_option import WITH_BODY, RequestOption
from kitestring.declarative.slice import Slice
from kitestring.errors import AuthError, ConfigError
from kitestring.http import Request, Response
from kitestring.paths import value_at

Home = Callable[[], str]
"""Gives the base address of the API that the authenticator's requester calls."""


def inject(request: Request, place: str, path: Sequence[str], value: str) -> None:
    """Put a credential into a request before it is sent. A path of several names leads into the JSON body."""
    name = path[-1]
    if place == "header":
        request.headers[name] = value
    elif place == "request_parameter":
        if value not in parse_qs(urlsplit(request.url).query).get(name, ()):
            request.params[name] = value
    elif request.method in WITH_BODY:
        if place == "body_json":
            request.json = with_value(request.json, path, value)
        else:
            request.form = {**(request.form or {}), name: value}


def with_value(body: Any, path: Sequence[str], value: str) -> dict[str, Any]:
    """A JSON body with a value set at a path; its other values stay."""
    name, *rest = path
    fields = dict(body) if isinstance(body, Mapping) else {}
    return {**fields, name: with_value(fields.get(name), rest, value) if rest else value}


class FixedCredential:
    """One credential in one place, computed once."""

    def __init__(self, place: str, path: Sequence[str], value: Callable[[], str]) -> None:
        self.place, self.path = place, path
        self._value = value
        self.secrets: tuple[str, ...] = ()

    def apply(self, request: Request) -> None:
        value = self._value()
        if not self.secrets:
            self.secrets = (value.removeprefix("Bearer ").removeprefix("Basic "),)
        inject(request, self.place, self.path, value)

    def refresh(self, response: Response) -> bool:
        return False


@keyword("NoAuth")
class NoAuth:
    """No credentials."""

    def __init__(self, node: Node, **_: Any) -> None: ...

    def apply(self, request: Request) -> None: ...

    def refresh(self, response: Response) -> bool:
        return False


@keyword("BearerAuthenticator")
class BearerAuthenticator(FixedCredential):
    """`Authorization: Bearer`, with the token as a template."""

    def __init__(self, node: Node, **_: Any) -> None:
        token = node.needed_text("api_token", types=(str,))
        super().__init__("header", ("Authorization",), lambda: f"Bearer {token({})}")


@keyword("BasicHttpAuthenticator")
class BasicHttpAuthenticator(FixedCredential):
    """`Authorization: Basic` of a user name and a password."""

    def __init__(self, node: Node, **_: Any) -> None:
        user, password = node.needed_text("username", types=(str,)), node.text("password", "", types=(str,))
        super().__init__(
            "header", ("Authorization",), lambda: "Basic " + b64encode(f"{user({})}:{password({})}".encode()).decode()
        )


@keyword("ApiKeyAuthenticator")
class ApiKeyAuthenticator(FixedCredential):
    """A key in a header, a parameter or the body."""

    def __init__(self, node: Node, **_: Any) -> None:
        token = node.text("api_token", "", types=(str,))
        place, path = key_place(node)
        super().__init__(place, path, lambda: str(token({})))


def key_place(node: Node) -> tuple[str, Sequence[str]]:
    """The place and path of `inject_into`, or the header of the older spelling."""
    option, header = node.get("inject_into"), node.get("header")
    if (option is None) == (header is None):
        raise node.error("needs either `inject_into` or `header`")
    if option is None:
        return "header", (str(node.constant("header", types=(str,))),)
    built = RequestOption(node.typed(option, "inject_into", "RequestOption"))
    return built.place, built.path


@keyword("SelectiveAuthenticator")
class SelectiveAuthenticator:
    """Builds one of several authenticators, chosen by a value of the configuration."""

    def __new__(cls, node: Node, **arguments: Any) -> Any:
        path = [str(part) for part in node.items("authenticator_selection_path")]
        chosen = value_at(node.config, path)
        choices = node.mapping("authenticators")
        if chosen is None:
            raise ConfigError(
                f"the configuration has no {'.'.join(path)}, which chooses how to authenticate",
                hint=f"Set it to one of {', '.join(map(str, choices))}.",
            )
        if str(chosen) not in choices:
            raise ConfigError(
                f"{'.'.join(path)} is {str(chosen)!r}, the manifest has {', '.join(map(str, choices))}",
                hint="Choose one of these.",
            )
        return node.at(choices[str(chosen)], f"authenticators.{chosen}").build(**arguments)


class SharedToken:
    """A token that all authenticators of one credential share. `lock` is held while the token is fetched."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.text: str | None = None
        self.until = 0.0
        self.refresh: str | None = None
        """The valid refresh token, where each can be used once."""
        self.spent: str | None = None
        """The refresh token that was spent to get it."""
        self.expires: datetime | None = None
        self.key: str | None = None
        """The name of the credential for a `CredentialStore`: that of its first refresh token."""

    @property
    def valid(self) -> bool:
        return self.text is not None and time.monotonic() < self.until


class RenewedToken:
    """Fetches a token when it is needed, has expired or was refused. One thread fetches at a time.

    Authenticators with the same `identity` share the token: fetching one may invalidate the one before.
    """

    place: str = "header"
    path: Sequence[str] = ("Authorization",)

    def __init__(self) -> None:
        self.secrets: tuple[str, ...] = ()
        self._own = SharedToken()
        self._shared: SharedToken | None = None
        self._thread = threading.local()

    def identity(self) -> tuple[Any, ...] | None:
        """Equal for all authenticators of one credential; None for an authenticator that shares no token."""
        return None

    def fetch(self) -> tuple[str, float | None]:
        """A new token and its lifetime in seconds (None: until it is refused)."""
        raise NotImplementedError

    def header_value(self, token: str) -> str:
        return f"Bearer {token}"

    @property
    def current(self) -> SharedToken:
        if self._shared is None:
            identity = self.identity()
            self._shared = self._own if identity is None else shared_token(identity, self._own)
        return self._shared

    def token(self) -> str:
        current = self.current
        with current.lock:
            if not current.valid:
                self._renew()
            assert current.text is not None
            self._adopt(current)
            return current.text

    def _renew(self) -> None:
        text, seconds = self.fetch()
        self.current.text = text
        self.current.until = time.monotonic() + seconds if seconds is not None else float("inf")

    def _adopt(self, current: SharedToken) -> None:
        """Remember a token that this authenticator or another has fetched, so that it is masked."""
        if current.text and current.text not in self.secrets:
            self.secrets = (*self.secrets[-4:], current.text)

    def apply(self, request: Request) -> None:
        self._thread.token = token = self.token()
        inject(request, self.place, self.path, self.header_value(token))

    def refresh(self, response: Response) -> bool:
        """Fetch a new token, unless another thread did since this thread's request was sent."""
        current = self.current
        with current.lock:
            if current.text is None or current.text == getattr(self._thread, "token", current.text):
                self._renew()
            self._adopt(current)
        return True


_TOKENS: WeakValueDictionary[str, SharedToken] = WeakValueDictionary()
_TOKENS_LOCK = threading.Lock()


def shared_token(identity: tuple[Any, ...], own: SharedToken) -> SharedToken:
    """The shared token of a credential in this process; `own` where there is none yet."""
    with _TOKENS_LOCK:
        return _TOKENS.setdefault(digest_of(identity), own)


def share_as(identity: tuple[Any, ...], token: SharedToken) -> None:
    """Share a token under a second identity: that of its valid refresh token."""
    with _TOKENS_LOCK:
        _TOKENS[digest_of(identity)] = token


def digest_of(identity: tuple[Any, ...]) -> str:
    return hashlib.sha256(json_codec.dumps(list(identity))).hexdigest()


@keyword("SessionTokenAuthenticator")
class SessionTokenAuthenticator(RenewedToken):
    """Logs in with a request of its own and uses the token of the response for `expiration_duration`."""

    def __init__(self, node: Node, name: str = "", **_: Any) -> None:
        super().__init__()
        self._node = node
        self._login = node.needed_child("login_requester", "HttpRequester", name=f"{name} login")
        self._decoder = node.child("decoder", "JsonDecoder")
        self._path = [str(part) for part in node.items("session_token_path")]
        text = node.get("expiration_duration")
        try:
            self._length = parse_duration(text) if text else None
        except ValueError as error:
            raise node.error(str(error), "expiration_duration") from None
        use = node.at(node.need("request_authentication"), "request_authentication")
        self._template = None
        if use.type == "ApiKey":
            self.place, self.path = key_place(use)
            self._template = use.text("api_token", "{{ session_token }}", types=(str,))
        elif use.type != "Bearer":
            raise use.error(f"{use.type!r} is neither ApiKey nor Bearer", "type")

    def identity(self) -> tuple[Any, ...] | None:
        values = {name: value for name, value in self._node.values.items() if name != PARAMETERS}
        return "session", id(self._node.context), json_codec.dumps_text(values, sort_keys=True)

    def header_value(self, token: str) -> str:
        if self._template is None:
            return f"Bearer {token}"
        return str(self._template({"session_token": token}))

    def fetch(self) -> tuple[str, float | None]:
        response, _ = self._login.send(Slice())
        if response.status >= 400:
            raise AuthError("the login request was not accepted", hint="Check the credentials.", status=response.status)
        if self._decoder is not None:
            pages: Any = next(iter(self._decoder.bodies(response)), [{}])
            page = pages[0] if pages else {}
        else:
            page = response.json()
        token = value_at(page, self._path)
        if token is None or token == "":
            raise AuthError(
                f"the response to the login request has no {'.'.join(self._path)}", hint="Check the credentials."
            )
        if self._length is None:
            return str(token), 0.0
        length = self._length.rest if isinstance(self._length, Months) else self._length
        return str(token), length.total_seconds()


@keyword("Bearer")
class SessionTokenRequestBearerAuthenticator:
    """`type: Bearer` in `request_authentication`: the session token as a bearer token."""

    def __init__(self, node: Node, **_: Any) -> None: ...


@keyword("ApiKey")
class SessionTokenRequestApiKeyAuthenticator:
    """`type: ApiKey` in `request_authentication`: the session token where the manifest puts it."""

    def __init__(self, node: Node, **_: Any) -> None: ...


@keyword("LegacySessionTokenAuthenticator")
class LegacySessionTokenAuthenticator(RenewedToken):
    """The configured token while it is valid, else one obtained with user name and password (Metabase)."""

    def __init__(self, node: Node, home: Home = str, **_: Any) -> None:
        super().__init__()
        self._home = home
        self._connection = node.context.connection
        self.place, self.path = "header", (str(node.constant("header", types=(str,))),)
        self._text = {
            key: node.text(key, "", types=(str,))
            for key in (
                *("login_url", "validate_session_url", "session_token"),
                *("session_token_response_key", "username", "password"),
            )
        }

    def header_value(self, token: str) -> str:
        return token

    def fetch(self) -> tuple[str, float | None]:
        value = {key: str(text({})) for key, text in self._text.items()}
        base = self._connection.rebase_url(self._home(), self._home())
        session = self._connection.session()
        if value["session_token"] and self.current.text is None:
            try:
                session.request(
                    "GET", base + value["validate_session_url"], headers={self.path[0]: value["session_token"]}
                )
                return value["session_token"], None
            except AuthError:
                pass
        if not (value["username"] and value["password"]):
            raise AuthError(
                "the session token is not valid, and the configuration has no user name and password",
                hint="Give a new session token, or a user name and password.",
            )
        response = session.request(
            "POST", base + value["login_url"], json={"username": value["username"], "password": value["password"]}
        )
        token = value_at(response.json(), [value["session_token_response_key"]])
        if not token:
            raise AuthError(f"the response to the login has no {value['session_token_response_key']}")
        return str(token), 86_400.0
