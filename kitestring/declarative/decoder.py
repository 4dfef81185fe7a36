"""Decode the bytes of a response into the values for an extractor.

An unreadable part of a page (a line, a row) becomes a `Reject` instead of its value. A page that is unreadable as a
whole raises `UnreadableError`.
"""

from __future__ import annotations

import codecs
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any

from kitestring import json_codec
from kitestring.declarative.body_text import in_utf8, lines, text_of
from kitestring.declarative.csv_rows import csv_rows
from kitestring.declarative.keyword import Node, keyword
from kitestring.errors import ConfigError
from kitestring.http.message import UnreadableError, charset_of
from kitestring.types import Reject

RUN_LENGTH = 1000
"""Values of a streamed body per run."""
EXCERPT = 10_000
"""Characters of an unreadable line that its reject keeps."""
Chunks = Iterable[bytes]


def in_runs(items: Iterable[Any]) -> Iterator[list[Any]]:
    run: list[Any] = []
    for item in items:
        run.append(item)
        if len(run) >= RUN_LENGTH:
            yield run
            run = []
    if run:
        yield run


class Decoder:
    """`bodies(response)` yields lists of values. A `streamed` decoder reads the response in chunks.

    `charset` comes from the response's Content-Type, for bytes that are not in the expected encoding.
    """

    streamed = True

    def bodies(self, response: Any) -> Iterator[list[Any]]:
        yield from in_runs(self.values(response.chunks(), charset_of(response.headers)))

    def values(self, chunks: Chunks, charset: str = "") -> Iterator[Any]:
        raise NotImplementedError

    def doubt(self, response: Any) -> str:
        """Why a response without any value may be wrong (see `empty_page.doubt`); empty where it was an empty one."""
        return ""


@keyword("JsonDecoder")
class JsonDecoder(Decoder):
    """One JSON value; a top-level list gives its elements one by one. An empty page is an empty object."""

    streamed = False

    def __init__(self, node: Node | None = None, **_: Any) -> None: ...

    @staticmethod
    def verify(response: Any) -> None:
        """Raise for a page that is not JSON, so that it is requested again."""
        if response.status < 400 and not blank(response.body):
            response.json()

    def bodies(self, response: Any) -> Iterator[list[Any]]:
        if blank(response.body):
            yield [{}]
            return
        page = response.json()
        yield page if isinstance(page, list) else [page]

    def values(self, chunks: Chunks, charset: str = "") -> Iterator[Any]:
        text = b"".join(chunks)
        if not blank(text):
            page = load(text, charset)
            yield from page if isinstance(page, list) else [page]


def blank(body: bytes) -> bool:
    return not body or body.isspace()


def load(text: bytes, *charsets: str) -> Any:
    """Parse a JSON text in UTF-8, else in one of these charsets."""
    try:
        return json_codec.loads(text)
    except json_codec.JsonError as error:
        reason = error
    for charset in charsets:
        try:
            if charset not in ("", "utf-8"):
                return json_codec.loads(text.decode(charset))
        except (json_codec.JsonError, UnicodeDecodeError):
            continue
    raise UnreadableError(
        f"the response is not JSON: {reason}", hint="Check the address and the decoder of the manifest."
    ) from reason


@keyword("JsonlDecoder")
class JsonlDecoder(Decoder):
    """One JSON value per line. An unreadable line is a reject; blank lines are skipped."""

    def __init__(self, node: Node | None = None, **_: Any) -> None: ...

    def values(self, chunks: Chunks, charset: str = "") -> Iterator[Any]:
        for number, line in enumerate(lines(in_utf8(chunks, charset)), 1):
            if blank(line):
                continue
            try:
                value = load(line, charset)
            except UnreadableError as error:
                yield Reject({"line": excerpt(line)}, f"line {number} cannot be read: {error.__cause__}")
                continue
            if isinstance(value, dict | list):
                yield value
            else:
                yield Reject({"line": excerpt(line)}, f"line {number} is not an object")


def excerpt(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}… ({len(line):,} bytes)"


@keyword("IterableDecoder")
class IterableDecoder(Decoder):
    """One record per line: `{"record": line}`."""

    def __init__(self, node: Node | None = None, **_: Any) -> None: ...

    def values(self, chunks: Chunks, charset: str = "") -> Iterator[Any]:
        for number, line in enumerate(lines(in_utf8(chunks, charset)), 1):
            try:
                yield {"record": text_of(line, charset)}
            except UnicodeDecodeError as error:
                yield Reject({"line": excerpt(line)}, f"line {number} is not UTF-8: {error.reason}")


@keyword("CsvDecoder")
class CsvDecoder(Decoder):
    """CSV rows, named by the first row; the texts of `set_values_to_none` become null."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._encoding = encoding_of(node)
        delimiter = str(node.get("delimiter", ","))
        self._delimiter = delimiter.encode().decode("unicode_escape") if delimiter.startswith("\\") else delimiter
        self._nothing = frozenset(str(value) for value in node.items("set_values_to_none"))
        if len(self._delimiter) != 1:
            raise node.error(f"is {delimiter!r}, one character is expected", "delimiter")

    def values(self, chunks: Chunks, charset: str = "") -> Iterator[Any]:
        nothing = self._nothing
        for row in csv_rows(chunks, self._delimiter, self._encoding, charset):
            if nothing and isinstance(row, dict):
                row = {name: None if value in nothing else value for name, value in row.items()}
            yield row


@keyword("JsonItemsDecoder")
class JsonItemsDecoder(Decoder):
    """The items of one list inside a JSON value."""

    streamed = False

    def __init__(self, node: Node, **_: Any) -> None:
        self._path = str(node.need("items_path")).split(".")
        self._encoding = encoding_of(node)

    def values(self, chunks: Chunks, charset: str = "") -> Iterator[Any]:
        from kitestring.paths import value_at

        items = value_at(load(b"".join(chunks), self._encoding, charset), self._path, [])
        yield from items if isinstance(items, list) else []

    def doubt(self, response: Any) -> str:
        from kitestring.declarative import empty_page
        from kitestring.paths import value_at

        page = load(response.body, self._encoding, charset_of(response.headers))
        items = value_at(page, self._path)
        if isinstance(items, dict | str | int | float) and items:
            return f"has no list at `{'.'.join(self._path)}`"
        return empty_page.doubt([page], self._path, (), False, False)


@keyword("GzipDecoder")
class GzipDecoder(Decoder):
    """Decompresses gzip for another decoder; a body that is not compressed passes unchanged."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._inner: Decoder = node.needed_child("decoder", "JsonDecoder")

    def values(self, chunks: Chunks, charset: str = "") -> Iterator[Any]:
        yield from self._inner.values(decompress(chunks), charset)


def decompress(chunks: Chunks) -> Iterator[bytes]:
    """Decompress one or more gzip members. Raises `UnreadableError` for damaged or truncated data."""
    packed: Any = None
    rest = b""
    for chunk in chunks:
        rest += chunk
        if packed is None:
            if len(rest) < 2:
                continue
            packed = zlib.decompressobj(31) if rest[:2] == MAGIC else False
        if packed is False:
            yield rest
            rest = b""
            continue
        try:
            while rest:
                if packed.eof:
                    # Some programs pad a file with zeros; else another member follows.
                    rest = rest.lstrip(b"\0")
                    if len(rest) < 2:
                        break
                    packed = zlib.decompressobj(31)
                yield packed.decompress(rest)
                rest = packed.unused_data
        except zlib.error as error:
            raise UnreadableError(f"the gzip data is damaged: {error}") from error
    if packed and not packed.eof:
        raise UnreadableError("the gzip data ends in the middle")
    if packed and rest:
        raise UnreadableError("the gzip data is damaged: it ends with bytes that are not gzip")
    if rest:
        yield rest


MAGIC = b"\x1f\x8b"


@keyword("ZipfileDecoder")
class ZipfileDecoder(Decoder):
    """Unpacks a ZIP archive and decodes each file with another decoder."""

    streamed = False

    def __init__(self, node: Node, **_: Any) -> None:
        self._inner: Decoder = node.needed_child("decoder", "JsonDecoder")

    def values(self, chunks: Chunks, charset: str = "") -> Iterator[Any]:
        import zipfile

        try:
            with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as archive:
                for name in archive.namelist():
                    if not name.endswith("/"):
                        with archive.open(name) as file:
                            yield from self._inner.values(read_chunks(file), charset)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise UnreadableError(f"the response is not a readable ZIP archive: {error}") from error


def read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(65536):
        yield chunk


@keyword("XmlDecoder")
class XmlDecoder(Decoder):
    """XML as nested objects: attributes begin with `@`, text beside them is `#text`, repeated elements are a list."""

    streamed = False

    def __init__(self, node: Node | None = None, **_: Any) -> None: ...

    def values(self, chunks: Chunks, charset: str = "") -> Iterator[Any]:
        text = b"".join(chunks)
        if not text.strip():
            yield {}
            return
        yield xml_values(text)


def xml_values(text: bytes) -> dict[str, Any]:
    """Parse without DTDs, so that an entity can neither grow nor read a file."""
    from xml.parsers import expat

    stack: list[tuple[str, dict[str, Any], list[str]]] = [("", {}, [])]

    def begin(name: str, attributes: dict[str, str]) -> None:
        stack.append((name, {f"@{k}": v for k, v in attributes.items()}, []))

    def end(name: str) -> None:
        _, values, texts = stack.pop()
        text = "".join(texts).strip()
        value: Any = values
        if not values:
            value = text or None
        elif text:
            values["#text"] = text
        parent = stack[-1][1]
        if name in parent:
            if not isinstance(parent[name], list):
                parent[name] = [parent[name]]
            parent[name].append(value)
        else:
            parent[name] = value

    def refuse(*_: Any) -> None:
        raise ConfigError("the XML of the response declares entities, which are not read")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda data: stack[-1][2].append(data)
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise UnreadableError(f"the response is not XML: {error}", hint="Check the address and the decoder.") from error
    return stack[0][1]


def encoding_of(node: Node) -> str:
    name = str(node.get("encoding", "utf-8"))
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise node.error(f"{name!r} is not a text encoding", "encoding") from None
