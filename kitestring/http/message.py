"""A request before it is sent, and the response to it."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from kitestring import json_codec
from kitestring.errors import ConnectorError, TransientError

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

LARGEST_MB = 128
FIRST_BYTES = 4096
"""Bytes that are kept of an answer that could not be read."""
EXCERPT = 200
"""The length of a vendor's message in an error."""


def is_form(content_type: str) -> bool:
    """Whether a Content-Type, with or without a charset, is that of a form."""
    return content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"


class UnreadableError(ConnectorError):
    """A page that arrived whole and cannot be read. The call is repeated once."""


class Request:
    """One attempt of a call. `Auth.apply` may change everything but the method before it is sent.

    At most one of `json`, `form` and `body` is set. In `params` and `form` a list repeats its key, None is left out and
    a boolean is `true` or `false`.
    """

    __slots__ = ("body", "form", "headers", "json", "method", "params", "url")

    def __init__(
        self,
        method: str,
        url: str,
        params: dict[str, Any],
        headers: dict[str, str],
        json: Any = None,
        form: dict[str, Any] | None = None,
        body: bytes | None = None,
    ) -> None:
        self.method = method
        self.url = url
        self.params = params
        self.headers = headers
        self.json = json
        self.form = form
        self.body = body

    @property
    def path(self) -> str:
        """The path of the address, without the query: usually what a budget's `matches` checks."""
        rest = self.url.split("://", 1)[-1].partition("/")[2]
        return "/" + rest.partition("?")[0].partition("#")[0]

    def target(self) -> str:
        """The address with its query."""
        if not self.params:
            return self.url
        query = encode_query(self.params)
        if not query:
            return self.url
        return self.url + ("&" if "?" in self.url else "?") + query

    def content(self) -> bytes | None:
        """The body as bytes; sets the Content-Type where none is set."""
        if self.json is not None:
            self.headers.setdefault("Content-Type", "application/json")
            return json_codec.dumps(self.json)
        if self.form is not None:
            self.headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            return encode_query(self.form).encode()
        return self.body


def encode_query(params: Mapping[str, Any]) -> str:
    """A query string."""
    pairs: list[tuple[str, Any]] = []
    for key, value in params.items():
        if value is None:
            continue
        if isinstance(value, list | tuple):
            pairs.extend((key, plain(item)) for item in value)
        else:
            pairs.append((key, plain(value)))
    return urlencode(pairs, quote_via=quote)


def plain(value: Any) -> Any:
    return ("true" if value else "false") if isinstance(value, bool) else value


class Response:
    """A response. Header names compare without case; `body` is decoded from gzip or deflate.

    The body of a streamed response is read on demand: `chunks()` once, or `body` whole.
    """

    __slots__ = ("_body", "_json", "_raw", "derived", "elapsed_s", "headers", "method", "status", "url")

    def __init__(
        self, method: str, url: str, raw: BaseHTTPResponse, elapsed_s: float, body: bytes | None = None
    ) -> None:
        """Without `body` it is a streamed response."""
        self.method = method
        self.url = url
        self.status: int = raw.status
        self.headers: Mapping[str, str] = raw.headers
        self.elapsed_s = elapsed_s
        self._raw = raw
        self._body = body
        self._json: Any = _UNREAD
        self.derived: Any = None
        """A value that a policy derived from the response, kept so that it is derived once."""

    @property
    def body(self) -> bytes:
        if self._body is None:
            self._body = join_limited(self.chunks(), self.request_line)
        return self._body

    @property
    def text(self) -> str:
        """The body as text, in the charset the server names (UTF-8 without one)."""
        return self.body.decode(charset_of(self.headers) or "utf-8", "replace")

    def json(self) -> Any:
        """The decoded body, decoded once. `UnreadableError` for a page that is no JSON."""
        if self._json is _UNREAD:
            self._json = page_of(self.body, self.headers, f"{self.request_line} answered {self.status}", self.status)
        return self._json

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        """The body in chunks of about `size` bytes. `TransientError` where the connection breaks."""
        if self._body is not None:
            for start in range(0, len(self._body), size):
                yield self._body[start : start + size]
            return
        import urllib3

        try:
            yield from self._raw.stream(size, decode_content=True)
        except urllib3.exceptions.DecodeError as error:
            raise undecodable_error(self.request_line, self.headers) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransientError(f"{self.request_line} broke off while its answer was read: {error}") from error
        finally:
            self.close()

    def close(self) -> None:
        """Return the connection to its pool; close one that was not read to its end."""
        if self._body is None:
            self._raw.close()
        self._raw.release_conn()

    @property
    def request_line(self) -> str:
        """Method and address for a message, without the query, which often holds credentials."""
        return f"{self.method} {self.url.partition('?')[0]}"

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.request_line}>"


def charset_of(headers: Mapping[str, str]) -> str:
    """The charset in a response's Content-Type, by Python's name; empty where there is none."""
    for part in headers.get("content-type", "").split(";")[1:]:
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "charset":
            try:
                return codecs.lookup(value.strip("\"' ")).name
            except LookupError:
                return ""
    return ""


def page_of(body: bytes, headers: Mapping[str, str], answer: str, status: int = 200) -> Any:
    """The value of a JSON page. JSON is UTF-8 (or UTF-16, -32) whatever its header says (RFC 8259); the charset of the
    header is for a page that is no UTF-8. The error does not contain the page, since it is logged."""
    try:
        return json_codec.loads(body)
    except json_codec.JsonError as error:
        reason = error
    charset = charset_of(headers)
    if charset not in ("", "utf-8", "ascii"):
        try:
            return json_codec.loads(body.decode(charset))
        except (json_codec.JsonError, UnicodeDecodeError):
            pass
    kind = headers.get("content-type", "no content type")
    what = f"not JSON ({reason})" if body.strip() else "empty, JSON is expected"
    raise UnreadableError(
        f"{answer} with {kind} of {len(body):,} bytes that is {what}",
        hint="Check the address: a login page or a proxy may answer in its place.",
        status=status,
    ) from None


def undecodable_error(request_line: str, headers: Mapping[str, str]) -> UnreadableError:
    encoding = headers.get("content-encoding", "no Content-Encoding")
    return UnreadableError(
        f"{request_line} answers with content-encoding {encoding}, and its body is not packed so",
        hint="A proxy may change the answer; report it to the API's vendor otherwise.",
    )


def largest_bytes() -> int:
    """The largest body that is read into memory at once."""
    return int(float(os.environ.get("KITESTRING_LARGEST_RESPONSE_MB") or LARGEST_MB) * 1024 * 1024)


def read_body(raw: BaseHTTPResponse, request_line: str, chunks: list[bytes] | None = None) -> bytes:
    """The decoded body. `ConnectorError` for one that is too large, before all of it is in memory.

    `chunks` gets the parts of the body as they come: what is in it after an error is what had come until then.
    """
    length = raw.headers.get("content-length", "")
    small = length.isdigit() and int(length) <= largest_bytes()
    if small and "content-encoding" not in raw.headers and chunks is None:
        return raw.data
    try:
        if chunks is not None:  # the first part is small: of an answer that breaks off, so much is known
            chunks.append(raw.read(FIRST_BYTES, decode_content=True))
        if length.isdigit() and not small:
            raise too_large_error(request_line)
        return join_limited(raw.stream(1 << 20, decode_content=True), request_line, chunks)
    except ConnectorError:
        raw.close()
        raise


def join_limited(parts: Iterable[bytes], request_line: str, chunks: list[bytes] | None = None) -> bytes:
    chunks = [] if chunks is None else chunks
    size, most = sum(map(len, chunks)), largest_bytes()
    for part in parts:
        chunks.append(part)
        size += len(part)
        if size > most:
            raise too_large_error(request_line)
    return b"".join(chunks)


def too_large_error(request_line: str) -> ConnectorError:
    return ConnectorError(
        f"{request_line} answers with more than {largest_bytes() / 1024 / 1024:.3g} MB at once",
        hint="Ask for smaller pages, or set KITESTRING_LARGEST_RESPONSE_MB if the memory is there.",
    )


_UNREAD = object()


def origin(url: str) -> str:
    """`https://host:port` of an absolute address."""
    end = url.find("/", url.find("://") + 3)
    return (url if end < 0 else url[:end]).partition("?")[0]
