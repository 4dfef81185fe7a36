"""From the bytes of a response to the values an extractor looks into."""

from __future__ import annotations

import codecs
import csv
import io
import logging
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any

import orjson

from kitestring.declarative.keyword import Node, keyword
from kitestring.errors import ConfigError, TransientError

log = logging.getLogger("kitestring.declarative")

RUN = 1000
"""Rows of a streamed body that travel together."""
Chunks = Iterable[bytes]


def in_runs(items: Iterable[Any]) -> Iterator[list[Any]]:
    run: list[Any] = []
    for item in items:
        run.append(item)
        if len(run) >= RUN:
            yield run
            run = []
    if run:
        yield run


class Decoder:
    """`bodies(response)` gives lists of values; `streamed` decoders read the response piece by piece."""

    streamed = True

    def bodies(self, response: Any) -> Iterator[list[Any]]:
        yield from in_runs(self.values(response.chunks()))

    def values(self, chunks: Chunks) -> Iterator[Any]:
        raise NotImplementedError

    def doubt(self, response: Any) -> str:
        """Why it may be wrong that a response held no value at all (`shape.doubt`); empty where it was an empty one."""
        return ""


@keyword("JsonDecoder")
class JsonDecoder(Decoder):
    """One JSON value; the elements of a list on top are looked into one by one. An empty page is an empty object."""

    streamed = False

    def __init__(self, node: Node | None = None, **_: Any) -> None: ...

    @staticmethod
    def verify(response: Any) -> None:
        """A page that is no JSON is an attempt that failed."""
        if response.status < 400 and not blank(response.body):
            response.json()

    def bodies(self, response: Any) -> Iterator[list[Any]]:
        if blank(response.body):
            yield [{}]
            return
        page = response.json()
        yield page if isinstance(page, list) else [page]

    def values(self, chunks: Chunks) -> Iterator[Any]:
        text = b"".join(chunks)
        if text.strip():
            page = load(text)
            yield from page if isinstance(page, list) else [page]


def blank(body: bytes) -> bool:
    return not body or body.isspace()


def load(text: bytes | str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        shown = (text[:80] if isinstance(text, str) else text[:80].decode("utf-8", "replace")).strip()
        raise TransientError(f"the response is no JSON: {shown}", hint="Check the address and the decoder.") from error


@keyword("JsonlDecoder")
class JsonlDecoder(Decoder):
    """One JSON value per line. A line that is none is logged and left out."""

    def __init__(self, node: Node | None = None, **_: Any) -> None: ...

    def values(self, chunks: Chunks) -> Iterator[Any]:
        for line in lines(chunks):
            if not line.strip():
                continue
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                log.warning("a line is no JSON and is left out: %s", line[:80].decode("utf-8", "replace"))


@keyword("IterableDecoder")
class IterableDecoder(Decoder):
    """One record per line: `{"record": line}`."""

    def __init__(self, node: Node | None = None, **_: Any) -> None: ...

    def values(self, chunks: Chunks) -> Iterator[Any]:
        for line in lines(chunks):
            yield {"record": line.decode("utf-8", "replace")}


@keyword("CsvDecoder")
class CsvDecoder(Decoder):
    """Rows of CSV under the names of the first; `set_values_to_none` are texts that mean nothing."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._encoding = encoding_of(node)
        delimiter = str(node.get("delimiter", ","))
        self._delimiter = delimiter.encode().decode("unicode_escape") if delimiter.startswith("\\") else delimiter
        self._nothing = frozenset(str(value) for value in node.items("set_values_to_none"))
        if len(self._delimiter) != 1:
            raise node.wrong(f"is {delimiter!r}, one character is expected", "delimiter")

    def values(self, chunks: Chunks) -> Iterator[Any]:
        text = io.TextIOWrapper(io.BufferedReader(Reader(chunks)), encoding=self._encoding, newline="")
        try:
            for row in csv.DictReader(text, delimiter=self._delimiter):
                yield {k: None if v in self._nothing else v for k, v in row.items()} if self._nothing else row
        except (csv.Error, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the response is no CSV in {self._encoding}: {error}", hint="Check the decoder."
            ) from error


@keyword("JsonItemsDecoder")
class JsonItemsDecoder(Decoder):
    """The items of one list inside a JSON value."""

    streamed = False

    def __init__(self, node: Node, **_: Any) -> None:
        self._path = str(node.need("items_path")).split(".")
        self._encoding = encoding_of(node)

    def values(self, chunks: Chunks) -> Iterator[Any]:
        from kitestring.declarative import field

        text = b"".join(chunks)
        page = load(text if self._encoding == "utf-8" else text.decode(self._encoding))
        found = field.get(page, self._path, [])
        yield from found if isinstance(found, list) else []

    def doubt(self, response: Any) -> str:
        from kitestring.declarative import field, shape

        text = response.body
        page = load(text if self._encoding == "utf-8" else text.decode(self._encoding))
        found = field.get(page, self._path)
        if isinstance(found, dict | str | int | float) and found:
            return f"has no list at `{'.'.join(self._path)}`"
        return shape.doubt([page], self._path, (), False, False)


@keyword("GzipDecoder")
class GzipDecoder(Decoder):
    """What another decoder makes of an unpacked body; a body that is not packed passes as it is."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._inner: Decoder = node.needed_child("decoder", "JsonDecoder")

    def values(self, chunks: Chunks) -> Iterator[Any]:
        yield from self._inner.values(unpacked(chunks))


def unpacked(chunks: Chunks) -> Iterator[bytes]:
    packed: Any = None
    head = b""
    for chunk in chunks:
        if packed is None:
            head += chunk
            if len(head) < 2:
                continue
            packed = zlib.decompressobj(31) if head[:2] == b"\x1f\x8b" else False
            chunk, head = head, b""
        if packed is False:
            yield chunk
            continue
        try:
            while chunk:
                yield packed.decompress(chunk)
                chunk = packed.unused_data
                if packed.eof and chunk[:2] == b"\x1f\x8b":
                    packed = zlib.decompressobj(31)
                else:
                    chunk = b""
        except zlib.error as error:
            raise TransientError(f"the gzip data is damaged: {error}") from error
    if head:
        yield head


@keyword("ZipfileDecoder")
class ZipfileDecoder(Decoder):
    """What another decoder makes of each file of a ZIP archive."""

    streamed = False

    def __init__(self, node: Node, **_: Any) -> None:
        self._inner: Decoder = node.needed_child("decoder", "JsonDecoder")

    def values(self, chunks: Chunks) -> Iterator[Any]:
        import zipfile

        try:
            with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as archive:
                for name in archive.namelist():
                    if not name.endswith("/"):
                        with archive.open(name) as file:
                            yield from self._inner.values(pieces(file))
        except zipfile.BadZipFile as error:
            raise TransientError(f"the response is no ZIP archive: {error}") from error


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(65536):
        yield chunk


@keyword("XmlDecoder")
class XmlDecoder(Decoder):
    """XML as nested objects: attributes begin with `@`, text beside them is `#text`, repeated elements make a list."""

    streamed = False

    def __init__(self, node: Node | None = None, **_: Any) -> None: ...

    def values(self, chunks: Chunks) -> Iterator[Any]:
        text = b"".join(chunks)
        if not text.strip():
            yield {}
            return
        yield xml_values(text)


def xml_values(text: bytes) -> dict[str, Any]:
    """Parsed without DTDs, so that no entity can grow or read a file."""
    from xml.parsers import expat

    stack: list[tuple[str, dict[str, Any], list[str]]] = [("", {}, [])]

    def begin(name: str, attributes: dict[str, str]) -> None:
        stack.append((name, {f"@{k}": v for k, v in attributes.items()}, []))

    def end(name: str) -> None:
        _, values, texts = stack.pop()
        said = "".join(texts).strip()
        value: Any = values
        if not values:
            value = said or None
        elif said:
            values["#text"] = said
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
        raise TransientError(f"the response is no XML: {error}", hint="Check the address and the decoder.") from error
    return stack[0][1]


class Reader(io.RawIOBase):
    """Pieces of bytes as a file, for readers of text."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = iter(chunks)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = chunk
        part = self._left[: len(buffer)]
        self._left = self._left[len(part) :]
        buffer[: len(part)] = part
        return len(part)


def lines(chunks: Chunks) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.removesuffix(b"\r") for line in whole)
    if rest:
        yield rest


def encoding_of(node: Node) -> str:
    name = str(node.get("encoding", "utf-8"))
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise node.wrong(f"{name!r} is no text encoding", "encoding") from None
