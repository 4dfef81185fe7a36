"""The requests of a test read and their answers, recorded with secrets masked, each as a line of cURL too."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from kitestring import json_codec
from kitestring.declarative.builder.excerpt import Excerpt
from kitestring.errors import KitestringError
from kitestring.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from kitestring.declarative.source import DeclarativeSource
    from kitestring.http import Auth, Request, Response

FORM = "application/x-www-form-urlencoded"
NOT_SHOWN = "(a stream, not shown)"
"""The response of an exchange whose body is read in chunks."""
NOT_IN_CURL = frozenset({"accept-encoding", "content-length", "host", "user-agent"})
"""Headers that cURL sets itself, or that would make its output unreadable."""


@dataclass(slots=True)
class Exchange:
    """An attempt of a request with its response. JSON bodies are decoded; secrets are masked.

    `curl`: the request as a line for a shell. An answer that broke off has its status, its headers and its first bytes
    beside the error.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: Any
    status: int = 0
    response_headers: dict[str, str] = field(default_factory=dict)
    response: Any = None
    error: str = ""
    ms: float = 0.0
    curl: str = ""

    def as_curl(self) -> str:
        """The request as a line for a shell, with what is masked masked."""
        words = ["curl"]
        if self.method != ("GET" if self.body is None else "POST"):
            words += ["-X", self.method]
        words.append(shlex.quote(self.url))
        for name, value in self.headers.items():
            if name.lower() not in NOT_IN_CURL:
                words += ["-H", shlex.quote(f"{name}: {value}")]
        if self.body is not None:
            words += ["--data-raw", shlex.quote(self._content())]
        return " ".join(words)

    def _content(self) -> str:
        if isinstance(self.body, str):
            return self.body
        kind = next((value for name, value in self.headers.items() if name.lower() == "content-type"), "")
        if isinstance(self.body, Mapping) and kind.startswith(FORM):
            return urlencode(self.body, doseq=True, safe="*")
        return json_codec.dumps_text(self.body)


class ReadLimitError(KitestringError):
    """A limit of a test read is reached: `limit` is `pages` or `bytes`. Used only inside a test read."""

    def __init__(self, limit: str) -> None:
        super().__init__(f"the limit of {limit} is reached")
        self.limit = limit


class ExchangeRecorder:
    """Records every exchange of a source, masked.

    `most_pages` limits the answers of the slice that is read, 0 while none is; `most_bytes` the answers of the whole
    read. `before` is called before an exchange is recorded: the page before it is complete.
    """

    def __init__(self, source: DeclarativeSource, component: Any, mask: Redactor, most_bytes: int) -> None:
        self.most_pages = self.pages = self.bytes = 0
        self.before: Callable[[], None] = lambda: None
        self.excerpt = Excerpt(mask)
        self._most_bytes = most_bytes
        self._connection, self._mask = source.connection, mask
        self._requester = getattr(getattr(component, "retriever", None), "requester", None)
        self._exchanges: list[tuple[bool, Exchange]] = []
        self._connection.observe = self.record

    def hide(self) -> None:
        """Mask tokens that were obtained meanwhile too."""
        self._mask.hide(self._connection.secrets)

    def masked(self, text: str) -> str:
        """A text with all secrets masked that are known now."""
        self.hide()
        return self._mask.text(text)

    @property
    def full(self) -> bool:
        """Whether the limit of bytes is reached."""
        return self.bytes >= self._most_bytes

    def record(
        self, request: Request, response: Response | None, error: KitestringError | None, auth: Auth | None
    ) -> None:
        self.hide()
        self.before()
        # A stream with one requester is recognised by its authenticator; with several (jobs, two streams) all count.
        main = self._requester is None or auth is self._requester.auth
        if main and self.most_pages and error is None and response is not None and response.status < 400:
            if self.full:
                raise ReadLimitError("bytes")
            self.pages += 1
            if self.pages > self.most_pages:
                raise ReadLimitError("pages")
        exchange = Exchange(
            request.method,
            self._mask.url(request.target()),
            self._mask.headers(request.headers),
            self.excerpt.value(request.form, not main)
            if request.form is not None
            else self.excerpt.body(request.content(), not main),
        )
        if response is not None:
            exchange.status, exchange.ms = response.status, round(response.elapsed_s * 1000, 1)
            exchange.response_headers = self._mask.headers(dict(response.headers))
            if response._body is None:
                exchange.response = NOT_SHOWN
            else:
                self.bytes += len(response.body)
                exchange.response = self.excerpt.body(response.body, not main)
        if error is not None:
            exchange.error = self._mask.text(error.message)
        self._exchanges.append((main, exchange))

    def take(self) -> list[tuple[bool, Exchange]]:
        """The exchanges since the last call, masked with all that is known now; True for those that read a page."""
        noted, self._exchanges = self._exchanges, []
        self.hide()
        for _, exchange in noted:
            self.mask_exchange(exchange)
        return noted

    def mask_exchange(self, exchange: Exchange) -> None:
        """Mask an exchange that was recorded before a token in it was known."""
        exchange.url, exchange.error = self._mask.text(exchange.url), self._mask.text(exchange.error)
        exchange.headers = self._mask.headers(exchange.headers)
        exchange.response_headers = self._mask.headers(exchange.response_headers)
        exchange.body, exchange.response = self._mask.value(exchange.body), self._mask.value(exchange.response)
        exchange.curl = exchange.as_curl()
